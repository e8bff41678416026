extension Connection {
    public enum Role: Sendable { case dialler, listener }

    public struct StreamID: Hashable, Sendable, CustomStringConvertible {
        let number: UInt32
        public var description: String { "\(number)" }
    }

    /// How a connection is secured, in the order of preference.
    public enum Security: String, Sendable, CaseIterable {
        case noise = "/noise"
        case tls = "/tls/1.0.0"
    }

    public enum Event: Sendable {
        /// TLS begins: what was sent before is clear, what comes next is not. The bytes have come in behind the choice already.
        case wantsTLS([UInt8])
        /// Both sides have proven who they are, and streams can be opened.
        case established(PeerID)
        /// A stream speaks `protocol` from here on.
        case opened(StreamID, protocol: String, inbound: Bool)
        /// To be given back with `consumed`.
        case data(StreamID, [UInt8])
        case ended(StreamID)
        /// The stream is gone.
        case failed(StreamID, Libp2pError)
        case writable(StreamID)
        /// A Yamux ping of ours was answered.
        case pong(UInt32)
        /// The connection is over; what `pollOutput` still gives is worth sending.
        case closed(Libp2pError)
    }

    /// Bounds; times in milliseconds.
    public struct Limits: Hashable, Sendable {
        public var handshakeTime: Int64 = 10_000
        public var negotiationTime: Int64 = 10_000
        public var inboundStreams = 128
        /// Streams a peer may open at once after a pause, and by the second: more are reset unread.
        public var inboundBurst = 512
        public var inboundPerSecond = 256
        public var outboundStreams = 256
        /// Bytes received and not read, over all streams.
        public var received = 16 << 20

        public init() {}
    }
}
