import DSIPAgent
import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import Testing

@testable import DSIPDialect03

@Suite(
    "Messages of the 0.3 dialect and people of the core, through a relay and an agent",
    .serialized,
    .timeLimit(.minutes(10))
)
struct DialectMessageTests {
    private func line(_ person: Person, with other: DID) async -> [Conversation] {
        ((try? await person.agent.conversations()) ?? []).filter { $0.record.peer == other }
    }

    private func texts(_ person: Person, with other: DID) async -> [String] {
        guard let conversation = await line(person, with: other).first else { return [] }
        let page = try? await person.agent.messages(in: conversation.id.description, limit: 200)
        return (page?.messages ?? []).filter { $0.record.isContent }.map {
            $0.record.isRetracted ? "(retracted)" : $0.record.text
        }
    }

    @Test(
        "somebody of the dialect writes to a person and back: text, receipts, typing, edits and retractions, as §8 has them"
    )
    func bothWays() async throws {
        let relay = try await TestRelay()
        let bob = try await Person("Bob", at: relay)
        _ = try await bob.agent.setMessaging(readReceipts: true, typing: true)
        let carol = try ProposalWriter(at: relay)
        try await carol.peer.connect()
        try await carol.publish()
        _ = try await bob.agent.addContact(carol.did.string, name: "Carol")
        let device = try #require(try await carol.meet(await bob.did).first)

        // The least that can be said, and what it is answered with.
        let hello = try await carol.write(["text": "Hello Bob"], to: device)
        #expect(try await carol.peer.next("dsip.accepted")["correlates"]?.string == hello)
        try await until("Bob has it", within: .seconds(60)) { await texts(bob, with: carol.did) == ["Hello Bob"] }
        let delivered = try await carol.read { $0["type"] == "dsip.receipt" }
        #expect(delivered.object["kind"] == "delivered")
        #expect(delivered.object["for"]?.string == ProposalID.read(hello)?.description)
        let here = try #require(await line(bob, with: carol.did).first)
        #expect(here.record.unread == 1 && here.json["encryption"] == "ratchet")

        // Typing, beside the ratchet: from now on Bob’s device says the like in kind.
        try await carol.peer.say("dsip.typing", to: device, ["thread": "th-123", "state": "on"])
        try await until("Bob sees Carol typing", within: .seconds(60)) {
            await line(bob, with: carol.did).first?.typing.isEmpty == false
        }
        try await bob.agent.act("typing", isActive: true, in: here.id.description)
        #expect(try await carol.peer.next("dsip.typing")["state"] == "on")
        let shown = try #require(try await bob.agent.messages(in: here.id.description).messages.last)
        try await bob.agent.markRead(here.id.description, through: shown.id.description)
        let read = try await carol.peer.next("dsip.receipt") { $0["kind"] == "read" }
        #expect(read["for"]?.string == hello)

        // Her edit, and then she takes it back.
        let update: JSONObject = ["for": .string(hello), "patch": ["text": "Hello, Bob!"]]
        try await carol.peer.say("dsip.msgUpdate", to: device, update)
        try await until("edited", within: .seconds(60)) { await texts(bob, with: carol.did) == ["Hello, Bob!"] }

        // The answer, with her receipts for it.
        let answer = try await bob.agent.send(MessageDraft(text: "Hello Carol"), in: here.id.description)
        let came = try await carol.read { $0["object"] == "content" }
        #expect(came.object["text"] == "Hello Carol")
        for (kind, state) in [("delivered", MessageRecord.State.delivered), ("read", .read)] {
            let receipt: JSONObject = ["for": .string(came.id), "kind": .string(kind)]
            try await carol.peer.say("dsip.receipt", to: came.device, receipt)
            try await until("it is known to be \(kind)", within: .seconds(60)) { await bob.state(of: answer) == state }
        }
        _ = try await bob.agent.edit(answer.id.description, text: "Hello, Carol!")
        let edit = try await carol.read { $0["type"] == "dsip.msgUpdate" }
        #expect(edit.object["for"] == came.object["id"] && edit.object["patch"]?["text"] == "Hello, Carol!")
        _ = try await bob.agent.retract(answer.id.description)
        let retraction = try await carol.read { $0["type"] == "dsip.msgUpdate" }
        #expect(retraction.object["for"] == came.object["id"] && retraction.object["patch"]?["retracted"] == true)

        let taken: JSONObject = ["for": .string(hello), "patch": ["retracted": true]]
        try await carol.peer.say("dsip.msgUpdate", to: device, taken)
        try await until("taken back", within: .seconds(60)) {
            await texts(bob, with: carol.did) == ["(retracted)", "(retracted)"]
        }
        carol.peer.close()
        await bob.agent.stop()
        await relay.stop()
    }

    @Test("at a relay with mailboxes, somebody of the dialect who was never heard is written to first")
    func writtenToFirst() async throws {
        let relay = try await TestRelay()
        let bob = try await Person("Bob", at: relay)
        let carol = try ProposalWriter(at: relay)
        try await carol.peer.connect()
        try await carol.publish()
        _ = try await bob.agent.addContact(carol.did.string, name: "Carol")
        let conversation = try await bob.agent.openConversation(with: carol.did.string).id.description
        let first = try await bob.agent.send(MessageDraft(text: "Hello Carol"), in: conversation)
        let came = try await carol.read { $0["object"] == "content" }
        #expect(came.object["text"] == "Hello Carol")
        let receipt: JSONObject = ["for": .string(came.id), "kind": "delivered"]
        try await carol.peer.say("dsip.receipt", to: came.device, receipt)
        try await until("Bob knows", within: .seconds(60)) { await bob.state(of: first) == .delivered }
        try await carol.write(["text": "Hello Bob"], to: came.device)
        try await until("Bob has the answer", within: .seconds(60)) {
            await texts(bob, with: carol.did) == ["Hello Carol", "Hello Bob"]
        }
        _ = try await bob.agent.send(MessageDraft(text: "And on"), in: conversation)
        #expect(try await carol.read { $0["object"] == "content" }.object["text"] == "And on")
        let shown = await line(bob, with: carol.did)
        #expect(shown.count == 1 && shown.first?.json["encryption"] == "ratchet")
        carol.peer.close()
        await bob.agent.stop()
        await relay.stop()
    }

    @Test("what is said to somebody who is away waits in the form that they read, and is delivered when they are back")
    func away() async throws {
        let relay = try await TestRelay(hasMailboxes: false)
        let bob = try await Person("Bob", at: relay)
        let carol = try ProposalWriter(at: relay)
        try await carol.peer.connect()
        try await carol.publish()
        carol.peer.close()
        _ = try await bob.agent.addContact(carol.did.string, name: "Carol")
        let conversation = try await bob.agent.openConversation(with: carol.did.string).id.description
        let first = try await bob.agent.send(MessageDraft(text: "While you were away"), in: conversation)
        try await until("the relay has it", within: .seconds(60)) { await bob.state(of: first) == .accepted }
        try await carol.back(at: relay).connect()
        let came = try await carol.read { $0["object"] == "content" }
        #expect(came.object["text"] == "While you were away")
        let receipt: JSONObject = ["for": .string(came.id), "kind": "delivered"]
        try await carol.peer.say("dsip.receipt", to: came.device, receipt)
        try await until("Bob knows", within: .seconds(60)) { await bob.state(of: first) == .delivered }

        await bob.agent.stop()
        let late = try await carol.write(["text": "Now you are away"], to: came.device)
        #expect(try await carol.peer.next("dsip.accepted") { $0["correlates"]?.string == late }["type"] != nil)
        let kept: JSONObject = ["for": .string(late), "patch": ["text": "You were away"]]
        try await carol.peer.say("dsip.msgUpdate", to: came.device, kept)
        _ = try await carol.peer.next("dsip.accepted")
        let again = try await Person("Bob", at: relay, folder: bob.folder)
        try await until("Bob has it, as it is now", within: .seconds(60)) {
            await texts(again, with: carol.did) == ["While you were away", "You were away"]
        }
        carol.peer.close()
        await again.agent.stop()
        await relay.stop()
    }
}
