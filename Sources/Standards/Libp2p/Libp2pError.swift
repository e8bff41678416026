/// Why libp2p input, a connection or a lookup was refused. Two errors are equal when their codes are.
public struct Libp2pError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// Bytes or text break the grammar of their format.
        case malformed
        /// A bound of ours was reached: size, count, window, time of a queue.
        case limit
        /// A key type, cipher, protocol or address that is not offered here.
        case unsupported
        /// A signature, tag or identity does not verify.
        case unauthentic
        /// The other side is not the peer that was dialled.
        case wrongPeer = "wrong-peer"
        /// The peer broke the rules of a protocol.
        case protocolViolation = "protocol-violation"
        /// Both sides share no protocol.
        case noCommonProtocol = "no-common-protocol"
        /// The stream was reset by either side.
        case reset
        /// The connection or the host has ended.
        case closed
        case timeout
        /// No address of a peer is known, or none answered.
        case unreachable
        /// Nothing was found.
        case notFound = "not-found"
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func == (a: Libp2pError, b: Libp2pError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    public var description: String { "\(code.rawValue): \(reason)" }
}
