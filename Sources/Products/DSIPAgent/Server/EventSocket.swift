import Encoding
import NIOCore
import NIOWebSocket

/// One page's WebSocket: requests in, results and events out.
///
/// Requests of a page are taken in order. Those of the method table marked `.concurrent` (they wait for the network or for a key
/// derivation) run beside the rest, at most `maximumInFlight` at a time.
struct EventSocket: Sendable {
    static let maximumInFlight = 16
    /// How long the other side may be silent before it is pinged, and dropped at the next silence.
    static let pingInterval: Duration = .seconds(30)

    let agent: Agent
    let channel: LocalChannel.WebSocket

    func run() async {
        guard let (page, events) = agent.hub.listen() else {
            try? await channel.channel.close()
            return
        }
        await agent.pageOpened(page)
        try? await channel.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await write(await agent.snapshotEvent(for: page), to: outbound)
                    for await event in events {
                        if case .stateChanged = event {
                            try await write(await agent.snapshotEvent(for: page), to: outbound)
                        } else if let json = event.json(for: page) {
                            try await write(json, to: outbound)
                        }
                    }
                }
                group.addTask {
                    while true {
                        try await Task.sleep(for: EventSocket.pingInterval)
                        try await outbound.write(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer()))
                    }
                }
                group.addTask { try await read(inbound, outbound, page) }
                // Whichever ends first ends the connection.
                _ = try await group.next()
                group.cancelAll()
            }
        }
        agent.hub.remove(page)
        await agent.pageClosed(page)
    }

    private typealias Outbound = NIOAsyncChannelOutboundWriter<WebSocketFrame>

    private func write(_ json: JSONValue, to outbound: Outbound) async throws {
        try await outbound.write(WebSocketFrame(fin: true, opcode: .text, data: ByteBuffer(bytes: json.utf8)))
    }

    private func read(
        _ inbound: NIOAsyncChannelInboundStream<WebSocketFrame>,
        _ outbound: Outbound,
        _ page: PageID
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var inFlight = 0
            for try await frame in inbound {
                switch frame.opcode {
                case .text:
                    let bytes = Array(frame.unmaskedData.readableBytesView)
                    if Request.isConcurrent(bytes) {
                        if inFlight >= EventSocket.maximumInFlight {
                            try await group.next()
                            inFlight -= 1
                        }
                        inFlight += 1
                        group.addTask { try await write(await reply(to: bytes, from: page), to: outbound) }
                    } else {
                        try await write(await reply(to: bytes, from: page), to: outbound)
                    }
                case .ping:
                    try await outbound.write(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData))
                case .connectionClose:
                    try await outbound.write(WebSocketFrame(fin: true, opcode: .connectionClose, data: ByteBuffer()))
                    group.cancelAll()
                    return
                case .binary:
                    throw AgentError(.badRequest, "Only text is spoken here.")
                default: break
                }
            }
            group.cancelAll()
        }
    }

    private func reply(to bytes: [UInt8], from page: PageID) async -> JSONValue {
        var id: JSONValue = .null
        do throws(AgentError) {
            let request = try Request(bytes)
            id = request.id
            let result = try await MethodTable.call(request.method, request.parameters, agent: agent, page: page)
            return ["id": id, "result": result]
        } catch {
            return ["id": id, "error": error.json]
        }
    }
}

/// `{"id": 7, "method": "call.place", "params": {…}}`
struct Request: Sendable {
    let id: JSONValue
    let method: String
    let parameters: Parameters

    init(_ bytes: [UInt8]) throws(AgentError) {
        guard let value = try? JSONValue(parsing: bytes), let method = value["method"]?.string else {
            throw AgentError(.badRequest, "A request is a JSON object with id, method and params.")
        }
        self.id = value["id"] ?? .null
        self.method = method
        self.parameters = try Parameters(value["params"])
    }

    static func isConcurrent(_ bytes: [UInt8]) -> Bool {
        guard let document = try? JSONDocument(scanning: bytes), let name = document.root["method"]?.string else {
            return false
        }
        return MethodTable.methods[name]?.concurrent ?? false
    }
}

extension AgentError {
    var json: JSONValue { ["code": .string(code.rawValue), "message": .string(message)] }
}
