import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Testing

@Suite("A device with several mailboxes") struct InboxTests {
    private let near: DID
    private let far: DID
    private let group: GroupID

    init() throws {
        near = try #require(DID("did:web:near.example"))
        far = try #require(DID("did:web:far.example"))
        group = try #require(GroupID(Scene.group(0)))
    }

    private func item(_ position: UInt64, _ itemClass: DepositClass, _ seq: Int64?, siblings: Bool = false)
        -> DeviceSync.Item
    {
        DeviceSync.Item(
            cursor: Cursor(position: position),
            itemClass: itemClass,
            group: group,
            seq: seq,
            isSiblings: siblings
        )
    }

    @Test("M§12.3: items of groups it is not in are passed over, a sibling's welcome is no join, its own is")
    func joining() {
        var inbox = DeviceInbox()
        #expect(inbox.received(item(1, .application, 4), from: near, at: 0) == [.skip])
        #expect(inbox.received(item(2, .welcome, 5, siblings: true), from: near, at: 0) == [.siblings])
        #expect(inbox.received(item(3, .welcome, 6), from: near, at: 0) == [.process])
        #expect(inbox.received(item(4, .handshake, 6), from: near, at: 0) == [.duplicate])
        #expect(inbox.received(item(5, .welcome, 6), from: far, at: 0) == [.duplicate])
        #expect(inbox.received(item(6, .application, 7), from: near, at: 0) == [.process])
        #expect(inbox.request(to: near).since == Cursor(position: 6))
        #expect(inbox.request(to: far).ackThrough == Cursor(position: 5))
        inbox.receivedCursorInvalid(from: near)
        #expect(inbox.request(to: near).since == nil)
        inbox.left(group)
        #expect(inbox.received(item(7, .application, 8), from: near, at: 0) == [.skip])
    }

    @Test("M§6.5: a copy in the second mailbox fills the gap of the first, and what was held follows")
    func secondMailbox() {
        var inbox = DeviceInbox(gapTimeout: 10)
        inbox.created(group)
        #expect(inbox.sent(1, in: group) == [])
        #expect(inbox.received(item(1, .handshake, 3), from: near, at: 0) == [.hold])
        #expect(inbox.deadline == 10)
        #expect(inbox.received(item(1, .application, 2), from: far, at: 5) == [.process, .release([3])])
        #expect(inbox.received(item(2, .application, 5), from: near, at: 5) == [.process])
        #expect(inbox.received(item(3, .handshake, 6), from: near, at: 5) == [.hold])
        #expect(inbox.advance(to: 15) == [.rejoin(group, dropped: [6])])
        #expect(inbox.missed(in: group) == [4])
        #expect(inbox.received(item(4, .handshake, 8), from: near, at: 16) == [.hold])
        #expect(inbox.received(item(5, .handshake, 11), from: near, at: 16) == [.hold])
        #expect(inbox.rejoined(group, at: 9) == [])
        #expect(inbox.missed(in: group) == [7, 9] && inbox.held(in: group) == [11])
        #expect(inbox.received(item(4, .application, 4), from: far, at: 16) == [.duplicate])
        #expect(inbox.received(item(5, .handshake, 10), from: far, at: 16) == [.process, .release([11])])
    }

    @Test("M§6.5: what is of an epoch that a missing commit leads to waits for that commit")
    func heldBack() {
        var inbox = DeviceInbox(gapTimeout: 10)
        inbox.created(group)
        #expect(inbox.received(item(1, .application, 3), from: near, at: 0) == [.process])
        var waits = inbox.holdBack(3, of: group, at: 0)
        #expect(waits)
        #expect(inbox.received(item(2, .application, 3), from: far, at: 1) == [.duplicate])
        #expect(inbox.received(item(3, .application, 4), from: near, at: 1) == [.hold])
        #expect(inbox.sent(1, in: group) == [])
        #expect(inbox.received(item(4, .handshake, 2), from: near, at: 2) == [.process, .release([3, 4])])
        // With nothing missing before it there is nothing to wait for.
        #expect(inbox.received(item(5, .application, 5), from: near, at: 2) == [.process])
        waits = inbox.holdBack(5, of: group, at: 2)
        #expect(!waits)
        // What does not come is given up as ever.
        #expect(inbox.received(item(6, .application, 7), from: near, at: 2) == [.process])
        waits = inbox.holdBack(7, of: group, at: 2)
        #expect(waits && inbox.deadline == 12)
        #expect(inbox.advance(to: 12) == [.rejoin(group, dropped: [7])])
        #expect(inbox.missed(in: group) == [6])
    }

    @Test("M§8.5: two mailboxes that lose, repeat and reorder still show every item once and every handshake in order")
    func simulation() {
        for seed in UInt64(1)...150 {
            var generator = SplitMix(state: seed)
            var inbox = DeviceInbox()
            inbox.created(group)
            let count = Int64(60)
            let handshakes = Set((1...count).filter { _ in generator.next() % 4 == 0 })
            // Each mailbox has most items, together all of them, in an order of its own, some twice.
            var deliveries: [(DID, Int64)] = []
            for mailbox in [near, far] {
                var seqs = (1...count).filter { mailbox == far || $0 % 7 != 0 }
                seqs += seqs.filter { _ in generator.next() % 5 == 0 }
                for index in seqs.indices {
                    let other = min(seqs.count - 1, index + Int(generator.next() % 4))
                    seqs.swapAt(index, other)
                }
                deliveries += seqs.map { (mailbox, $0) }
            }
            deliveries.shuffle(using: &generator)
            var processed: [Int64] = []
            for (index, (mailbox, seq)) in deliveries.enumerated() {
                let itemClass: DepositClass = handshakes.contains(seq) ? .handshake : .application
                for action in inbox.received(item(UInt64(index + 1), itemClass, seq), from: mailbox, at: 0) {
                    switch action {
                    case .process: processed.append(seq)
                    case .release(let seqs): processed += seqs
                    case .hold, .duplicate: break
                    case .siblings, .skip, .rejoin: Issue.record("seed \(seed): \(action)")
                    }
                }
            }
            #expect(processed.sorted() == Array(1...count), "seed \(seed)")
            let order = processed.filter(handshakes.contains)
            #expect(order == order.sorted(), "seed \(seed)")
            for handshake in order {
                let before = processed.prefix { $0 != handshake }
                #expect(Set(1..<handshake).isSubset(of: before), "seed \(seed): \(handshake) came before its time")
            }
        }
    }
}

@Suite("Messages of the profile through the verification pipeline") struct VerificationTests {
    private let now: Int64 = 1_760_000_000

    private func key(_ seed: UInt8) throws -> SigningKey {
        SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: Array(repeating: seed, count: 32)))
    }

    private func verifier() -> EnvelopeVerifier {
        EnvelopeVerifier(policy: VerificationPolicy(supported: SupportedVersions(profiles: [MessagingProfile.id])))
    }

    private func message(_ body: MailboxMessage.Body, id: Int = 1, from device: DID) throws -> MailboxMessage {
        MailboxMessage(
            id: try #require(ULID(Scene.id(id))),
            from: device,
            to: try #require(DID("did:web:mbx.alice.example")),
            issuedAt: now,
            expiresAt: now + 30,
            body: body
        )
    }

    @Test("M§5.1: a device's message is accepted once, as its identity's, when its delegation says messaging")
    func accepted() throws {
        let (identity, device) = (try key(1), try key(2))
        let delegation = Delegation(
            subject: identity.did,
            device: device.did,
            capabilities: [Delegation.Capability.signaling, Delegation.Capability.messaging],
            issuedAt: now - 10,
            expiresAt: now + 1000
        )
        let sent = try message(.sync(SyncRequest(since: nil, live: true)), from: device.did)
        let envelope = try Envelope(
            signing: sent.json.utf8,
            by: device,
            delegations: [try delegation.issue(by: identity)]
        )
        #expect(EnvelopeVerifier.payloadType(of: envelope.bytes) == "sync")
        var verifier = verifier()
        var replay = ReplayWindow()
        func verify() -> ProfileVerdict<MailboxMessage, MessagingError> {
            verifier.verify(
                envelope.bytes,
                at: now,
                replay: &replay,
                documents: { _ in .unresolvable },
                reading: { (view) throws(MessagingError) in try MailboxMessage(view) }
            )
        }
        guard case .accepted(let verified) = verify() else {
            Issue.record("not accepted")
            return
        }
        #expect(verified.body == sent)
        #expect(verified.device == device.did)
        #expect(verified.mayMessage)
        guard case .rejected(let rejection) = verify() else {
            Issue.record("a copy was accepted")
            return
        }
        #expect(rejection.code == .duplicateID)
    }

    @Test("M§5.1: what breaks a rule of the profile is told apart from what breaks the envelope")
    func refused() throws {
        let device = try key(3)
        var verifier = verifier()
        var replay = ReplayWindow()
        let late = try message(.sync(SyncRequest(since: nil)), from: device.did)
        var object = try #require(late.json.object)
        object["expires_at"] = .int(now + 61)
        let envelope = try Envelope(signing: JSONValue.object(object).utf8, by: device)
        let verdict = verifier.verify(
            envelope.bytes,
            at: now,
            replay: &replay,
            documents: { _ in .unresolvable },
            reading: { (view) throws(MessagingError) in try MailboxMessage(view) }
        )
        guard case .refused(let error, let id, let from, _) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(error.code == .lifetimeExceeded && id == late.id && from == device.did)
        var forged = envelope.bytes
        forged[forged.count - 10] ^= 1
        let other = verifier.verify(
            forged,
            at: now,
            replay: &replay,
            documents: { _ in .unresolvable },
            reading: { (view) throws(MessagingError) in try MailboxMessage(view) }
        )
        guard case .rejected = other else {
            Issue.record("\(other)")
            return
        }
    }
}

@Suite("The proposal's receipts, typing and edits") struct ProposalTests {
    @Test("proposal 0.3 §8: statements are read and written; anything else is none")
    func statements() throws {
        let alice = try #require(DID("did:web:alice.example"))
        let bob = try #require(DID("did:web:bob.example"))
        for text in [
            #"{"type":"dsip.receipt","for":"%1","kind":"delivered","ts":7,"from":"@alice"}"#,
            #"{"type":"dsip.receipt","for":"%1","kind":"read","ts":7,"from":"@alice"}"#,
            #"{"type":"dsip.typing","thread":"th-123","state":"on","ts":7}"#,
            #"{"type":"dsip.typing","thread":"th-123","state":"off","ts":7}"#,
            #"{"type":"dsip.msgUpdate","for":"b9f8","patch":{"text":"x"}}"#,
            #"{"type":"dsip.msgUpdate","for":"b9f8","patch":{"retracted":true},"ts":7}"#,
        ] {
            let json = try Scene.json(text)
            let statement = try #require(ProposalStatement(json, signedBy: alice))
            #expect(statement.json == json)
            var object = try #require(json.object)
            object["from"] = .string("\(alice)#key-1")
            #expect(ProposalStatement(.object(object), signedBy: alice) == statement)
            #expect(ProposalStatement(.object(object), signedBy: bob) == nil)
            for missing in ["type", "kind", "state", "patch", "for", "thread"] where object[missing] != nil {
                var less = object
                less[missing] = nil
                #expect(ProposalStatement(.object(less), signedBy: alice) == nil, "\(missing)")
            }
        }
    }

    @Test("docs/messaging.md: one machine behind both dialects")
    func translation() throws {
        let alice = try #require(DID("did:web:alice.example"))
        let (a, b) = (try #require(ULID(Scene.id(1))), try #require(ULID(Scene.id(2))))
        let receipt = Receipt(id: a, conversation: a, sender: alice, sentAt: 9, .delivered([a, b]))
        let statements = ProposalStatement.statements(receipt)
        #expect(statements.map(\.receipt) == [.delivered([a]), .delivered([b])])
        #expect(statements.allSatisfy { $0.from == alice && $0.timestamp == 9 })
    }

    @Test("docs/messaging.md: content disappears so long after it was read, and not before")
    func disappearance() throws {
        let id = try #require(ULID(Scene.id(1)))
        var disappearance = Disappearance()
        disappearance.received(id, for: 60)
        #expect(disappearance.advance(to: 10_000).isEmpty && disappearance.deadline == nil)
        disappearance.read(id, at: 100)
        disappearance.read(id, at: 150)
        #expect(disappearance.deadline == 160)
        #expect(disappearance.advance(to: 159).isEmpty)
        #expect(disappearance.advance(to: 160) == [id])
        #expect(disappearance.deadline == nil)
    }
}
