import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Testing

@testable import DSIPMessaging

/// Somebody at a relay that has mailboxes and prekeys, and perhaps no mailbox there themselves.
@Suite struct CarriageTests {
    private let relay = DID("did:web:relay.example")!
    private let url = "wss://relay.example/dsip"
    private let carol = DID("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")!
    private let store = MemoryMessengerStore()
    private let now: Int64 = 1_760_000_000

    private var service: MailboxService {
        MailboxService(uri: url, mailbox: relay, service: MailboxService.serviceType)
    }
    private var found: ResolvedIdentity {
        ResolvedIdentity(mailboxes: MailboxSelection(document: [], hints: [service.json]), preKeys: url)
    }

    /// A device that is connected to its mailbox, which is where carol’s would be.
    private func messenger() throws -> Messenger<MemoryMessengerStore> {
        let (owner, device) = (SigningKey(), SigningKey())
        let delegation = try Delegation(
            subject: owner.did,
            device: device.did,
            capabilities: [Delegation.Capability.messaging],
            issuedAt: now,
            expiresAt: now + 90 * 86_400
        ).issue(by: owner)
        var mail = try Messenger(
            MessengerConfiguration(
                identity: owner.did,
                device: device,
                delegation: delegation,
                mailboxes: [service]
            ),
            store: store,
            random: SeededRandom(seed: 5),
            at: now
        )
        _ = try mail.bound(relay, at: now)
        return mail
    }

    /// Somebody has been found, and is written to.
    private func write(_ mail: inout Messenger<MemoryMessengerStore>) throws -> (ULID, [MessengerAction]) {
        let (thread, _) = try mail.open(with: carol, at: now)
        _ = try mail.resolved(carol, found, at: now)
        return (thread, try mail.send(MessageDraft(text: "hello"), in: thread, at: now).1)
    }

    /// The question whether carol has a mailbox.
    private func question(_ actions: [MessengerAction]) -> ULID? {
        for case .send(let message, _) in actions {
            if case .keyPackageFetch(let fetch) = message.body, fetch.target == carol { return message.id }
        }
        return nil
    }

    private func carried(_ actions: [MessengerAction]) -> Int {
        actions.count { if case .carry(_, _, to: carol) = $0 { true } else { false } }
    }

    private var groups: Int {
        store.rows(.group, "").compactMap { RowReader($0.value)?.text("kind") }.count { $0 == "direct" }
    }

    @Test("who has no mailbox where a hint says is written to over the ratchet, and no group is made")
    func absent() throws {
        var mail = try messenger()
        let (thread, first) = try write(&mail)
        let asked = try #require(question(first))
        #expect(carried(first) == 0 && groups == 0)
        let told = try mail.refused(asked, .transportUnknownRecipient, by: relay, at: now)
        #expect(carried(told) == 1 && groups == 0 && mail.isCarried(thread))
        #expect(mail.mailboxService(of: carol) == nil)
        // It is remembered, and asked again when she is looked up again.
        var again = try Messenger(mail.configuration, store: store, random: SeededRandom(seed: 6), at: now + 1)
        _ = try again.bound(relay, at: now + 1)
        let second = try again.send(MessageDraft(text: "more"), in: thread, at: now + 1).1
        #expect(question(second) == nil && again.isCarried(thread))
        let later = now + 3700
        let anew = try #require(question(try again.resolved(carol, found, at: later)))
        #expect(again.isCarried(thread))
        // By now she has one, with nothing in it for the moment.
        _ = try again.refused(anew, .mailboxNoKeyPackages, by: relay, at: later)
        #expect(!again.isCarried(thread) && groups == 1)
    }

    @Test(
        "who has a mailbox there is written to in a group, whatever the mailbox says of KeyPackages",
        arguments: [Reason.mailboxNoKeyPackages, .policyFirstContactRequired]
    )
    func there(reason: Reason) throws {
        var mail = try messenger()
        let (thread, first) = try write(&mail)
        let told = try mail.refused(try #require(question(first)), reason, by: relay, at: now)
        #expect(carried(told) == 0 && groups == 1 && !mail.isCarried(thread))
        #expect(mail.mailboxService(of: carol) == service)
    }

    @Test("a question without an answer is asked again, and nothing is decided meanwhile")
    func unanswered() throws {
        var mail = try messenger()
        let (_, first) = try write(&mail)
        let missed = try mail.missedAnswer(try #require(question(first)), at: now)
        #expect(question(missed) == nil && carried(missed) == 0 && groups == 0)
        let deadline = try #require(mail.deadline)
        #expect(deadline <= now + 2)
        let again = try #require(question(try mail.advance(to: now + 2)))
        _ = try mail.unbound(relay, at: now + 2)
        let back = try mail.bound(relay, at: now + 3)
        let third = try #require(question(back))
        #expect(third != again)
        #expect(carried(try mail.refused(third, .transportUnknownRecipient, by: relay, at: now + 3)) == 1)
    }
}
