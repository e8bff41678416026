import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

@Suite("Broadcasts between agents, over a real relay", .serialized, .timeLimit(.minutes(10)))
struct AgentBroadcastTests {
    private func draft(_ stream: String = "radio:main", title: String = "Bob Live Radio") -> Agent.Draft {
        Agent.Draft(
            stream: stream,
            title: title,
            variants: [
                .init(
                    id: "opus",
                    media: [.audio],
                    codec: "codec:audio/opus",
                    transport: "transport:webrtc",
                    uri: "https://live.example/whep"
                ),
                .init(
                    id: "aac",
                    media: [.audio],
                    codec: "codec:audio/aac",
                    transport: "transport:hls",
                    uri: "https://live.example/main.m3u8"
                ),
            ],
            policy: ["transcoding": "forbidden"]
        )
    }

    private func seen(_ person: Person, _ stream: String) async -> Broadcast? {
        await person.agent.broadcasts().first { $0.stream == stream }
    }

    @Test("a listener sees the publisher’s record, a processor’s statement, and the withdrawal, each as it comes")
    func following() async throws {
        let relay = try await TestRelay()
        let (bob, carol, alice) = (
            try await Person("Bob", at: relay), try await Person("Carol", at: relay),
            try await Person("Alice", at: relay)
        )
        let published = try await bob.agent.publish(draft())
        let stream = await bob.did.string + ":radio:main"
        #expect(published.stream == stream && published.isOwn && published.state == .live)
        let heard = try await alice.agent.watch(stream)
        #expect(heard.state == .live && !heard.isOwn && heard.isCurrent)
        #expect(await heard.publisher.did == bob.did)
        #expect(heard.record?.publish.title == "Bob Live Radio")
        let hls = ReceiverCapabilities(codecs: ["codec:audio/aac"], transports: ["transport:hls"])
        #expect(try await alice.agent.choose(stream, hls)["variant"]?.string == "aac")
        #expect(try await alice.agent.choose(stream, hls)["integrity"]?.string == "metadata-only")
        let attested = try await carol.agent.attest(
            stream,
            operation: "transcode",
            input: "opus",
            output: "low",
            uri: "https://cdn.example/low"
        )
        #expect(attested.statements.map(\.policyViolation) == [.transcoding])
        try await until("Alice has the statement") { await seen(alice, stream)?.statements.count == 1 }
        let chosen = try await alice.agent.choose(stream, hls)
        #expect(chosen["integrity"]?.string == "derivative-bound")
        #expect(await chosen["transcoded_by"]?.array == [.string(carol.did.string)])
        let renewed = try await bob.agent.publish(draft(title: "Later"))
        #expect(renewed.statements.isEmpty)
        try await until("Alice has the newer record") { await seen(alice, stream)?.record?.publish.title == "Later" }
        #expect(try await bob.agent.unpublish("radio:main").state == .withdrawn)
        try await until("Alice hears that it is over") { await seen(alice, stream)?.state == .withdrawn }
        try await alice.agent.unwatch(stream)
        #expect(await alice.agent.broadcasts().isEmpty)
        await relay.stop()
    }

    @Test("what is followed is followed again after the relay has restarted, and after the agent has")
    func restarts() async throws {
        let relay = try await TestRelay()
        let folder = TemporaryFolder()
        let bob = try await Person("Bob", at: relay)
        var alice = try await Person("Alice", at: relay, folder: folder)
        _ = try await bob.agent.publish(draft())
        let stream = await bob.did.string + ":radio:main"
        #expect(try await alice.agent.watch(stream).state == .live)
        try await relay.restart()
        try await bob.connected()
        try await alice.connected()
        _ = try await bob.agent.publish(draft(title: "After"))
        try await until("Alice follows still", within: .seconds(60)) {
            await seen(alice, stream)?.record?.publish.title == "After"
        }
        await alice.agent.stop()
        alice = try await Person("Alice", at: relay, folder: folder)
        try await until("Alice follows again", within: .seconds(60)) { await seen(alice, stream)?.state == .live }
        await relay.stop()
    }

    @Test("a record is published anew before it ends where that was asked for, until it is taken back")
    func renewal() async throws {
        let offset = NIOLockedValueBox<Int64>(0)
        let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + offset.withLockedValue { $0 } }
        let relay = try await TestRelay(clock: clock)
        let folder = TemporaryFolder()
        var bob = try await Person("Bob", at: relay, folder: folder, clock: clock)
        var renewed = draft()
        (renewed.lifetime, renewed.isRenewed) = (3600, true)
        let first = try #require(try await bob.agent.publish(renewed).record?.id)
        let once = try await bob.agent.publish(draft("radio:once")).stream
        let stream = await bob.did.string + ":radio:main"
        // Over a restart as well.
        await bob.agent.stop()
        bob = try await Person("Bob", at: relay, folder: folder, clock: clock)
        try await until("Bob follows his streams", within: .seconds(60)) { await seen(bob, stream)?.state == .live }
        offset.withLockedValue { $0 += 2200 }
        await bob.agent.advance()
        try await until("the record is another", within: .seconds(60)) {
            await seen(bob, stream).map { $0.record?.id != first && $0.state == .live } ?? false
        }
        #expect(await seen(bob, once)?.record?.publish.title == "Bob Live Radio")
        #expect(try await bob.agent.unpublish("radio:main").state == .withdrawn)
        #expect(await bob.agent.renewalDue(of: stream) == nil)
        await relay.stop()
    }

    @Test("what cannot be had, and what may not be said, is refused with a sentence")
    func refusals() async throws {
        let relay = try await TestRelay()
        let (bob, alice) = (try await Person("Bob", at: relay), try await Person("Alice", at: relay))
        let missing = try await alice.agent.watch(await bob.did.string + ":nothing")
        #expect(missing.state == .unavailable && missing.record == nil)
        await #expect(throws: AgentError(.badRequest, "")) {
            _ = try await alice.agent.publish(draft(await bob.did.string + ":radio"))
        }
        await #expect(throws: AgentError(.notFound, "")) { _ = try await alice.agent.unpublish("nothing") }
        await #expect(throws: AgentError(.notFound, "")) { try await alice.agent.unwatch("nothing") }
        await #expect(throws: AgentError.self) { _ = try await alice.agent.watch("not a stream") }
        var large = draft()
        large.variants = (0..<60).map { number in
            var variant = large.variants[0]
            variant.id = "v\(number)"
            return variant
        }
        await #expect(throws: AgentError(.tooLarge, "")) { _ = try await bob.agent.publish(large) }
        var malformed = draft()
        malformed.variants[0].codec = "opus"
        await #expect(throws: AgentError(.badRequest, "")) { _ = try await bob.agent.publish(malformed) }
        await relay.stop()
    }
}

extension Agent {
    fileprivate func renewalDue(of stream: String) -> Int64? { watched[stream]?.renewalDue }
}
