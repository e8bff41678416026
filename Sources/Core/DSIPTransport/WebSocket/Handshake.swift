import Crypto
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// The opening handshake of RFC 6455 §4, for NIO's typed HTTP upgrade. What is upgraded carries bare bytes: this binding reads and
/// writes its frames itself. No extension is negotiated, so nothing is compressed.
enum Handshake {
    static let version = "13"
    static let subprotocol = "Sec-WebSocket-Protocol"

    /// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §4.2.2).
    static func accept(_ key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return Data(digest).base64EncodedString()
    }

    /// A fresh `Sec-WebSocket-Key`: sixteen random bytes (RFC 6455 §4.1).
    static func makeKey() -> String {
        Data((0..<16).map { _ in UInt8.random(in: 0...255) }).base64EncodedString()
    }

    /// Whether `key` can be what a client made: sixteen bytes of base64.
    static func isKey(_ key: String) -> Bool { Data(base64Encoded: key)?.count == 16 }
}

/// The server's side. A request that is not to be upgraded stays with HTTP.
struct ServerHandshake<Result: Sendable>: NIOTypedHTTPServerProtocolUpgrader {
    let supportedProtocol = "websocket"
    /// None that `Connection` would have to list; those of the handshake are looked at below.
    let requiredUpgradeHeaders: [String] = []

    private let accepts: @Sendable (HTTPRequestHead) -> Bool
    private let speaks: @Sendable (Subprotocol) -> Bool
    private let opened: @Sendable (any Channel, Subprotocol?) throws -> Result

    /// - Parameters:
    ///   - speaks: whether a subprotocol is served.
    ///   - opened: takes the channel over, on its event loop, with what was agreed on.
    init(
        accepts: @escaping @Sendable (HTTPRequestHead) -> Bool,
        speaks: @escaping @Sendable (Subprotocol) -> Bool,
        opened: @escaping @Sendable (any Channel, Subprotocol?) throws -> Result
    ) {
        self.accepts = accepts
        self.speaks = speaks
        self.opened = opened
    }

    private func subprotocol(_ head: HTTPRequestHead) -> Subprotocol? {
        let offered = head.headers[canonicalForm: Handshake.subprotocol].map(String.init)
        return Subprotocol.select(offered, where: speaks)
    }

    func buildUpgradeResponse(
        channel: any Channel,
        upgradeRequest: HTTPRequestHead,
        initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        channel.eventLoop.makeCompletedFuture {
            let headers = upgradeRequest.headers
            guard headers["Sec-WebSocket-Version"] == [Handshake.version],
                let key = headers["Sec-WebSocket-Key"].first, headers["Sec-WebSocket-Key"].count == 1,
                Handshake.isKey(key), accepts(upgradeRequest)
            else { throw TransportError(.upgrade, "not a WebSocket handshake for this service") }
            var answer: HTTPHeaders = [
                "Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Accept": Handshake.accept(key),
            ]
            if let chosen = subprotocol(upgradeRequest) {
                answer.add(name: Handshake.subprotocol, value: chosen.rawValue)
            }
            return answer
        }
    }

    func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Result> {
        channel.eventLoop.makeCompletedFuture { try opened(channel, subprotocol(upgradeRequest)) }
    }
}

/// The client's side. A response that proves nothing is no upgrade.
struct ClientHandshake<Result: Sendable>: NIOTypedHTTPClientProtocolUpgrader {
    let supportedProtocol = "websocket"
    let requiredUpgradeHeaders: [String] = []

    private let key = Handshake.makeKey()
    private let subprotocol: Subprotocol?
    private let opened: @Sendable (any Channel) throws -> Result

    /// - Parameters:
    ///   - subprotocol: asked for and insisted on.
    ///   - opened: takes the channel over, on its event loop.
    init(_ subprotocol: Subprotocol?, opened: @escaping @Sendable (any Channel) throws -> Result) {
        self.subprotocol = subprotocol
        self.opened = opened
    }

    func addCustom(upgradeRequestHeaders: inout HTTPHeaders) {
        upgradeRequestHeaders.add(name: "Sec-WebSocket-Key", value: key)
        upgradeRequestHeaders.add(name: "Sec-WebSocket-Version", value: Handshake.version)
        if let subprotocol { upgradeRequestHeaders.add(name: Handshake.subprotocol, value: subprotocol.rawValue) }
    }

    /// RFC 6455 §4.1: the key answered, and nothing agreed to that was not asked for.
    func shouldAllowUpgrade(upgradeResponse: HTTPResponseHead) -> Bool {
        let headers = upgradeResponse.headers
        return headers["Sec-WebSocket-Accept"] == [Handshake.accept(key)]
            && headers["Sec-WebSocket-Extensions"].isEmpty
            && headers[Handshake.subprotocol] == (subprotocol.map { [$0.rawValue] } ?? [])
    }

    func upgrade(channel: any Channel, upgradeResponse: HTTPResponseHead) -> EventLoopFuture<Result> {
        channel.eventLoop.makeCompletedFuture { try opened(channel) }
    }
}
