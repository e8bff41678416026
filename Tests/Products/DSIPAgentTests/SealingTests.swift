import DSIPAgent
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Synchronization
import Testing

/// A relay that routes and writes down every payload that passes through it.
private final class CuriousRelay: RelayPlace, SignalingServerDelegate {
    private final class Frame: Parcel {
        let bytes: [UInt8]
        init(_ bytes: [UInt8]) { self.bytes = bytes }
    }

    private struct State {
        var router = RelayRouter()
        var lines: [DID: SignalingConnection] = [:]
        var seen: [JSONValue] = []
    }

    private let state = Mutex(State())
    private let server = Mutex<SignalingServer?>(nil)
    private let folder = TemporaryFolder()
    let rootPath: String?

    init() async throws {
        let authority = try DevelopmentAuthority(folder: folder.path, now: Self.clock())
        rootPath = authority.rootPath
        let service = SignalingService(
            SignalingService.Configuration(key: SigningKey(), clock: Self.clock),
            source: SelfCertifyingSource(),
            delegate: self
        )
        let started = try await SignalingServer.start(
            service,
            identity: TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
        )
        server.withLock { $0 = started }
    }

    @Sendable private static func clock() -> Int64 { Int64(Date().timeIntervalSince1970) }

    var url: String { "wss://127.0.0.1:\(server.withLock { $0?.port ?? 0 })/dsip" }
    /// Payloads of calls, in the order in which they came.
    var seen: [JSONValue] { state.withLock(\.seen) }

    func stop() async { await server.withLock { $0 }?.stop(within: .seconds(1)) }

    func bound(
        _ connection: SignalingConnection,
        _ hello: Verified<Message>,
        replacing previous: SignalingConnection.Device?
    ) {
        state.withLock { state in
            state.lines[hello.body.from] = connection
            var actions: [RelayAction] = []
            state.router.bind(hello.body.from, identity: hello.identity, at: Self.clock(), into: &actions)
            Self.perform(actions, state)
        }
    }

    func received(_ connection: SignalingConnection, _ message: Verified<Message>) {
        state.withLock { state in
            // All that a relay can read: the payload, as it was signed.
            if let payload = try? JSONValue(parsing: message.envelope.decodedPayload()) { state.seen.append(payload) }
            var actions: [RelayAction] = []
            state.router.receive(
                Signal(message),
                Frame(message.envelope.bytes),
                at: Self.clock(),
                into: &actions
            )
            Self.perform(actions, state)
        }
    }

    func closed(_ connection: SignalingConnection, _ device: SignalingConnection.Device?) {}

    private static func perform(_ actions: [RelayAction], _ state: State) {
        for action in actions {
            switch action {
            case .deliver(let delivery): send(delivery.parcel, to: delivery.device, state)
            case .forward(let forward): send(forward.parcel, to: forward.to, state)
            default: break
            }
        }
    }

    private static func send(_ parcel: any Parcel, to device: DID, _ state: State) {
        if let frame = parcel as? Frame { state.lines[device]?.send(frame.bytes) }
    }
}

@Suite("What a relay can read of a call", .serialized, .timeLimit(.minutes(5)))
struct SealingTests {
    @Test("who talks to whom, when, and the first offer; no answer, no address, no digit, no change")
    func readableFields() async throws {
        let relay = try await CuriousRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let session = try await alice.agent.place(to: await bob.did.string, sdp: SDP.offer).session
        _ = try await bob.incoming(from: "Alice")
        _ = try await bob.agent.open(session)
        _ = try await bob.agent.answer(session, sdp: SDP.answer)
        try await until("both are active") {
            alice.call(session)?.state == .active && bob.call(session)?.state == .active
        }
        #expect(alice.now.descriptions.map(\.sdp) == [SDP.answer])
        try await alice.agent.addCandidates(session, [candidate(1)], end: true)
        try await bob.agent.addCandidates(session, [candidate(2)], end: true)
        try await alice.agent.sendDigits(session, "4711")
        try await until("candidates have come") {
            alice.now.candidates.contains { $0.end } && bob.now.candidates.contains { $0.end }
        }
        let reoffer = SDP.make(["audio", "video", "video"], setup: "actpass", ufrag: "bobb")
        let update = try await bob.agent.update(session, sdp: reoffer, screen: "2")
        try await until("Alice is offered the update") { alice.call(session)?.update?.id == update }
        try await alice.agent.answerUpdate(
            session,
            update: update,
            sdp: SDP.make(["audio", "video", "video"], setup: "active", ufrag: "alce")
        )
        try await until("Bob has the answer") { bob.now.descriptions.last?.update == update }
        _ = try await alice.agent.hangUp(session)
        _ = try await bob.ended(session)

        var fields: [String: Set<String>] = [:]
        for payload in relay.seen where payload["type"]?.string != "hello" {
            guard let type = payload["type"]?.string, let members = payload.object?.members else { continue }
            fields[type, default: []].formUnion(members.map(\.name))
        }
        let head: Set = ["dsip", "type", "id", "from", "to", "issued_at", "expires_at"]
        let inSession = head.union(["session"])
        #expect(fields["invite"] == head.union(["identity", "intent", "media", "transports"]))
        #expect(fields["progress"] == inSession.union(["status", "ring_timeout"]))
        #expect(fields["answer"] == inSession.union(["in_reply_to", "sealed"]))
        #expect(fields["info"] == inSession.union(["sealed"]))
        #expect(fields["update"] == inSession.union(["sealed"]))
        // To the devices that did not answer.
        #expect(fields["cancel"] == inSession.union(["reason"]))
        #expect(fields["bye"] == inSession.union(["reason"]))
        let later = relay.seen.filter { !["hello", "invite"].contains($0["type"]?.string) }.map(\.text).joined()
        // Long runs are keys, signatures and what is sealed: any word of three letters is in them some day.
        let isPart: (Character) -> Bool = { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" || $0 == "." }
        let words: [Substring] = later.split { (character: Character) -> Bool in !isPart(character) }
        let legible = words.filter { $0.count < 32 }.joined(separator: " ")
        #expect(legible.contains("answer"))
        for word in ["192.0.2", "bobb", "opus", "4711", "sdp", "Alice", "Bob", "screen"] {
            #expect(!legible.contains(word), "\(word)")
        }
        await alice.agent.stop()
        await bob.agent.stop()
        await relay.stop()
    }
}
