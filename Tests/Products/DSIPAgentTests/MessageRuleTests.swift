import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import DSIPAgent

@Suite("Who may write, on which devices, and how much, over a real relay", .serialized, .timeLimit(.minutes(15)))
struct MessageRuleTests {
    private func couple() async throws -> (relay: TestRelay, alice: Person, bob: Person) {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        return (relay, alice, bob)
    }

    private func phone(of bob: Person, at relay: TestRelay, folder: TemporaryFolder = TemporaryFolder()) async throws
        -> Person
    {
        let phone = try await Person("Bob", at: relay, folder: folder, createsIdentity: false, kind: .phone)
        _ = try await bob.agent.approvePairing(phone.agent.beginPairing().code, name: "Phone")
        try await until("the phone is one of Bob’s", within: .seconds(60)) { await bob.agent.devicesInMail() == 2 }
        return phone
    }

    @Test("who is blocked is left and has no way in; who is unblocked comes in by writing or asking again")
    func blocking() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        try await alice.say("hello", in: there)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["hello"] }
        let contact = try #require(try await bob.agent.contacts().first)
        _ = try await bob.agent.updateContact(contact.id, blocked: true)
        try await until("Alice is alone", within: .seconds(60)) {
            ((try? await alice.agent.messages(in: there).messages) ?? []).contains { $0.record.kind == .roster }
        }
        let unheard = try await alice.say("are you there?", in: there)
        try await until("Alice is told that she has to ask", within: .seconds(60)) {
            (try? await alice.agent.conversations().first)?.record.notice == .inviteOnly
        }
        #expect(await alice.state(of: unheard) == .pending)
        #expect(try await bob.agent.conversations().isEmpty)
        _ = try await bob.agent.updateContact(contact.id, allowed: true, blocked: false)
        let here = try await bob.conversation(with: alice)
        try await bob.say("sorry", in: here)
        try await until("both have both", within: .seconds(60)) {
            let (a, b) = (await alice.texts(in: there), await bob.texts(in: here))
            return Set(a) == ["hello", "are you there?", "sorry"] && Set(b) == Set(a)
        }
        await relay.stop()
    }

    @Test("what is written to somebody unknown waits for their answer, and arrives when it is yes")
    func firstContact() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let there = try await alice.agent.openConversation(with: await bob.uri).id.description
        let first = try await alice.say("we met at the fair", in: there)
        try await until("Bob is asked", within: .seconds(60)) {
            (try? await bob.agent.conversations().first)?.record.isRequest == true
        }
        #expect(await alice.state(of: first) == .pending)
        #expect(await bob.texts(with: [alice]).isEmpty)
        let here = try #require(try await bob.agent.conversations().first).id.description
        _ = try await bob.agent.acceptConversation(here)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(in: here) == ["we met at the fair"] }
        try await bob.say("I remember", in: here)
        try await until("Alice has the answer", within: .seconds(60)) {
            await alice.texts(in: there).last == "I remember"
        }
        await relay.stop()
    }

    @Test("a text of any length arrives whole, the longest as a file of text")
    func longText() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        let short = String(repeating: "short \"line\"\n", count: 900)
        let long = String(repeating: "a long line, ünd söme more\n", count: 4000)
        try await alice.say(short, in: there)
        let sent = try await alice.say(long, in: there)
        #expect(sent.record.kind == .file && sent.record.attachment?.contentType.hasPrefix("text/plain") == true)
        try await until("Bob has both", within: .seconds(60)) { await bob.texts(with: [alice]).count == 2 }
        let here = try await bob.conversation(with: alice)
        let lines = try await bob.agent.messages(in: here).messages.filter(\.record.isContent)
        #expect(lines.first?.record.text == short)
        let whole = try await bob.agent.attachment(conversation: here, message: lines[1].id.description)
        #expect(String(decoding: whole.bytes, as: UTF8.self) == long)
        await relay.stop()
    }

    @Test("both ends have one safety number; what was compared is remembered, another’s is different")
    func safetyNumbers() async throws {
        let (relay, alice, bob) = try await couple()
        let (there, here) = (try await alice.conversation(with: bob), try await bob.conversation(with: alice))
        let hers = try await alice.agent.safetyNumber(in: there)
        let his = try await bob.agent.safetyNumber(in: here)
        let digits = try #require(hers["digits"]?.string)
        #expect(his["digits"]?.string == digits && hers["compared"] == "never")
        #expect(try await bob.agent.compareSafetyNumber(in: here, scanned: digits)["result"] == "same")
        #expect(try await bob.agent.safetyNumber(in: here)["compared"] == "same")
        let carol = try await Person("Carol", at: relay)
        try await befriend(carol, bob)
        let other = try await carol.agent.safetyNumber(in: try await carol.conversation(with: bob))
        let foreign = try #require(other["digits"]?.string)
        #expect(try await bob.agent.compareSafetyNumber(in: here, scanned: foreign)["result"] == "different")
        await relay.stop()
    }

    @Test("a device that is revoked reads nothing of what is said afterwards; its siblings read on")
    func revokedDevice() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        let phone = try await phone(of: bob, at: relay)
        try await alice.say("for both", in: there)
        try await until("both have it", within: .seconds(60)) {
            let (a, b) = (await bob.texts(with: [alice]), await phone.texts(with: [alice]))
            return a == ["for both"] && b == a
        }
        let device = try #require(try await bob.agent.devices().first { !$0.isThis })
        _ = try await bob.agent.revokeDevice(device.did.string, reason: "lost")
        try await until("it is out of Bob’s devices", within: .seconds(60)) { await bob.agent.devicesInMail() == 1 }
        try await until("it is out of the conversation", within: .seconds(60)) {
            await alice.agent.leaves(in: there) == 2
        }
        try await alice.say("for Bob’s computer", in: there)
        try await until("Bob has it", within: .seconds(60)) {
            await bob.texts(with: [alice]) == ["for both", "for Bob’s computer"]
        }
        #expect(await phone.texts(with: [alice]) == ["for both"])
        await relay.stop()
    }

    @Test("a call that was missed while everybody was away is shown on every device, once")
    func missedEverywhere() async throws {
        let (relay, alice, bob) = try await couple()
        let folder = TemporaryFolder()
        let phone = try await phone(of: bob, at: relay, folder: folder)
        await bob.agent.stop()
        await phone.agent.stop()
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        try await until("the relay holds it") { alice.call(session)?.progress.contains { $0.kind == .held } == true }
        _ = try await alice.agent.cancel(session)
        _ = try await alice.ended(session)
        let back = try await Person("Bob", at: relay, folder: bob.folder)
        _ = try await back.logged(session)
        await back.agent.stop()
        let later = try await Person("Bob", at: relay, folder: folder, createsIdentity: false, kind: .phone)
        try await until("the phone’s log has the call", within: .seconds(60)) {
            later.now.log.contains { $0.session == session && $0.outcome == .missed }
        }
        #expect(later.now.log.count { $0.session == session } == 1)
        await relay.stop()
    }

    @Test("a delegation is renewed while the agent runs, and its messages are signed under the new one")
    func renewal() async throws {
        let clock = NIOLockedValueBox(Int64(Date().timeIntervalSince1970))
        let folder = TemporaryFolder()
        let agent = try Agent(
            AgentConfiguration(
                stateFolder: folder.path,
                relay: "wss://127.0.0.1:9/dsip",
                displayName: "Alice",
                clock: { clock.withLockedValue { $0 } }
            ),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await agent.start()
        let before = try #require(await agent.delegations())
        #expect(before.desk == before.mail)
        let half = (before.desk + clock.withLockedValue { $0 }) / 2
        clock.withLockedValue { $0 = half - 60 }
        await agent.advance()
        #expect(await agent.delegations()?.desk == before.desk)
        clock.withLockedValue { $0 = half + 60 }
        await agent.advance()
        let after = try #require(await agent.delegations())
        #expect(after.desk > before.desk && after.mail == after.desk)
        await agent.stop()
    }

    @Test("a page hands over a file and gets it back, whole and in parts")
    func fileRoutes() async throws {
        let (relay, alice, bob) = try await couple()
        let there = try await alice.conversation(with: bob)
        let server = try await LocalServer.start(
            agent: alice.agent,
            port: 0,
            folder: TemporaryFolder().path,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        func exchange(_ head: String, _ headers: [String], _ body: [UInt8] = []) async throws -> (String, [UInt8]) {
            var lines = [
                head, "Host: 127.0.0.1:\(server.port)", "Connection: close", "Authorization: Bearer \(server.token)",
            ]
            lines += headers
            if !body.isEmpty { lines.append("Content-Length: \(body.count)") }
            let socket = try await RawSocket(port: server.port)
            try await socket.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
            let reply = await socket.rest()
            let end = try #require(reply.firstRange(of: Array("\r\n\r\n".utf8)))
            return (String(decoding: reply[..<end.lowerBound], as: UTF8.self), Array(reply[end.upperBound...]))
        }
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
        let (taken, upload) = try await exchange("POST /api/v1/uploads HTTP/1.1", ["Content-Type: image/png"], bytes)
        #expect(taken.hasPrefix("HTTP/1.1 200"))
        let id = try #require(try JSONValue(parsing: upload)["upload"]?.string)
        let request: JSONValue = [
            "conversation": .string(there), "upload": .string(id), "kind": "image", "content_type": "image/png",
            "name": "garden.png", "text": "our garden",
        ]
        let (sent, body) = try await exchange(
            "POST /api/v1/messages.attach HTTP/1.1",
            ["Content-Type: application/json"],
            request.utf8
        )
        #expect(sent.hasPrefix("HTTP/1.1 200"))
        let message = try #require(try JSONValue(parsing: body)["id"]?.string)
        let path = "GET /api/v1/attachments/\(there)/\(message) HTTP/1.1"
        let whole = try await exchange(path, [])
        #expect(whole.0.hasPrefix("HTTP/1.1 200") && whole.1 == bytes)
        let part = try await exchange(path, ["Range: bytes=1000-1999"])
        #expect(part.0.hasPrefix("HTTP/1.1 206") && part.1 == Array(bytes[1000..<2000]))
        #expect(part.0.lowercased().contains("content-range: bytes 1000-1999/300000"))
        #expect(try await exchange(path, ["Range: bytes=400000-"]).0.hasPrefix("HTTP/1.1 416"))
        try await until("Bob has it and what was said of it", within: .seconds(60)) {
            await bob.texts(with: [alice]) == ["", "our garden"]
        }
        await server.stop()
        await relay.stop()
    }
}

extension Agent {
    /// Devices of the current identity in its personal group.
    func devicesInMail() -> Int {
        guard var mail = desks[current]?.mail?.mail else { return 0 }
        return (try? mail.devices().count) ?? 0
    }

    /// Leaves of a conversation's group.
    func leaves(in conversation: String) -> Int {
        guard let id = ULID(conversation), var mail = desks[current]?.mail?.mail else { return 0 }
        return (try? mail.leafCount(in: id)) ?? 0
    }

    /// When the delegations end under which this device signs, and under which its leaves stand.
    func delegations() -> (desk: Int64, mail: Int64)? {
        guard let desk = desks[current], let messages = desk.mail,
            let signed = desk.delegations.first.flatMap(Delegation.decode),
            let stood = Delegation.decode(messages.mail.configuration.delegation)
        else { return nil }
        return (signed.expiresAt, stood.expiresAt)
    }
}
