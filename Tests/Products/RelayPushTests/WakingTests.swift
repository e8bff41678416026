import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import Encoding
import Foundation
import Logging
import NIOConcurrencyHelpers
import Testing
import WebPush

@testable import DSIPAgent
@testable import DSIPRelay

/// A relay, two people's agents, and the browser of one of them, which listens at a push service of our own.
private final class WakingScene {
    let service: PushServiceDouble
    let browser: PushReceiver
    private let relayFolder = try! TemporaryFolder()
    private let folders = ["Alice": try! TemporaryFolder(), "Bob": try! TemporaryFolder()]
    private let engine: Relay
    let relay: Relay.Running
    let alice: Agent
    private(set) var bob: Agent

    init() async throws {
        var random = SystemRandomNumberGenerator()
        service = try await PushServiceDouble()
        browser = PushReceiver(using: &random)
        var configuration = RelayConfiguration(stateFolder: relayFolder.path + "/state")
        configuration.port = 0
        configuration.stun.port = 0
        configuration.drainSeconds = 1
        configuration.logLevel = .critical
        configuration.resolver.additionalRoots = service.rootPath
        engine = Relay(configuration)
        relay = try await engine.start()
        alice = try Self.agent("Alice", folders["Alice"]!, relay)
        bob = try Self.agent("Bob", folders["Bob"]!, relay)
        for agent in [alice, bob] { try await agent.start() }
        for agent in [alice, bob] { try await connected(agent) }
        _ = try await alice.addContact(await uri(of: bob), name: "Bob")
        _ = try await bob.addContact(await uri(of: alice), name: "Alice")
    }

    private static func agent(_ name: String, _ folder: TemporaryFolder, _ relay: Relay.Running) throws -> Agent {
        var configuration = AgentConfiguration(
            stateFolder: folder.path + "/state",
            relay: relay.url,
            trustRoots: [relay.rootPath].compactMap(\.self),
            displayName: name,
            allowedAddresses: [AddressRange("127.0.0.1/32")!]
        )
        configuration.deviceKind = .computer
        return try Agent(configuration, log: Logger(label: name, factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    func uri(of agent: Agent) async -> String { await agent.ownIdentities().first { $0.current }!.uri }
    func did(of agent: Agent) async -> DID { await agent.ownIdentities().first { $0.current }!.did }

    func connected(_ agent: Agent) async throws {
        try await until("connected") { (try? await agent.state())?["relay"]?["state"]?.string == "connected" }
    }

    /// Bob's browser wants to know.
    func subscribe() async throws {
        try await bob.subscribe(
            endpoint: service.base + "/p/bob",
            p256dh: Base64URL.encode(browser.publicKey),
            auth: Base64URL.encode(browser.authenticationSecret)
        )
        try await until("the relay knows") { self.engine.metrics?.contains("dsip_relay_push_devices 1\n") == true }
    }

    /// - Parameter look: at what happens from the first moment on.
    func startBobAgain(_ look: (AsyncStream<AgentEvent>) -> Void = { _ in }) async throws {
        bob = try Self.agent("Bob", folders["Bob"]!, relay)
        look(bob.events())
        try await bob.start()
        try await connected(bob)
    }

    /// The wakes that have come, opened as a browser opens them.
    func wakes() throws -> [WakePayload] {
        try service.requests.map { try #require(WakePayload(try browser.decrypt($0.body))) }
    }

    func texts(_ agent: Agent, with other: Agent) async throws -> [String] {
        let peer = await did(of: other)
        guard let there = try await agent.conversations().first(where: { $0.record.peer == peer }) else { return [] }
        return try await agent.messages(in: there.id.description, limit: 50).messages.filter { $0.record.isContent }
            .map(\.record.text)
    }

    func stop() async {
        await alice.stop()
        await bob.stop()
        await engine.stop()
        await service.stop()
    }
}

private func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    throw RelayError(.refused, "not in time: \(what)")
}

@Suite("A browser whose page is closed is woken, end to end", .serialized, .timeLimit(.minutes(5)))
struct WakingTests {
    @Test("who is away is woken for a message; the push says which relay and which envelope, and nothing else")
    func message() async throws {
        let scene = try await WakingScene()
        let there = try await scene.alice.openConversation(with: await scene.did(of: scene.bob).string).id.description
        _ = try await scene.alice.send(MessageDraft(text: "hello"), in: there)
        try await until("Bob has it") { try await scene.texts(scene.bob, with: scene.alice) == ["hello"] }
        try await scene.subscribe()
        await scene.bob.stop()
        let before = scene.service.requests.count
        _ = try await scene.alice.send(MessageDraft(text: "the secret of the garden"), in: there)
        try await until("a push") { scene.service.requests.count > before }
        let request = try #require(scene.service.requests.last)
        #expect(request.path == "/p/bob")
        let wake = try #require(try scene.wakes().last)
        #expect(wake.relay == scene.relay.did)
        let plain = try scene.browser.decrypt(request.body)
        let said = try JSONValue(parsing: plain)
        #expect(said.object?.count == 2 && said["relay"] != nil && said["envelope_id"] != nil)
        let credentials = try VAPIDCredentials(authorization: request.headers["authorization"] ?? "")
        _ = try credentials.verified(for: scene.service.base, at: Int64(Date().timeIntervalSince1970))
        let key = await scene.alice.pushKey()["public_key"]?.string
        #expect(Base64URL.encode(credentials.publicKey) == key)
        for text in [plain, request.body] {
            #expect(!String(decoding: text, as: UTF8.self).contains("garden"))
        }
        try await scene.startBobAgain()
        try await until("Bob has read it") {
            try await scene.texts(scene.bob, with: scene.alice).last == "the secret of the garden"
        }
        await scene.stop()
    }

    @Test("a call to someone away wakes at once and urgently; opened in time, it rings")
    func call() async throws {
        let scene = try await WakingScene()
        try await scene.subscribe()
        await scene.bob.stop()
        let place = try await scene.alice.place(to: await scene.did(of: scene.bob).string, sdp: callOffer)
        try await until("a push") { scene.service.requests.contains { $0.headers["urgency"] == "high" } }
        let wake = try #require(try scene.wakes().last)
        #expect(wake.envelope.description == place.session && wake.relay == scene.relay.did)
        let rung = NIOLockedValueBox<String?>(nil)
        try await scene.startBobAgain { events in
            Task {
                for await event in events {
                    if case .call(let call) = event, call.state == .incoming {
                        rung.withLockedValue { $0 = call.session }
                    }
                }
            }
        }
        try await until("it rings") { rung.withLockedValue { $0 } == place.session }
        await scene.stop()
    }

    @Test(
        "an agent that runs with its page closed has its browser woken: for calls and new messages, not for what is read"
    )
    func closedPage() async throws {
        let scene = try await WakingScene()
        let there = try await scene.alice.openConversation(with: await scene.did(of: scene.bob).string).id.description
        try await scene.subscribe()
        let first = try await scene.alice.send(MessageDraft(text: "one"), in: there)
        try await until("a push for it") { scene.service.requests.count == 1 }
        #expect(try scene.wakes().map(\.envelope) == [first.id])
        let session = try await scene.alice.place(to: await scene.did(of: scene.bob).string, sdp: callOffer).session
        try await until("a push for the call") { scene.service.requests.count == 2 }
        #expect(try scene.wakes().last?.envelope.description == session)
        #expect(scene.service.requests.last?.headers["urgency"] == "high")
        _ = try await scene.alice.cancel(session)

        // A page is open: it shows everything itself.
        let events = scene.bob.events()
        let page = Task { for await _ in events {} }
        let seen = try await scene.alice.send(MessageDraft(text: "two"), in: there)
        try await until("Bob has it") { try await scene.texts(scene.bob, with: scene.alice).last == "two" }
        page.cancel()
        try await until("closed") { !scene.bob.hub.hasListeners }
        let here = try #require(try await scene.bob.conversations().first).id.description
        var change = Agent.ConversationChange()
        change.isMuted = true
        _ = try await scene.bob.updateConversation(here, change)
        let muted = try await scene.alice.send(MessageDraft(text: "three"), in: there)
        try await until("Bob has it") { try await scene.texts(scene.bob, with: scene.alice).last == "three" }
        let wokenFor = await scene.bob.wokenFor
        #expect(!wokenFor.contains(seen.id) && !wokenFor.contains(muted.id))
        await scene.stop()
    }
}

/// A description as a browser writes it: audio alone.
private let callOffer =
    [
        "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0", "a=ice-ufrag:alce", "a=ice-pwd:0123456789012345678901",
        "a=fingerprint:sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":"), "a=setup:actpass",
        "a=mid:0", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2",
    ].joined(separator: "\r\n") + "\r\n"
