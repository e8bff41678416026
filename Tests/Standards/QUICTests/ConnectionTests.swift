#if QUIC
import NIOCore
import Testing

@testable import QUIC

extension QUICSuite {
    @Suite("QUIC connections", .serialized)
    struct ConnectionTests {
        @Test("A handshake agrees on the application protocol and shows the server's certificate")
        func handshake() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let (name, certificates) = try await connection.eventLoop.submit {
                    (connection.applicationProtocol, connection.peerCertificates.count)
                }.get()
                #expect(name == "test/1")
                #expect(certificates == 1)
            }
        }

        @Test("Ten mebibytes go both ways over one stream unchanged")
        func large() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                var payload = ByteBuffer()
                var generator = SystemRandomNumberGenerator()
                for _ in 0..<(10 << 20) / 8 { payload.writeInteger(generator.next()) }
                let reply = try await connection.exchange(payload)
                #expect(reply == payload)
            }
        }

        @Test("Streams beyond what the peer admits wait for their turn")
        func manyStreams() async throws {
            let server = try await Peers.echoServer { $0.transport.maximumStreams = 4 }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for index in 0..<40 {
                        group.addTask {
                            let payload = ByteBuffer(string: "stream \(index)")
                            return try await connection.exchange(payload) == payload
                        }
                    }
                    for try await isEqual in group { #expect(isEqual) }
                }
            }
        }

        @Test("A server closes with a code and a reason, and the client hears both")
        func closeCode() async throws {
            let server = try await Peers.echoServer { configuration in
                configuration.accepted = { $0.close(1008, reason: "not today") }
            }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let end = try await connection.closed.get()
                #expect(end.code == .closed)
                #expect(end.closeCode == 1008)
                #expect(end.reason == "not today")
                #expect(end.isFromPeer)
            }
        }

        @Test("What was written before a close with patience arrives before the close")
        func lingeringClose() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let ended = connection.closed
                let payload = ByteBuffer(repeating: 7, count: 200_000)
                let channel = try await connection.openStream { _ in }.get()
                channel.writeAndFlush(payload, promise: nil)
                connection.close(42, linger: .seconds(60))
                let end = try await ended.get()
                #expect(end.closeCode == 42)
                #expect(!end.isFromPeer)
            }
        }

        @Test("Ends without a common application protocol do not connect")
        func wrongProtocol() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            await #expect(throws: QUICError(.applicationProtocol, "", closeCode: 0x178)) {
                try await within {
                    _ = try await Peers.connect(
                        client,
                        to: server.localAddress!,
                        QUICConfiguration(applicationProtocols: ["other/1"])
                    )
                }
            }
        }

        @Test("A certificate for another name, or by an unknown authority, is refused")
        func badCertificate() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            let address = server.localAddress!
            for (name, credentials) in [
                ("elsewhere.test", try Peers.clientCredentials()), ("relay.test", try QUICCredentials()),
            ] {
                do {
                    _ = try await within {
                        try await Peers.connect(client, to: address, name: name, credentials: credentials)
                    }
                    Issue.record("connected to \(name)")
                } catch let error as QUICError {
                    #expect(error.code == .certificate, "\(error)")
                }
            }
            // An address is a name too.
            _ = try await within { try await Peers.connect(client, to: address, name: "127.0.0.1") }
        }

        @Test("Certificates of both ends may be judged by the application instead of an authority")
        func ownJudgement() async throws {
            let server = try await Peers.echoServer { $0.admitsClient = { $0.count == 1 } }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            let credentials = try QUICCredentials(
                identity: .init(
                    .pem,
                    certificate: Array(TestCertificates.stranger.utf8),
                    key: Array(TestCertificates.strangerKey.utf8)
                )
            )
            let address = server.localAddress!
            try await within {
                let connection = try await client.connect(
                    to: address,
                    credentials,
                    verification: .chain { $0.count == 1 && !$0[0].isEmpty },
                    Peers.configuration()
                ).get()
                #expect(try await connection.exchange(ByteBuffer(string: "hello")) == ByteBuffer(string: "hello"))
            }
            await #expect(throws: QUICError.self) {
                try await within {
                    try await client.connect(
                        to: address,
                        credentials,
                        verification: .chain { _ in false },
                        Peers.configuration()
                    )
                    .get()
                }
            }
            // Without a certificate of its own the client is not admitted.
            await #expect(throws: QUICError.self) {
                try await within {
                    let anonymous = try QUICCredentials()
                    let connection = try await client.connect(
                        to: address,
                        anonymous,
                        verification: .chain { _ in true },
                        Peers.configuration()
                    ).get()
                    throw try await connection.closed.get()
                }
            }
        }

        @Test("A connection on which nothing is heard ends by itself, one that is kept alive does not")
        func idle() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let kept = try await Peers.connect(
                    client,
                    to: server.localAddress!,
                    Peers.configuration {
                        $0.idleTimeout = .seconds(4)
                        $0.keepAlive = .milliseconds(400)
                    }
                )
                let left = try await Peers.connect(
                    client,
                    to: server.localAddress!,
                    Peers.configuration { $0.idleTimeout = .seconds(4) }
                )
                #expect(try await left.closed.get().code == .idle)
                #expect(try await kept.exchange(ByteBuffer(string: "still here")) == ByteBuffer(string: "still here"))
            }
        }

        @Test("A client that must prove its address does, and connects")
        func retry() async throws {
            let server = try await Peers.echoServer { $0.retry = .always }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                #expect(try await connection.exchange(ByteBuffer(string: "hello")) == ByteBuffer(string: "hello"))
            }
        }

        @Test("A server that has forgotten a connection says so at once")
        func statelessReset() async throws {
            let secret = [UInt8](repeating: 9, count: 32)
            let server = try await Peers.echoServer(secret: secret)
            let address = server.localAddress!
            let client = try await Peers.client()
            defer { client.close() }
            let connection = try await within { try await Peers.connect(client, to: address) }
            #expect(
                try await within { try await connection.exchange(ByteBuffer(string: "one")) }
                    == ByteBuffer(string: "one")
            )
            try await server.vanish()
            let restarted = try await Peers.echoServer(secret: secret, at: address)
            defer { restarted.close() }
            let error = try await within {
                connection.openStream { $0.writeAndFlush(ByteBuffer(string: "two"), promise: nil) }.whenComplete { _ in
                }
                return try await connection.closed.get()
            }
            #expect(error.code == .reset)
        }

        @Test("A connection limit is kept")
        func connectionLimit() async throws {
            let server = try await Peers.echoServer { $0.maximumConnections = 2 }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            let address = server.localAddress!
            let impatient = Peers.configuration { $0.handshakeTimeout = .seconds(1) }
            let first = try await within { try await Peers.connect(client, to: address) }
            _ = try await within { try await Peers.connect(client, to: address) }
            await #expect(throws: QUICError(.unreachable, "")) {
                try await within { _ = try await Peers.connect(client, to: address, impatient) }
            }
            #expect(try await within { try await first.exchange(ByteBuffer(string: "a")) } == ByteBuffer(string: "a"))
        }

        @Test("Datagrams go both ways")
        func datagrams() async throws {
            let server = try await Peers.echoServer {
                $0.transport.maximumDatagramSize = 1200
                $0.transport.receivedDatagram = { connection, bytes in connection.sendDatagram(bytes) }
            }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            let address = server.localAddress!
            let promise = client.eventLoop.makePromise(of: ByteBuffer.self)
            let configuration = Peers.configuration {
                $0.maximumDatagramSize = 1200
                $0.receivedDatagram = { _, bytes in promise.succeed(bytes) }
            }
            try await within {
                let connection = try await Peers.connect(client, to: address, configuration)
                let isTaken = try await connection.eventLoop.submit {
                    (
                        connection.sendDatagram(ByteBuffer(string: "ping")),
                        connection.sendDatagram(ByteBuffer(repeating: 0, count: 2000))
                    )
                }.get()
                #expect(isTaken == (true, false))
                #expect(try await promise.futureResult.get() == ByteBuffer(string: "ping"))
            }
        }

        @Test("A peer's address may change under a connection: the client moves to another socket and goes on")
        func migration() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                #expect(try await connection.exchange(ByteBuffer(string: "before")) == ByteBuffer(string: "before"))
                let before = client.localAddress
                try await client.rebind(to: try SocketAddress(ipAddress: "127.0.0.2", port: 0)).get()
                #expect(client.localAddress != before)
                let payload = ByteBuffer(repeating: 3, count: 300_000)
                #expect(try await connection.exchange(payload) == payload)
                let (local, proven) = try await connection.eventLoop.submit {
                    (connection.localAddress.ipAddress, connection.validatedPaths)
                }.get()
                #expect(local == "127.0.0.2")
                #expect(proven >= 1)
            }
        }
    }
}

extension QUICEndpoint {
    /// Is gone without a word, as after a crash.
    func vanish() async throws {
        try await eventLoop.submit { self.dropForTesting() }.get()
    }
}
#endif
