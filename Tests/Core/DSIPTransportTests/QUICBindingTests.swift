#if QUIC
import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOPosix
import QUIC
import Testing

@testable import DSIPTransport

/// What `quic/1.0` has that `ws/1.0` has not; the rest is in `ClientServerTests`, over both.
@Suite(.timeLimit(.minutes(10))) struct QUICBindingTests {
    @Test("a client that hears of QUIC goes over to it, and nothing is lost on the way") func goesOver() async throws {
        let recorder = Recorder()
        let service = Loopback.service(recorder)
        let server = try await SignalingServer.start(service, identity: Loopback.identity)
        let listener = try await QUICListener.start(service, identity: Loopback.identity)
        service.advertise(RelayCapabilities(other: [QUICBinding.capability: .int(Int64(listener.port))]))
        let (alice, bob) = (Person(), Person())
        try await running(Loopback.client(alice, port: server.port)) { events in
            #expect(await events.connected()?.binding == Binding.identifier)
            let old = try #require(recorder.connection(alice.device.did))
            var ids: [ULID] = []
            // While it goes over, the relay goes on sending to whichever connection it knows.
            for _ in 0..<20 {
                let envelope = bob.bye(to: alice.device.did)
                ids.append(ULID(try #require(JSONValue(parsing: envelope.decodedPayload())["id"]?.string))!)
                recorder.connection(alice.device.did)?.send(envelope.bytes)
                try await Task.sleep(for: .milliseconds(5))
            }
            var binding: String?
            var received: [ULID] = []
            _ = await events.first { (event) -> Bool? in
                switch event {
                case .state(.connected(let relay)):
                    binding = relay.binding
                    // As a relay does that knows one line a device.
                    old.close(.goingAway)
                case .message(let message): received.append(message.body.id)
                default: break
                }
                return binding != nil && received.count == ids.count ? true : nil
            }
            #expect(binding == QUICBinding.identifier)
            #expect(Set(received) == Set(ids))
        }
        await server.stop()
        listener.stop()
    }

    @Test("where UDP is blocked the WebSocket binding is used, and stays in use") func fallsBack() async throws {
        let blackHole = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = blackHole.localAddress!.port!
        let service = Loopback.service(Recorder()) { $0.capabilities.other[QUICBinding.capability] = .int(Int64(port)) }
        let server = try await SignalingServer.start(service, identity: Loopback.identity)
        let client = Loopback.client(Person(), port: server.port) {
            $0.quicPort = port
            $0.quicTimeout = .seconds(1)
        }
        try await running(client) { events in
            #expect(await events.connected()?.binding == Binding.identifier)
        }
        try await blackHole.close()
        await server.stop()
    }

    @Test("a certificate that nobody vouches for, or for another name, is refused") func certificates() async throws {
        let service = Loopback.service(Recorder())
        let listener = try await QUICListener.start(service, identity: Loopback.identity, host: "127.0.0.1")
        await #expect(throws: TransportError(.tls, "")) {
            _ = try await Loopback.client(Person(), port: 1, roots: .system).dialQUIC(port: listener.port)
        }
        let elsewhere = try await QUICListener.start(service, identity: Loopback.identity, host: "127.0.0.2")
        await #expect(throws: TransportError(.tls, "")) {
            _ = try await Loopback.client(Person(), port: 1, host: "127.0.0.2").dialQUIC(port: elsewhere.port)
        }
        listener.stop()
        elsewhere.stop()
    }

    @Test("the connection outlives a change of the client's address: no second hello") func migrates() async throws {
        let recorder = Recorder()
        let service = Loopback.service(recorder)
        let server = try await TestServer.start(service, over: .quic)
        let (alice, bob) = (Person(), Person())
        let client = Loopback.client(alice, server)
        try await running(client) { events in
            _ = await events.connected()
            let connection = try #require(recorder.connection(alice.device.did))
            try await client.moveForTesting(to: "127.0.0.3")
            for _ in 0..<3 {
                let envelope = bob.bye(to: alice.device.did)
                connection.send(envelope.bytes)
                #expect(await events.message()?.envelope.bytes == envelope.bytes)
                try await client.send(alice.bye(to: bob.device.did))
            }
            await recorder.wait(for: 4)
            #expect(recorder.events.filter { $0 == .bound(alice.controller.did, replacing: nil) }.count == 1)
        }
        await server.stop()
    }

    @Test("a connection that opens no stream, and one that says no hello, are closed") func silent() async throws {
        let server = try await TestServer.start(Loopback.service(Recorder()), over: .quic)
        let endpoint = try await QUICEndpoint.bind(
            to: try SocketAddress(ipAddress: "127.0.0.1", port: 0),
            on: MultiThreadedEventLoopGroup.singleton.next()
        ).get()
        let roots = QUICCredentials.Roots(
            includesSystem: false,
            pem: [try FileBytes.read(Loopback.authority.rootPath)]
        )
        for opensStream in [false, true] {
            let connection = try await endpoint.connect(
                to: try SocketAddress(ipAddress: "127.0.0.1", port: server.port),
                try QUICCredentials(roots: roots),
                verification: .name("localhost"),
                QUICConfiguration(applicationProtocols: [QUICBinding.applicationProtocol])
            ).get()
            if opensStream {
                // Too long by one byte: refused by its length, before a hello could be.
                _ = try await connection.openStream {
                    $0.writeAndFlush(ByteBuffer(bytes: [0x80, 0x01, 0x00, 0x01]), promise: nil)
                }.get()
            }
            let end = try await connection.closed.get()
            let code = opensStream ? CloseCode.tooLarge : .policyViolation
            #expect(end.closeCode == UInt64(code.rawValue), "\(end)")
        }
        endpoint.close()
        await server.stop()
    }
}
#endif
