import DSIPIdentity
import DSIPMessaging
import DSIPRelay
import Encoding
import Foundation
import Testing

@testable import DSIPAgent

extension Agent {
    /// What a device has agreed with somebody's devices is gone, as from an old backup.
    func loseSessions(with peer: DID) {
        for desk in desks.values {
            try? desk.mail?.store.commit([RatchetChange(.sessions, scope: "", key: peer.string, nil)])
        }
    }

    /// How the conversation with somebody is carried, and how many there are.
    func carriage(with peer: DID) -> [String] {
        ((try? conversations()) ?? []).filter { $0.record.peer == peer }.compactMap { $0.json["encryption"]?.string }
    }
}

/// The first words of two people, each of which arrives.
///
/// - Returns: their conversation, as alice and as bob calls it.
func exchange(_ word: String, _ answer: String, _ alice: Person, _ bob: Person) async throws -> (String, String) {
    let there = try await alice.conversation(with: bob)
    try await alice.say(word, in: there)
    try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [alice]) == [word] }
    let here = try await bob.conversation(with: alice)
    try await bob.say(answer, in: here)
    try await until("Alice has the answer", within: .seconds(60)) { await alice.texts(in: there).count == 2 }
    return (there, here)
}

/// Alice's relay keeps mailboxes, Bob's does not: between them no group can be.
@Suite("Conversations that a ratchet carries, over real relays", .serialized, .timeLimit(.minutes(10)))
struct RatchetTests {
    private struct Couple {
        let (hers, his): (TestRelay, TestRelay)
        let (alice, bob): (Person, Person)

        init() async throws {
            (hers, his) = (try await TestRelay(), try await TestRelay(hasMailboxes: false))
            alice = try await Person("Alice", at: hers, trusting: [his])
            bob = try await Person("Bob", at: his, trusting: [hers])
            try await befriend(alice, bob)
        }

        func alice(again folder: TemporaryFolder) async throws -> Person {
            try await Person("Alice", at: hers, folder: folder, trusting: [his])
        }

        func bob(again folder: TemporaryFolder) async throws -> Person {
            try await Person("Bob", at: his, folder: folder, trusting: [hers])
        }

        func bobsPhone() async throws -> Person { try await phone(of: bob, at: his, trusting: hers) }

        func phone(of person: Person, at relay: TestRelay, trusting other: TestRelay) async throws -> Person {
            let phone = try await Person(
                person.name,
                at: relay,
                createsIdentity: false,
                kind: .phone,
                trusting: [other]
            )
            let code = try await phone.agent.beginPairing().code
            _ = try await person.agent.approvePairing(code, name: "Phone")
            return phone
        }

        func stop() async {
            for person in [alice, bob] { await person.agent.stop() }
            await hers.stop()
            await his.stop()
        }
    }

    @Test(
        "both ways, with ticks, replies, reactions, edits and retractions; found by search, and one entry in the list"
    )
    func bothWays() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let there = try await alice.conversation(with: bob)
        let hello = try await alice.say("Hello Bob", in: there)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [alice]) == ["Hello Bob"] }
        try await until("Alice knows") { await alice.state(of: hello) == .delivered }
        #expect(await alice.agent.carriage(with: bob.did) == ["ratchet"])
        #expect(await bob.agent.carriage(with: alice.did) == ["ratchet"])
        let here = try await bob.conversation(with: alice)
        #expect(try await bob.agent.conversations().first?.record.unread == 1)
        var draft = MessageDraft(text: "Hello Alice, helo")
        draft.replyTo = hello.id
        let answer = try await bob.agent.send(draft, in: here)
        try await until("Alice has the answer", within: .seconds(60)) { await alice.texts(in: there).count == 2 }
        try await until("it was taken") { await bob.state(of: answer) != .pending }
        _ = try await bob.agent.edit(answer.id.description, text: "Hello Alice, hello")
        _ = try await alice.agent.react(answer.id.description, emoji: "👋")
        try await until("edited", within: .seconds(60)) { await alice.texts(in: there).last == "Hello Alice, hello" }
        let shown = try #require(try await alice.agent.messages(in: there).messages.last)
        #expect(shown.record.replyTo?.id == hello.id && shown.record.isEdited)
        try await until("Bob sees the hand", within: .seconds(60)) {
            let line = try? await bob.agent.messages(in: here).messages.last
            return line?.record.reactions.map(\.emoji) == ["👋"]
        }
        #expect(try await alice.agent.search("hello ali").count == 1)
        _ = try await alice.agent.setMessaging(readReceipts: true)
        try await alice.agent.markRead(there, through: answer.id.description)
        try await until("Bob knows that it was read", within: .seconds(60)) { await bob.state(of: answer) == .read }
        _ = try await bob.agent.retract(answer.id.description)
        try await until("taken back", within: .seconds(60)) {
            (try? await alice.agent.messages(in: there).messages.last?.record.isRetracted) == true
        }
        #expect(try await alice.agent.conversations().count == 1)
        let numbers = (
            try await alice.agent.safetyNumber(in: there)["digits"]?.string,
            try await bob.agent.safetyNumber(in: here)["digits"]?.string
        )
        #expect(numbers.0 == numbers.1 && numbers.0 != nil)
        let contact = try #require(try await bob.agent.contacts().first)
        _ = try await bob.agent.updateContact(contact.id, blocked: true)
        #expect(try await bob.agent.conversations().isEmpty)
        await couple.stop()
    }

    @Test("what is said to someone away waits at their relay, and on this device while that is away")
    func offline() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let there = try await alice.conversation(with: bob)
        try await alice.say("one", in: there)
        try await until("Bob has the first", within: .seconds(60)) { await bob.texts(with: [alice]) == ["one"] }
        await bob.agent.stop()
        let away = try await alice.say("two", in: there)
        try await until("his relay has it", within: .seconds(60)) { await alice.state(of: away) == .accepted }
        await couple.his.stop()
        let unsent = try await alice.say("three", in: there)
        // Stopped in the middle of sending.
        await alice.agent.vanish()
        let again = try await couple.alice(again: alice.folder)
        #expect(await again.state(of: unsent) == .pending)
        try await couple.his.startAgain()
        let back = try await couple.bob(again: bob.folder)
        try await until("Bob has all three", within: .seconds(120)) {
            await back.texts(with: [again]) == ["one", "two", "three"]
        }
        try await until("Alice knows", within: .seconds(60)) { await again.state(of: unsent) == .delivered }
        for person in [again, back] { await person.agent.stop() }
        await couple.stop()
    }

    @Test("a session that is lost is begun anew, and what could not be opened is said again and shown")
    func lostSession() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let (there, here) = try await exchange("one", "re one", alice, bob)
        try await Task.sleep(for: .milliseconds(300))
        await bob.agent.loseSessions(with: alice.did)
        let lost = try await alice.say("two", in: there)
        try await until("Bob has the second", within: .seconds(120)) {
            await bob.texts(with: [alice]) == ["one", "re one", "two"]
        }
        try await until("Alice knows", within: .seconds(60)) { await alice.state(of: lost) == .delivered }
        try await bob.say("re two", in: here)
        try await until("and on", within: .seconds(60)) { await alice.texts(in: there).last == "re two" }
        await couple.stop()
    }

    @Test("a second device has what comes and what the first one says")
    func secondDevice() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let phone = try await couple.bobsPhone()
        try await until("the phone is Bob’s", within: .seconds(60)) {
            (try? await phone.agent.messaging().isEnabled) == true
        }
        let there = try await alice.conversation(with: bob)
        try await alice.say("to both", in: there)
        for device in [bob, phone] {
            try await until("both have it", within: .seconds(90)) { await device.texts(with: [alice]) == ["to both"] }
        }
        let here = try await bob.conversation(with: alice)
        try await bob.say("from the computer", in: here)
        try await until("the phone shows it", within: .seconds(90)) {
            await phone.texts(with: [alice]) == ["to both", "from the computer"]
        }
        try await until("Alice, too", within: .seconds(60)) { await alice.texts(in: there).last == "from the computer" }
        try await phone.say("from the phone", in: try await phone.conversation(with: alice))
        try await until("the computer shows it", within: .seconds(90)) {
            await bob.texts(in: here).last == "from the phone"
        }
        await phone.agent.stop()
        await couple.stop()
    }

    @Test(
        "a device that is added later is told the past by the first one, be there a mailbox or not",
        arguments: [0, 1]
    )
    func toldHistory(owner: Int) async throws {
        let couple = try await Couple()
        let people = [(couple.bob, couple.his), (couple.alice, couple.hers)]
        let ((bob, his), (alice, hers)) = (people[owner], people[1 - owner])
        let (there, _) = try await exchange("one", "two", alice, bob)
        let phone = try await couple.phone(of: bob, at: his, trusting: hers)
        try await until("the phone has the past", within: .seconds(120)) {
            await phone.texts(with: [alice]) == ["one", "two"]
        }
        let shown = try #require(try await phone.agent.conversations().first)
        #expect(!shown.record.isRequest)
        try await alice.say("three", in: there)
        try await phone.say("four", in: shown.id.description)
        for device in [bob, phone] {
            try await until("both have what followed", within: .seconds(120)) {
                await Set(device.texts(with: [alice])) == ["one", "two", "three", "four"]
            }
        }
        await phone.agent.stop()
        await couple.stop()
    }

    @Test("a file goes by way of the sender’s relay")
    func attachment() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let there = try await alice.conversation(with: bob)
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let upload = try await alice.agent.upload(bytes, contentType: "application/pdf")
        _ = try await alice.agent.attach(
            upload,
            AttachmentDraft(.file, name: "garden.pdf", contentType: "application/pdf", size: 0),
            MessageDraft(text: "x"),
            in: there
        )
        try await until("Bob has the message", within: .seconds(60)) { await bob.texts(with: [alice]).count == 1 }
        let here = try await bob.conversation(with: alice)
        let line = try #require(try await bob.agent.messages(in: here).messages.last)
        let got = try await bob.agent.attachment(conversation: here, message: line.id.description)
        #expect(got.bytes == bytes && got.name == "garden.pdf")
        // His relay keeps none.
        let his = try await bob.agent.upload(bytes, contentType: "application/pdf")
        await #expect(throws: AgentError.self) {
            try await bob.agent.attach(
                his,
                AttachmentDraft(.file, name: "garden.pdf", contentType: "application/pdf", size: 0),
                MessageDraft(text: "x"),
                in: here
            )
        }
        await couple.stop()
    }

    @Test("when both have mailboxes the conversation goes on in a group, in the same thread")
    func goesOn() async throws {
        let couple = try await Couple()
        let (alice, bob) = (couple.alice, couple.bob)
        let there = try await alice.conversation(with: bob)
        try await alice.say("by ratchet", in: there)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [alice]) == ["by ratchet"] }
        (couple.hers.trusted, couple.his.trusted) = (couple.his.running.rootPath, couple.hers.running.rootPath)
        try await couple.hers.restart()
        await couple.his.stop()
        couple.his.hasMailboxes = true
        try await couple.his.startAgain()
        try await until("Bob has a mailbox", within: .seconds(60)) {
            ((try? await bob.agent.state())?["messaging"]?["mailbox"]?.string ?? "").contains("are kept at")
        }
        let here = try await bob.conversation(with: alice)
        try await bob.say("by group", in: here)
        try await until("Alice has it", within: .seconds(120)) {
            await alice.texts(in: there) == ["by ratchet", "by group"]
        }
        try await alice.say("both", in: there)
        try await until("Bob has that", within: .seconds(60)) {
            await bob.texts(in: here) == ["by ratchet", "by group", "both"]
        }
        #expect(await alice.agent.carriage(with: bob.did) == ["mls"])
        #expect(await bob.agent.carriage(with: alice.did) == ["mls"])
        let phone = try await couple.phone(of: alice, at: couple.hers, trusting: couple.his)
        try await until("Alice’s phone has all of it", within: .seconds(120)) {
            await phone.texts(with: [bob]) == ["by ratchet", "by group", "both"]
        }
        await phone.agent.stop()
        await couple.stop()
    }

    @Test("an agent that is gone at any moment, ten times over, loses nothing")
    func vanishing() async throws {
        let couple = try await Couple()
        let there = try await couple.alice.conversation(with: couple.bob)
        try await couple.alice.say("0", in: there)
        try await until("Bob has the first", within: .seconds(60)) {
            await couple.bob.texts(with: [couple.alice]) == ["0"]
        }
        var (writer, reader) = (couple.alice, couple.bob)
        var random = SystemRandomNumberGenerator()
        for round in 1...10 {
            try await writer.say("\(round)", in: there)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...120, using: &random)))
            if Bool.random(using: &random) {
                await writer.agent.vanish()
                writer = try await couple.alice(again: couple.alice.folder)
            } else {
                await reader.agent.vanish()
                reader = try await couple.bob(again: couple.bob.folder)
            }
        }
        let all = Set((0...10).map(String.init))
        let (last, lastReader) = (writer, reader)
        try await until("everything is there", within: .seconds(120)) {
            Set(await lastReader.texts(with: [last])) == all
        }
        #expect(await lastReader.texts(with: [last]).count == all.count)
        #expect(await last.texts(in: there).count == all.count)
        for person in [last, lastReader] { await person.agent.stop() }
        await couple.stop()
    }
}
