import DSIPIdentity
import Encoding
import Foundation
import Testing

@testable import DSIPAgent
@testable import DSIPDialect03
@testable import DSIPMessaging
@testable import DSIPRelay

extension Agent {
    /// Of this device, and of the key under which it hands in envelopes.
    var deviceDID: DID? { desks[current]?.key.did }
    var maskDID: DID? { desks[current]?.mail?.mask?.key.did }
    var unacknowledged: Int { desks[current]?.mail?.ratchet.inFlight.count ?? 0 }
}

@Suite("Messages in stored envelopes, over a real relay", .serialized, .timeLimit(.minutes(10)))
struct StoredTests {
    /// Every name of a member, at any depth, and every text.
    private func read(_ value: JSONValue, _ names: inout Set<String>, _ texts: inout [String]) {
        if let object = value.object {
            for member in object.members {
                names.insert(member.name)
                read(member.value, &names, &texts)
            }
        } else if let array = value.array {
            for value in array { read(value, &names, &texts) }
        } else if let text = value.string {
            texts.append(text)
        }
    }

    @Test(
        "a relay that keeps what is said to somebody away reads for whom it is, how large and until when; it arrives all the same"
    )
    func whatTheRelayReads() async throws {
        let relay = try await TestRelay(hasMailboxes: false)
        let alice = try await Person("Alice", at: relay)
        let bob = try await Person("Bob", at: relay)
        try await befriend(alice, bob)
        let (there, _) = try await exchange("one", "re one", alice, bob)
        let his = try #require(await bob.agent.deviceDID)
        let hers = [await alice.did, try #require(await alice.agent.deviceDID)]
        let mask = try #require(await alice.agent.maskDID)
        // Receipts are under way as well.
        for person in [alice, bob] {
            try await until("\(person.name) waits for nothing") { await person.agent.unacknowledged == 0 }
        }
        await bob.agent.stop()
        var kept = try await alice.say("The word is swordfish", in: there)
        try await until("the relay has it", within: .seconds(60)) { await alice.state(of: kept) == .accepted }
        kept = try await alice.say(String(repeating: "long ", count: 100), in: there)
        try await until("the relay has that", within: .seconds(60)) { await alice.state(of: kept) == .accepted }
        await relay.stop()

        let store = try SQLiteMailboxStore(path: relay.folder.path + "/ratchet.sqlite")
        let items = try store.items(of: his, .after(0), limit: 10)
        #expect(items.count >= 2)
        var senders: Set<String> = []
        for item in items {
            let bytes = try #require(try store.content(at: item.position, of: his))
            let frame = try JSONValue(parsing: bytes)
            var (names, texts): (Set<String>, [String]) = ([], [])
            read(frame, &names, &texts)
            #expect(names == ["type", "to", "from", "nonce", "exp", "payload_enc", "sig"])
            #expect(frame["type"] == "dsip.envelope.v1" && frame["to"]?.string == his.string)
            for did in hers + [mask] { #expect(!texts.contains { $0.contains(did.string) }) }
            senders.insert(frame["from"]?.string ?? "")
            let sealed = try #require(frame["payload_enc"]?.string.flatMap { Base64URL.decode($0) })
            // The encapsulated key, the tag, and a message padded to steps of 256 bytes.
            #expect((sealed.count - 48).isMultiple(of: 256))
        }
        #expect(senders.count == items.count)
        store.close()

        try await relay.startAgain()
        let again = try await Person("Bob", at: relay, folder: bob.folder)
        try await until("Bob has both", within: .seconds(120)) { await again.texts(with: [alice]).count == 4 }
        #expect(await again.texts(with: [alice])[2] == "The word is swordfish")
        for person in [alice, again] { await person.agent.stop() }
        await relay.stop()
    }

    @Test("who has said that they open envelopes is sent nothing without one, whatever the relay says")
    func noWayBack() async throws {
        let relay = try await TestRelay(hasMailboxes: false)
        let alice = try await Person("Alice", at: relay)
        let carol = try ProposalWriter(at: relay)
        try await carol.peer.connect()
        try await carol.publish()
        _ = try await alice.agent.addContact(carol.did.string, name: "Carol")
        let device = try #require(try await carol.meet(await alice.did).first)
        // Her relay would not keep envelopes for her: what is said goes without one.
        try await carol.write(["text": "Hello"], to: device)
        try await until("a conversation", within: .seconds(60)) {
            (try? await alice.agent.conversations().count) == 1
        }
        let there = try #require(try await alice.agent.conversations().first).id.description
        try await alice.say("Hello Carol", in: there)
        let came = try await carol.read { $0["object"] == "content" }
        #expect(came.object["text"] == "Hello Carol" && came.object["stored"] == true)
        // She says that she opens them, her relay that she does not.
        var random = SystemRandomNumberGenerator()
        let id = ULID(milliseconds: UInt64(Date().timeIntervalSince1970 * 1000), using: &random)
        let content = Content(
            id: id,
            conversation: RatchetConfiguration.conversation(carol.did, await alice.did),
            sender: carol.did,
            sentAt: Int64(Date().timeIntervalSince1970),
            body: .text("I open envelopes", type: nil)
        ).json
        try await carol.write(.object((content.object ?? [:]).with("stored", true)), to: device)
        try await until("Alice knows", within: .seconds(60)) { await alice.texts(in: there).count == 3 }
        let refused = "dsip_relay_refused_total{reason=\"session.unsupported-wire-format\"}"
        let before = relay.metric(refused)
        let waiting = try await alice.say("For nobody else", in: there)
        try await until("the relay has refused it", within: .seconds(60)) { relay.metric(refused) > before }
        // A round trip later it would have been accepted without an envelope.
        _ = try await carol.meet(await alice.did)
        #expect(await alice.state(of: waiting) == .pending)
        carol.peer.close()
        await alice.agent.stop()
        await relay.stop()
    }
}

extension JSONObject {
    fileprivate func with(_ name: String, _ value: JSONValue) -> JSONObject {
        var object = self
        object[name] = value
        return object
    }
}
