import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import DSIPTransport

@Suite(.timeLimit(.minutes(10))) struct ClientServerTests {
    @Test("a client binds over TLS and learns who the relay is", arguments: TestBinding.all)
    func bind(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let key = SigningKey()
        let service = Loopback.service(recorder, key: key) { $0.capabilities.other["stun"] = ["stun:127.0.0.1:3478"] }
        let server = try await TestServer.start(service, over: binding)
        let alice = Person()
        for host in ["localhost", "127.0.0.1"] {
            try await running(Loopback.client(alice, server, host: host)) { events in
                let relay = try #require(await events.connected())
                #expect(relay.identity == key.did)
                #expect(relay.capabilities.other["stun"]?[0]?.string == "stun:127.0.0.1:3478")
            }
        }
        #expect(recorder.events.first == .bound(alice.controller.did, replacing: nil))
        await server.stop()
        #expect(service.connectionCount == 0)
    }

    @Test("an envelope passes from socket to socket unchanged", arguments: TestBinding.all)
    func forward(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let server = try await TestServer.start(Loopback.service(recorder), over: binding)
        let (alice, bob) = (Person(), Person())
        recorder.onReceive { _, message in
            recorder.connection(message.body.to!)?.send(message.envelope.bytes)
        }
        let sender = Loopback.client(alice, server)
        let receiver = Loopback.client(bob, server)
        try await running(sender) { sending in
            try await running(receiver) { receiving in
                _ = await sending.connected()
                _ = await receiving.connected()
                for padding in [0, 1000, 1024] {
                    let envelope = alice.bye(to: bob.device.did, padding: padding)
                    try await sender.send(envelope)
                    let message = try #require(await receiving.message())
                    #expect(message.envelope.bytes == envelope.bytes)
                    #expect(message.principal == alice.controller.did)
                }
            }
        }
        await server.stop()
    }

    @Test("an unanswered or misanswered hello ends the connection: a replayed relay hello is not believed")
    func splicing() async throws {
        let key = SigningKey()
        let captured = Mutex<[UInt8]?>(nil)
        // The first connection is answered properly; the second with what the first one got.
        let impostor = try await Loopback.relay { frame in
            if let replayed = captured.withLock({ $0 }) { return [replayed] }
            let payload = Envelope(frame)!.decodedPayload()
            let id = try! JSONValue(parsing: payload)["id"]!.string!
            let stamp = Message.Stamp(id: .make(), from: key.did, issuedAt: noon, version: .core)
            let reply = try! Message.hello(stamp, Hello(inReplyTo: ULID(id)!)).signed(by: key)
            captured.withLock { $0 = reply.bytes }
            return [reply.bytes]
        }
        let port = impostor.localAddress!.port!
        try await running(Loopback.client(Person(), port: port)) { events in
            #expect(await events.connected()?.identity == key.did)
        }
        try await running(Loopback.client(Person(), port: port)) { events in
            let failure = await events.failure()
            #expect(failure == TransportError(.protocolViolation, ""), "\(String(describing: failure))")
        }
        try await impostor.close()
    }

    @Test("another relay than the expected one is left", arguments: TestBinding.all)
    func expectedRelay(over binding: TestBinding) async throws {
        let server = try await TestServer.start(Loopback.service(Recorder()), over: binding)
        try await running(Loopback.client(Person(), server) { $0.relay = SigningKey().did }) { events in
            let failure = await events.failure()
            #expect(failure == TransportError(.protocolViolation, ""), "\(String(describing: failure))")
        }
        await server.stop()
    }

    @Test("traffic before the relay's hello ends the connection") func earlyTraffic() async throws {
        let mallory = Person()
        let impostor = try await Loopback.relay { _ in [mallory.bye(to: mallory.device.did).bytes] }
        try await running(Loopback.client(Person(), port: impostor.localAddress!.port!)) { events in
            let failure = await events.failure()
            #expect(failure == TransportError(.protocolViolation, ""), "\(String(describing: failure))")
        }
        try await impostor.close()
    }

    @Test("a refused hello is told with the relay's reason", arguments: TestBinding.all)
    func refusal(over binding: TestBinding) async throws {
        let service = Loopback.service(Recorder()) { $0.clock = { noon + 1000 } }
        let server = try await TestServer.start(service, over: binding)
        // The clocks differ by more than the replay window, so the relay's error is not acceptable to the client either,
        // which tells the difference; a client with the relay's clock but an expired delegation hears the token.
        let alice = Person()
        let late = Loopback.service(Recorder()) { $0.clock = { noon + 2_000_000 } }
        let lateServer = try await TestServer.start(late, over: binding)
        try await running(Loopback.client(alice, lateServer) { $0.clock = { noon + 2_000_000 } }) { events in
            let refusal = await events.first { if case .state(.refused(let refusal)) = $0 { refusal } else { nil } }
            #expect(refusal?.report.reason == .transportHelloRejected)
            #expect(await events.failure() == TransportError(.refused, ""))
        }
        try await running(Loopback.client(alice, server)) { events in
            let failure = await events.failure()
            #expect(failure == TransportError(.clock, ""), "\(String(describing: failure))")
            #expect(failure?.reason == "this device’s clock is 17 minutes behind the relay’s")
        }
        await server.stop()
        await lateServer.stop()
    }

    @Test("a connection that is lost is dialled again, with a fresh hello", arguments: TestBinding.all)
    func reconnect(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let server = try await TestServer.start(Loopback.service(recorder), over: binding)
        let alice = Person()
        try await running(Loopback.client(alice, server)) { events in
            for _ in 0..<3 {
                #expect(await events.connected() != nil)
                recorder.connection(alice.device.did)?.close(.serviceRestart)
                #expect(await events.failure() == TransportError(.closed, ""))
            }
            #expect(await events.connected() != nil)
        }
        #expect(recorder.events.filter { $0 == .bound(alice.controller.did, replacing: nil) }.count == 4)
        await server.stop()
    }

    @Test("on another network a connection is replaced or moves, and is the one that sends", arguments: TestBinding.all)
    func networkChange(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let server = try await TestServer.start(Loopback.service(recorder), over: binding)
        recorder.onReceive { connection, message in connection.send(message.envelope.bytes) }
        let alice = Person()
        let client = Loopback.client(alice, server)
        try await running(client) { events in
            let first = try #require(await events.connected())
            for _ in 0..<2 {
                await client.networkChanged()
                let isTold = await events.first { if case .networkChanged = $0 { true } else { nil } }
                #expect(isTold == true)
                if first.binding == Binding.identifier {
                    let next = try #require(await events.connected())
                    #expect(next.identity == first.identity && next.hello != first.hello)
                }
                let envelope = alice.bye(to: alice.device.did)
                try await client.send(envelope)
                #expect(try #require(await events.message()).envelope.bytes == envelope.bytes)
            }
        }
        await server.stop()
    }

    @Test("a stopping server lets its clients go and takes no new ones", arguments: TestBinding.all)
    func drain(over binding: TestBinding) async throws {
        let service = Loopback.service(Recorder())
        let server = try await TestServer.start(service, over: binding)
        // Nobody says that a UDP port is closed: the client finds out by waiting.
        let client = Loopback.client(Person(), server) { $0.quicTimeout = .seconds(10) }
        try await running(client) { events in
            _ = await events.connected()
            await server.stop(within: .milliseconds(20))
            #expect(service.connectionCount == 0 && !service.isAdmitting)
            #expect(await events.failure() == TransportError(.closed, ""))
            #expect(await events.failure() == TransportError(.unreachable, ""))
        }
    }

    @Test("sending without a connection is refused, not stored") func unconnected() async throws {
        let alice = Person()
        let client = Loopback.client(alice, port: 1)
        await #expect(throws: TransportError(.notConnected, "")) {
            try await client.send(alice.bye(to: alice.device.did))
        }
    }

    @Test("a certificate that no root vouches for is refused") func untrusted() async throws {
        let server = try await SignalingServer.start(Loopback.service(Recorder()), identity: Loopback.identity)
        try await running(Loopback.client(Person(), port: server.port, roots: .system)) { events in
            #expect(await events.failure() == TransportError(.tls, ""))
        }
        await server.stop()
    }

    @Test("a certificate for another name is refused") func wrongName() async throws {
        let server = try await SignalingServer.start(
            Loopback.service(Recorder()),
            identity: Loopback.identity,
            host: "127.0.0.2"
        )
        try await running(Loopback.client(Person(), port: server.port, host: "127.0.0.2")) { events in
            #expect(await events.failure() == TransportError(.tls, ""))
        }
        await server.stop()
    }

    @Test("a server without TLS 1.3 is refused by the client") func oldServer() async throws {
        var old = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(Loopback.authority.certificatePath).map {
                .certificate($0)
            },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: Loopback.authority.keyPath, format: .pem))
        )
        old.maximumTLSVersion = .tlsv12
        let context = try NIOSSLContext(configuration: old)
        let impostor = try await Loopback.impostor(
            { try $0.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) },
            tls: false
        )
        try await running(Loopback.client(Person(), port: impostor.localAddress!.port!)) { events in
            #expect(await events.failure() == TransportError(.tls, ""))
        }
        try await impostor.close()
    }

    @Test("a server that does not upgrade is named as no relay") func noUpgrade() async throws {
        let server = try await SignalingServer.start(Loopback.service(Recorder()), identity: Loopback.identity)
        let client = Loopback.client(Person(), port: server.port) {
            $0.address = RelayAddress(host: "localhost", port: server.port, target: "/elsewhere")
        }
        try await running(client) { events in
            let failure = await events.failure()
            #expect(failure == TransportError(.upgrade, ""), "\(String(describing: failure))")
        }
        await server.stop()
    }

    @Test("TLS 1.2 and plaintext get no connection from the server") func oldClients() async throws {
        let recorder = Recorder()
        let server = try await SignalingServer.start(Loopback.service(recorder), identity: Loopback.identity)
        var old = try Loopback.roots.configuration()
        old.minimumTLSVersion = .tlsv1
        old.maximumTLSVersion = .tlsv12
        let context = try NIOSSLContext(configuration: old)
        #expect(try await Probe.exchange(port: server.port, tls: context) == nil)
        let answer = try await Probe.exchange(port: server.port, tls: nil)
        #expect(answer?.starts(with: "HTTP/1.1 101".utf8) != true)
        let good = try NIOSSLContext(configuration: Loopback.roots.configuration())
        #expect(try await Probe.exchange(port: server.port, tls: good)?.starts(with: "HTTP/1.1 101".utf8) == true)
        await server.stop()
    }

    @Test("a frame whose signer must be resolved first keeps its place among the others", arguments: TestBinding.all)
    func resolving(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let web = DID("did:web:example.com:users:alice")!
        let controller = SigningKey()
        let source = SlowSource(web, controller)
        let server = try await TestServer.start(Loopback.service(recorder, source: source), over: binding)
        let alice = Person()
        let client = Loopback.client(alice, server)
        try await running(client) { events in
            _ = await events.connected()
            let signer = SigningKey(kid: DIDURL(did: web, fragment: "key-1"), key: source.key)
            var ids: [ULID] = []
            for turn in 0..<6 {
                let id = ULID.make()
                ids.append(id)
                let stamp = Message.Stamp(
                    id: id,
                    from: turn == 0 ? web : alice.device.did,
                    issuedAt: noon,
                    version: .core
                )
                let bye = Message.inSession(.make(), stamp, to: web, Bye(.userHangup))
                let envelope =
                    turn == 0
                    ? try bye.signed(by: signer) : try bye.signed(by: alice.device, delegations: [alice.delegation])
                try await client.send(envelope)
            }
            await recorder.wait(for: 7)
            #expect(recorder.events.dropFirst() == ids.map { .received($0) }[...])
            #expect(source.resolutions == 1)
        }
        await server.stop()
    }

    @Test("a peer that stops reading is cut off on a real socket", arguments: TestBinding.all)
    func stalled(over binding: TestBinding) async throws {
        let recorder = Recorder()
        let service = Loopback.service(recorder) { $0.maximumOutboundBytes = 200_000 }
        let server = try await TestServer.start(service, over: binding)
        let alice = Person()
        // Nobody listens to the events: the client's stream fills, then its socket, then the relay's outbox.
        let client = Loopback.client(alice, server)
        let run = Task { await client.run() }
        await recorder.wait(for: 1)
        let connection = try #require(recorder.connection(alice.device.did), "\(recorder.events)")
        var sent = 0
        let envelope = alice.bye(to: alice.device.did, padding: 1000)
        while connection.send(envelope.bytes) {
            sent += 1
            if sent % 50 == 0 { try await Task.sleep(for: .milliseconds(1)) }
            if sent > 100_000 { break }
        }
        #expect(sent < 100_000)
        await recorder.wait(for: 2)
        #expect(recorder.events[1] == .closed(alice.controller.did))
        run.cancel()
        client.close()
        for await _ in client.events {}
        await server.stop()
    }
}

/// Knows one did:web document, but only after having been asked.
final class SlowSource: VerificationSource {
    private struct State {
        var isKnown = false
        var resolutions = 0
    }

    private let did: DID
    let key: Curve25519.Signing.PrivateKey
    private let state = Mutex(State())

    init(_ did: DID, _ signer: SigningKey) {
        self.did = did
        self.key = try! Curve25519.Signing.PrivateKey(rawRepresentation: signer.rawRepresentation)
    }

    var resolutions: Int { state.withLock(\.resolutions) }

    func document(of did: DID, at now: Int64) -> DocumentLookup {
        guard did == self.did, state.withLock(\.isKnown) else { return .unknown }
        let method = DIDDocument.VerificationMethod(
            id: DIDURL(did: did, fragment: "key-1"),
            controller: did,
            publicKey: .ed25519(key.publicKey)
        )
        return .found(DIDDocument(id: did, verificationMethods: [method]))
    }

    func resolve(_ did: DID) async {
        try? await Task.sleep(for: .milliseconds(50))
        state.withLock { state in
            state.isKnown = true
            state.resolutions += 1
        }
    }
}
