import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

extension Person {
    /// The direct conversation with somebody.
    func conversation(with other: Person) async throws -> String {
        try await agent.openConversation(with: await other.did.string).id.description
    }

    @discardableResult
    func say(_ text: String, in conversation: String) async throws -> ChatMessage {
        try await agent.send(MessageDraft(text: text), in: conversation)
    }

    /// What is written in the conversation that everybody in `with` is in, as it is shown.
    func texts(with others: [Person]) async -> [String] {
        let wanted = Set(await others.asyncMap { await $0.did })
        guard let all = try? await agent.conversations(),
            let found = all.first(where: { Set($0.record.members) == wanted })
        else { return [] }
        return await texts(in: found.id.description)
    }

    func texts(in conversation: String) async -> [String] {
        ((try? await agent.messages(in: conversation, limit: 200))?.messages ?? []).filter { $0.record.isContent }
            .map(\.record.text)
    }

    func state(of message: ChatMessage) async -> MessageRecord.State? {
        let page = try? await agent.messages(
            in: message.record.conversation.description,
            around: message.id.description,
            limit: 2
        )
        return page?.messages.first { $0.id == message.id }?.record.state
    }
}

extension Sequence {
    func asyncMap<T>(_ transform: (Element) async throws -> T) async rethrows -> [T] {
        var all: [T] = []
        for element in self { all.append(try await transform(element)) }
        return all
    }
}

@Suite("Messages between people, over a real relay", .serialized, .timeLimit(.minutes(10)))
struct MessageTests {
    private func couple() async throws -> (relay: TestRelay, alice: Person, bob: Person) {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        return (relay, alice, bob)
    }

    @Test("two people write to each other, and each sees what the other has got")
    func bothWays() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        let hello = try await alice.say("Hello Bob", in: there)
        #expect(hello.record.state == .pending)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["Hello Bob"] }
        let here = try await bob.conversation(with: alice)
        try await bob.say("Hello Alice", in: here)
        try await until("Alice has the answer") { await alice.texts(in: there) == ["Hello Bob", "Hello Alice"] }
        try await until("Alice knows that Bob has it") { await alice.state(of: hello) == .delivered }
        #expect(try await alice.agent.conversations().first?.record.unread == 1)
        let last = try #require(try await alice.agent.messages(in: there).messages.last)
        try await alice.agent.markRead(there, through: last.id.description)
        #expect(try await alice.agent.conversations().first?.record.unread == 0)
        await relay.stop()
    }

    @Test("what is said to someone away waits for them, and for the relay when that is away")
    func offline() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("one", in: there)
        try await until("Bob has the first") { await bob.texts(with: [alice]) == ["one"] }
        await bob.agent.stop()
        let away = try await alice.say("two", in: there)
        try await until("the relay has it") { await alice.state(of: away) == .accepted }
        await relay.stop()
        let unsent = try await alice.say("three", in: there)
        #expect(await alice.state(of: unsent) == .pending)
        try await relay.startAgain()
        let again = try await Person("Bob", at: relay, folder: bob.folder)
        try await until("Bob has all three", within: .seconds(60)) {
            await again.texts(with: [alice]) == ["one", "two", "three"]
        }
        await relay.stop()
    }

    @Test("a message written while nothing could be sent goes out after the agent was started again")
    func pendingOutbox() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("before", in: there)
        try await until("Bob has the first") { await bob.texts(with: [alice]) == ["before"] }
        await relay.stop()
        try await alice.say("kept", in: there)
        await alice.agent.vanish()
        try await relay.startAgain()
        let again = try await Person("Alice", at: relay, folder: alice.folder)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [again]) == ["before", "kept"] }
        #expect(await again.texts(in: there) == ["before", "kept"])
        await relay.stop()
    }

    @Test("a file of five megabytes arrives as it was, its place on disk holds no plaintext")
    func attachment() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        var bytes = Array("a picture of a garden ".utf8)
        bytes += (bytes.count..<5 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let upload = try await alice.agent.upload(bytes, contentType: "application/pdf")
        let sent = try await alice.agent.attach(
            upload,
            AttachmentDraft(.file, name: "garden.pdf", contentType: "application/pdf", size: 0),
            MessageDraft(text: "x"),
            in: there
        )
        try await until("Bob has the message", within: .seconds(60)) {
            await bob.texts(with: [alice]).count == 1
        }
        let here = try await bob.conversation(with: alice)
        let line = try #require(try await bob.agent.messages(in: here).messages.last)
        #expect(line.record.attachment?.name == "garden.pdf" && line.record.kind == .file)
        let got = try await bob.agent.attachment(conversation: here, message: line.id.description)
        #expect(got.bytes == bytes && got.name == "garden.pdf")
        #expect(try await alice.agent.attachment(conversation: there, message: sent.id.description).bytes == bytes)
        for person in [alice, bob] {
            let files = try FileManager.default.subpathsOfDirectory(atPath: person.folder.path)
            for file in files
            where file.hasPrefix("attachments/") || file.hasPrefix("outgoing/") || file.hasPrefix("uploads/") {
                let contents = FileManager.default.contents(atPath: person.folder.path + "/" + file) ?? Data()
                #expect(contents.range(of: Data("a picture of a garden".utf8)) == nil)
            }
        }
        await relay.stop()
    }

    @Test("a device that is paired shows what was said before, and what is said after")
    func secondDevice() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("before the phone", in: there)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["before the phone"] }
        let phone = try await Person("Bob", at: relay, createsIdentity: false, kind: .phone)
        let code = try await phone.agent.beginPairing().code
        _ = try await bob.agent.approvePairing(code, name: "Phone")
        try await until("the phone shows the past", within: .seconds(90)) {
            await phone.texts(with: [alice]) == ["before the phone"]
        }
        try await alice.say("after", in: there)
        try await until("the phone shows the present", within: .seconds(60)) {
            await phone.texts(with: [alice]) == ["before the phone", "after"]
        }
        let here = try await phone.conversation(with: alice)
        try await phone.say("from the phone", in: here)
        try await until("Alice and the computer have it", within: .seconds(60)) {
            let last = (await alice.texts(in: there).last, await bob.texts(with: [alice]).last)
            return last == ("from the phone", "from the phone")
        }
        await relay.stop()
    }

    @Test("three people in a group; one who is taken out reads nothing further")
    func group() async throws {
        let (relay, alice, bob) = try await couple()
        let carol = try await Person("Carol", at: relay)
        try await befriend(alice, carol)
        try await befriend(bob, carol)
        let group = try await alice.agent.createGroup(
            title: "Garden",
            members: [await bob.did.string, await carol.did.string]
        )
        // Each is asked first, and answers by itself: they know Alice. What is said meanwhile waits for them.
        try await alice.say("welcome", in: group.id.description)
        for person in [bob, carol] {
            try await until("\(person.name) is in", within: .seconds(60)) {
                await person.texts(with: [alice, bob, carol].filter { $0 !== person }) == ["welcome"]
            }
        }
        let hers = try #require(try await carol.agent.conversations().first { $0.record.kind == .group })
        #expect(hers.record.title == "Garden")
        try await carol.say("thank you", in: hers.id.description)
        try await until("Bob has Carol’s", within: .seconds(60)) {
            await bob.texts(with: [alice, carol]).last == "thank you"
        }
        _ = try await alice.agent.removeMembers([await carol.did.string], from: group.id.description)
        try await until("Carol is told", within: .seconds(60)) {
            (try? await carol.agent.conversations().first { $0.record.kind == .group })?.record.isRemoved == true
        }
        try await alice.say("without her", in: group.id.description)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [alice]).contains("without her") }
        #expect(await carol.texts(in: hers.id.description) == ["welcome", "thank you"])
        await relay.stop()
    }

    @Test("words are found by how they begin, whatever their case and accents")
    func search() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        for text in ["Das Café öffnet um acht", "nothing of the kind", "cafeteria \"quoted\" AND OR NOT"] {
            try await alice.say(text, in: there)
        }
        let found = try await alice.agent.search("CAFE")
        #expect(found.map(\.message.record.text).sorted().count == 2)
        #expect(found.contains { $0.snippet.contains("\u{02}Café\u{03}") })
        #expect(try await alice.agent.search("offnet acht").count == 1)
        #expect(try await alice.agent.search("\"quoted\" AND").count == 1)
        #expect(try await alice.agent.search("\" * ( ) -").isEmpty)
        let line = try #require(found.first { $0.snippet.contains("Café") })
        _ = try await alice.agent.retract(line.message.id.description)
        try await until("what was taken back is not found") {
            (try? await alice.agent.search("offnet").isEmpty) == true
        }
        await relay.stop()
    }

    @Test("reading and typing are told only by those who chose to")
    func policies() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        let first = try await alice.say("one", in: there)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["one"] }
        let here = try await bob.conversation(with: alice)
        try await until("delivered") { await alice.state(of: first) == .delivered }
        try await bob.agent.markRead(here, through: first.id.description)
        try await bob.agent.act("typing", isActive: true, in: here)
        try await Task.sleep(for: .seconds(1))
        #expect(await alice.state(of: first) == .delivered)
        #expect(try await alice.agent.conversations().first?.typing.isEmpty == true)
        #expect(try await bob.agent.setMessaging(readReceipts: true, typing: true).readReceipts)
        let second = try await alice.say("two", in: there)
        try await until("Bob has the second") { await bob.texts(with: [alice]) == ["one", "two"] }
        try await bob.agent.markRead(here, through: second.id.description)
        try await until("Alice knows that Bob read it") { await alice.state(of: second) == .read }
        try await bob.agent.act("typing", isActive: true, in: here)
        try await until("Alice sees Bob typing") {
            try! await alice.agent.conversations().first?.typing.isEmpty == false
        }
        await relay.stop()
    }

    @Test("who is blocked is not shown, and shown again when they no longer are")
    func blocking() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("hello", in: there)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["hello"] }
        let contact = try #require(try await bob.agent.contacts().first)
        _ = try await bob.agent.updateContact(contact.id, blocked: true)
        #expect(try await bob.agent.conversations().isEmpty)
        _ = try await bob.agent.updateContact(contact.id, allowed: true, blocked: false)
        #expect(try await bob.agent.conversations().count == 1)
        await relay.stop()
    }

    @Test("an agent that is gone at any moment, twenty times over, loses nothing")
    func vanishing() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("0", in: there)
        try await until("Bob has the first") { await bob.texts(with: [alice]) == ["0"] }
        var (writer, reader) = (alice, bob)
        var random = SystemRandomNumberGenerator()
        for round in 1...20 {
            try await writer.say("\(round)", in: there)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...120, using: &random)))
            if Bool.random(using: &random) {
                await writer.agent.vanish()
                writer = try await Person("Alice", at: relay, folder: alice.folder)
            } else {
                await reader.agent.vanish()
                reader = try await Person("Bob", at: relay, folder: bob.folder)
            }
        }
        let wanted = (0...20).map(String.init)
        let (a, b) = (writer, reader)
        try await until("Bob has all of them", within: .seconds(90)) { await b.texts(with: [a]) == wanted }
        #expect(await a.texts(in: there) == wanted)
        await relay.stop()
    }
}
