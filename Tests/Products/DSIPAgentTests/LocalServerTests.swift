import Encoding
import Foundation
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import DSIPAgent

@Suite("The local API and its door", .serialized, .timeLimit(.minutes(10)))
struct LocalServerTests {
    /// An agent whose relay is not there: nothing here needs one.
    private func served<R>(_ body: (Agent, LocalServer) async throws -> R) async throws -> R {
        let folder = TemporaryFolder()
        let agent = try Agent(
            AgentConfiguration(stateFolder: folder.path, relay: "wss://127.0.0.1:9/dsip", displayName: "Alice")
        )
        try await agent.start()
        let page = TemporaryFolder()
        try Data("<!doctype html><title>DSIP</title>".utf8).write(to: URL(filePath: page.path + "/index.html"))
        let server = try await LocalServer.start(
            agent: agent,
            port: 0,
            folder: page.path,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        defer { Task { await server.stop() } }
        return try await body(agent, server)
    }

    private func post(
        _ method: String,
        _ body: String,
        _ server: LocalServer,
        host: String? = nil,
        origin: String? = nil,
        token: String?
    ) async throws -> (status: Int, head: String, body: JSONValue) {
        var lines = [
            "POST /api/v1/\(method) HTTP/1.1", "Host: \(host ?? "127.0.0.1:\(server.port)")", "Connection: close",
            "Content-Type: application/json", "Content-Length: \(body.utf8.count)",
        ]
        if let origin { lines.append("Origin: \(origin)") }
        if let token { lines.append("Authorization: Bearer \(token)") }
        return try await exchange(lines.joined(separator: "\r\n") + "\r\n\r\n" + body, server)
    }

    private func exchange(_ request: String, _ server: LocalServer) async throws -> (
        status: Int, head: String, body: JSONValue
    ) {
        let socket = try await RawSocket(port: server.port)
        try await socket.send(Array(request.utf8))
        let text = String(decoding: await socket.rest(), as: UTF8.self)
        let parts = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let status = Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0
        let body = parts.count > 1 ? (try? JSONValue(parsing: String(parts[1]))) ?? .null : .null
        return (status, String(parts.first ?? ""), body)
    }

    @Test("the page’s token opens the API; no token and a wrong one do not")
    func token() async throws {
        try await served { (_, server) async throws -> Void in
            let good = try await post("state.get", "{}", server, token: server.token)
            #expect(good.status == 200)
            #expect(good.body["identity"]?["name"]?.string == "Alice")
            #expect(try await post("state.get", "{}", server, token: nil).status == 401)
            #expect(try await post("state.get", "{}", server, token: String(repeating: "A", count: 43)).status == 401)
            #expect(try await post("state.get", "{}", server, token: server.token + "x").status == 401)
        }
    }

    @Test("a foreign Host or Origin is refused before the token is looked at")
    func hostAndOrigin() async throws {
        try await served { (_, server) async throws -> Void in
            let token = server.token
            #expect(try await post("state.get", "{}", server, host: "evil.example", token: token).status == 403)
            #expect(try await post("state.get", "{}", server, host: "127.0.0.1:1", token: token).status == 403)
            #expect(
                try await post("state.get", "{}", server, origin: "https://evil.example", token: token).status == 403
            )
            #expect(try await post("state.get", "{}", server, origin: "null", token: token).status == 403)
            #expect(
                try await post("state.get", "{}", server, origin: "http://127.0.0.1:\(server.port)", token: token)
                    .status == 200
            )
            #expect(
                try await post(
                    "state.get",
                    "{}",
                    server,
                    host: "localhost:\(server.port)",
                    origin: "http://localhost:\(server.port)",
                    token: token
                ).status == 200
            )
            // Two names of this machine are two origins.
            #expect(
                try await post(
                    "state.get",
                    "{}",
                    server,
                    host: "localhost:\(server.port)",
                    origin: "http://127.0.0.1:\(server.port)",
                    token: token
                ).status == 403
            )
        }
    }

    @Test("every reply carries the security headers, refusals too")
    func headers() async throws {
        try await served { (_, server) async throws -> Void in
            for reply in [
                try await post("state.get", "{}", server, token: server.token),
                try await post("state.get", "{}", server, host: "evil.example", token: nil),
                try await exchange(
                    "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nConnection: close\r\n\r\n",
                    server
                ),
            ] {
                let head = reply.head.lowercased()
                #expect(head.contains("content-security-policy: default-src 'self'"))
                #expect(head.contains("frame-ancestors 'none'"))
                #expect(head.contains("x-content-type-options: nosniff"))
            }
        }
    }

    @Test("the page itself needs no token, and nothing outside its folder is served")
    func files() async throws {
        try await served { (_, server) async throws -> Void in
            func get(_ path: String) async throws -> Int {
                try await exchange(
                    "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nConnection: close\r\n\r\n",
                    server
                ).status
            }
            #expect(try await get("/") == 200)
            #expect(try await get("/index.html") == 200)
            #expect(try await get("/none.js") == 404)
            #expect(try await get("/../../../../etc/passwd") != 200)
            #expect(try await get("/%2e%2e/%2e%2e/etc/passwd") != 200)
        }
    }

    @Test("a request of more than 256 KiB is refused")
    func oversize() async throws {
        try await served { (_, server) async throws -> Void in
            let big = "{\"input\": \"" + String(repeating: "a", count: 300 << 10) + "\"}"
            #expect(try await post("peer.lookup", big, server, token: server.token).status == 413)
        }
    }

    @Test("errors are sentences with a code")
    func errors() async throws {
        try await served { (_, server) async throws -> Void in
            func code(_ method: String, _ body: String) async throws -> String? {
                try await post(method, body, server, token: server.token).body["error"]?["code"]?.string
            }
            #expect(try await code("no.such", "{}") == "not-found")
            #expect(try await code("peer.lookup", "{}") == "bad-request")
            #expect(try await code("peer.lookup", "[]") == "bad-request")
            #expect(try await code("peer.lookup", "{") == "bad-request")
            #expect(try await code("peer.lookup", "{\"input\": \"nonsense\"}") == "bad-request")
            #expect(try await code("call.hangup", "{\"session\": \"01J5Y0Q6K8ZJ4M2N7P9R3S5T7V\"}") == "not-found")
            #expect(try await code("call.place", "{\"to\": \"did:key:z6Mk\", \"sdp\": \"v=0\"}") == "media")
            #expect(try await code("devices.revoke", "{\"did\": \"x\", \"reason\": \"lost\"}") == "bad-request")
        }
    }

    @Test("contacts, identities, phrase and backup go through the method table and back")
    func roundTrips() async throws {
        try await served { (_, server) async throws -> Void in
            func call(_ method: String, _ parameters: JSONValue) async throws -> JSONValue {
                let reply = try await post(method, parameters.text, server, token: server.token)
                #expect(reply.status == 200, "\(method): \(reply.body.text)")
                return reply.body
            }
            let bob = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
            let found = try await call(
                "peer.lookup",
                ["input": .string("dsip:\(bob)?relay=wss%3A%2F%2Fr.example%2Fdsip&name=Bob")]
            )
            #expect(found["peer"]?["name"]?.string == "Bob" && found["peer"]?["named_by"]?.string == "them")
            #expect(found["relay"]?.string == "wss://r.example/dsip")
            let added = try await call("contacts.add", ["input": .string(bob), "name": "Robert"])
            let id = try #require(added["id"])
            #expect(
                try await call("contacts.update", ["id": id, "name": "Rob", "allowed": false])["name"]?.string == "Rob"
            )
            let pairwise = try await call("identity.create", ["name": "For Rob", "throwaway_for": id])
            #expect(pairwise["throwaway_for"] == id)
            let state = try await call("state.get", [:])
            #expect(state["contacts"]?[0]?["pairwise"]?.bool == true)
            #expect(state["identities"]?.array?.count == 2)
            _ = try await call("contacts.remove", ["id": id])

            let words = try #require(try await call("identity.phrase", [:])["words"]?.array)
            #expect(words.count == 24)
            _ = try await call("identity.phrase.confirm", ["words": ["3": words[2], "24": words[23]]])
            #expect(try await call("state.get", [:])["identity"]?["phrase_confirmed"]?.bool == true)
            let wrong = try await post(
                "identity.phrase.confirm",
                #"{"words": {"3": "wrong"}}"#,
                server,
                token: server.token
            )
            #expect(wrong.status == 400)

            let backup = try await call("identity.export", ["passphrase": "correct horse"])
            let text = try #require(backup["backup"])
            let bad = try await post(
                "identity.import",
                JSONValue.object(["backup": text, "passphrase": "wrong"]).text,
                server,
                token: server.token
            )
            #expect(bad.body["error"]?["code"]?.string == "wrong-passphrase")
            let damaged = try await post(
                "identity.import",
                #"{"backup": "AAAA", "passphrase": "correct horse"}"#,
                server,
                token: server.token
            )
            #expect(damaged.status != 200)

            let qr = try await call("identity.qr", [:])
            #expect(qr["uri"]?.string?.hasPrefix("dsip:did:key:") == true)
            #expect(qr["svg"]?.string?.hasPrefix("<svg") == true)
            #expect(try await call("devices.list", [:])["devices"]?[0]?["this"]?.bool == true)
            #expect(try await call("devices.pair.begin", [:])["words"]?.string?.contains("-") == true)
            _ = try await call("identity.rename", ["did": try #require(state["identity"]?["did"]), "name": "Alicia"])
            #expect(try await call("state.get", [:])["identity"]?["name"]?.string == "Alicia")
        }
    }

    @Test("the event socket wants the token in its subprotocol, and begins with a snapshot")
    func socket() async throws {
        try await served { (agent, server) async throws -> Void in
            func upgrade(_ protocols: String, origin: String? = nil) async throws -> (String, RawSocket) {
                let socket = try await RawSocket(port: server.port)
                var lines = [
                    "GET /api/v1/events HTTP/1.1", "Host: 127.0.0.1:\(server.port)", "Upgrade: websocket",
                    "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                    "Sec-WebSocket-Protocol: \(protocols)",
                ]
                if let origin { lines.append("Origin: \(origin)") }
                try await socket.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
                return (await socket.line(), socket)
            }
            #expect(try await upgrade("dsip.agent.v1").0.contains("401"))
            #expect(try await upgrade("dsip.agent.v1, bearer.wrong").0.contains("401"))
            #expect(
                try await upgrade("dsip.agent.v1, bearer.\(server.token)", origin: "http://evil.example").0.contains(
                    "403"
                )
            )
            let (status, socket) = try await upgrade("dsip.agent.v1, bearer.\(server.token)")
            #expect(status.contains("101"))
            while await !socket.line().isEmpty {}
            let first = try JSONValue(parsing: await socket.frame())
            #expect(first["event"]?.string == "state")
            #expect(first["data"]?["identity"]?["name"]?.string == "Alice")
            try await socket.send(text: #"{"id": 7, "method": "log.seen", "params": {}}"#)
            var reply = try JSONValue(parsing: await socket.frame())
            while reply["id"] == nil { reply = try JSONValue(parsing: await socket.frame()) }
            #expect(reply["id"]?.int == 7 && reply["result"] != nil)
            try await socket.send(text: "not json")
            var refusal = try JSONValue(parsing: await socket.frame())
            while refusal["error"] == nil { refusal = try JSONValue(parsing: await socket.frame()) }
            #expect(refusal["error"]?["code"]?.string == "bad-request")
            _ = agent
        }
    }
}

/// A plain TCP connection, for speaking HTTP and WebSocket by hand.
final class RawSocket {
    private let channel: any Channel
    private var buffered: [UInt8] = []
    private var chunks: AsyncStream<[UInt8]>.Iterator

    init(port: Int) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        chunks = stream.makeAsyncIterator()
    }

    deinit { channel.close(promise: nil) }

    func send(_ bytes: [UInt8]) async throws { try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// A masked text frame (RFC 6455 §5.2).
    func send(text: String) async throws {
        let payload = Array(text.utf8)
        precondition(payload.count < 126)
        try await send([0x81, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload)
    }

    func rest() async -> [UInt8] {
        while let chunk = await chunks.next() { buffered += chunk }
        return buffered
    }

    func line() async -> String {
        while true {
            if let end = buffered.firstIndex(of: 0x0a) {
                let line = String(decoding: buffered[..<end], as: UTF8.self).trimmingCharacters(
                    in: .whitespaces.union(.newlines)
                )
                buffered.removeFirst(end + 1)
                return line
            }
            guard let chunk = await chunks.next() else { return "" }
            buffered += chunk
        }
    }

    /// The payload of the next text frame.
    func frame() async -> [UInt8] {
        while true {
            var header = await take(2)
            guard header.count == 2 else { return [] }
            let opcode = header[0] & 0x0f
            var length = Int(header[1] & 0x7f)
            if length == 126 {
                header = await take(2)
                length = Int(header[0]) << 8 | Int(header[1])
            } else if length == 127 {
                header = await take(8)
                length = header.reduce(0) { $0 << 8 | Int($1) }
            }
            let payload = await take(length)
            if opcode == 1 { return payload }
        }
    }

    private func take(_ count: Int) async -> [UInt8] {
        while buffered.count < count {
            guard let chunk = await chunks.next() else { return [] }
            buffered += chunk
        }
        defer { buffered.removeFirst(count) }
        return Array(buffered[..<count])
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<[UInt8]>.Continuation

        init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Array(Self.unwrapInboundIn(data).readableBytesView))
        }

        func channelInactive(context: ChannelHandlerContext) {
            continuation.finish()
            context.fireChannelInactive()
        }
    }
}
