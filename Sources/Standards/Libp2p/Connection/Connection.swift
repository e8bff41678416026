import Crypto

/// One connection from its first byte to its last: multistream-select, Noise or TLS, Yamux, and the protocol of each stream.
///
/// A pure machine that is fed and drained. Bytes from the socket go to `receive`; what goes to the socket comes from `pollOutput`,
/// what happened from `pollEvent`. Nothing passes in the clear but the choice between `/noise` and `/tls/1.0.0`; `/plaintext` and
/// `/secio` are never offered and never accepted. TLS is the shell's to speak: after `wantsTLS` it says `secured` or `refused`, and
/// from `secured` on bytes go through it both ways.
///
/// ```swift
/// var connection = Connection(.dialler, identity: key, expecting: peer, at: now)
/// connection.receive(bytes, at: now)
/// while let bytes = connection.pollOutput() { socket.write(bytes) }
/// while let event = connection.pollEvent() { … }
/// ```
public struct Connection: Sendable {
    private enum Stage {
        case security(Multistream)
        case handshake
        /// The shell speaks TLS.
        case tls
        case muxer(Multistream)
        case streams
        case closed
    }

    private struct Stream {
        /// Nil once decided and confirmed.
        var negotiation: Multistream?
        var queue = ByteQueue()
        let isInbound: Bool
        let deadline: Int64
        var ended = false
    }

    public let role: Role
    /// The protocols that inbound streams may ask for.
    public var offered: [String]
    private let limits: Limits
    private var stage: Stage
    private let expected: PeerID?
    /// Nil until it is chosen.
    public private(set) var security: Security?
    private var noise: NoiseChannel
    private var yamux: YamuxSession
    private var wire = ByteQueue()
    private var plain = ByteQueue()
    private var raw: [UInt8] = []
    private var streams: [UInt32: Stream] = [:]
    /// Streams whose protocol is not decided yet.
    private var negotiating: Set<UInt32> = []
    private var events: [Event] = []
    private var nextEvent = 0
    private var openings: Allowance
    private let handshakeDeadline: Int64
    /// Who is at the other end, from `established` on.
    public private(set) var peer: PeerID?
    /// When a stream was last open, or the connection was made; milliseconds.
    public private(set) var busyUntil: Int64

    /// - Parameters:
    ///   - expected: the peer that was dialled; a listener takes any.
    ///   - securities: proposed in this order, or accepted.
    ///   - staticKey: the Noise key of this connection, fresh unless a test names it.
    ///   - now: milliseconds.
    public init(
        _ role: Role,
        identity: IdentityKey,
        expecting expected: PeerID? = nil,
        offering protocols: [String] = [],
        securities: [Security] = [.noise],
        limits: Limits = Limits(),
        staticKey: Curve25519.KeyAgreement.PrivateKey = .init(),
        ephemeral: Curve25519.KeyAgreement.PrivateKey = .init(),
        at now: Int64
    ) {
        self.role = role
        precondition(!securities.isEmpty, "a connection is secured")
        self.offered = protocols
        self.expected = expected
        self.limits = limits
        self.noise = NoiseChannel(
            role == .dialler ? .initiator : .responder,
            identity: identity,
            expecting: expected,
            muxers: [YamuxSession.protocolID],
            staticKey: staticKey,
            ephemeral: ephemeral
        )
        var bounds = YamuxSession.Limits()
        bounds.inboundStreams = limits.inboundStreams
        bounds.outboundStreams = limits.outboundStreams
        bounds.received = limits.received
        self.yamux = YamuxSession(role == .dialler ? .client : .server, limits: bounds)
        var negotiation = Multistream(role == .dialler ? .dialler : .listener, securities.map(\.rawValue))
        self.raw = negotiation.start()
        self.stage = .security(negotiation)
        self.openings = Allowance(burst: limits.inboundBurst, perSecond: limits.inboundPerSecond, at: now)
        self.handshakeDeadline = now + limits.handshakeTime
        self.busyUntil = now
    }

    public var isEstablished: Bool {
        if case .streams = stage { true } else { false }
    }

    public var isClosed: Bool {
        if case .closed = stage { true } else { false }
    }

    public var streamCount: Int { streams.count }

    // MARK: Bytes

    public mutating func receive(_ bytes: some Collection<UInt8>, at now: Int64) {
        guard !isClosed else { return }
        wire.append(bytes)
        do throws(Libp2pError) { while try step(at: now) {} } catch { close(error) }
    }

    /// - Returns: bytes for the socket, about 64 KiB at most, or nil when there are none.
    public mutating func pollOutput() -> [UInt8]? {
        var out = raw
        raw.removeAll(keepingCapacity: true)
        if isSecured {
            let frames = yamux.output()
            do throws(Libp2pError) { try seal(frames, into: &out) } catch { close(error) }
            drainYamux()
        }
        return out.isEmpty ? nil : out
    }

    public mutating func pollEvent() -> Event? {
        guard nextEvent < events.count else {
            events.removeAll(keepingCapacity: true)
            nextEvent = 0
            return nil
        }
        defer { nextEvent += 1 }
        return events[nextEvent]
    }

    // MARK: TLS

    /// The shell's handshake is over, and the certificate proved `key`.
    ///
    /// - Parameter applicationProtocol: what ALPN chose: the muxer, or `libp2p` when it is negotiated next.
    public mutating func secured(_ key: PublicKey, applicationProtocol: String?, at now: Int64) {
        guard case .tls = stage else { return }
        do throws(Libp2pError) {
            let peer = PeerID(key)
            if let expected, expected != peer { throw Libp2pError(.wrongPeer, "another peer answered") }
            switch applicationProtocol {
            case YamuxSession.protocolID: try authenticated(peer, muxer: YamuxSession.protocolID, at: now)
            case HandshakeCertificate.applicationProtocol: try authenticated(peer, muxer: nil, at: now)
            default: throw Libp2pError(.noCommonProtocol, "no application protocol in common")
            }
        } catch {
            close(error)
        }
    }

    /// The shell's handshake failed.
    public mutating func refused(_ error: Libp2pError) { close(error) }

    // MARK: Time

    /// When `advance` has something to do; milliseconds.
    public var nextDeadline: Int64? {
        guard !isClosed else { return nil }
        guard isEstablished else { return handshakeDeadline }
        return negotiating.lazy.compactMap { streams[$0]?.deadline }.min()
    }

    public mutating func advance(to now: Int64) {
        guard !isClosed else { return }
        if !isEstablished, now >= handshakeDeadline { close(Libp2pError(.timeout, "the handshake took too long")) }
        for id in negotiating where (streams[id]?.deadline ?? 0) <= now {
            fail(id, Libp2pError(.timeout, "no agreement on a protocol in time"))
        }
    }

    // MARK: Streams

    /// Opens a stream and proposes `protocols` in their order. With one proposal data may be written at once.
    ///
    /// - Throws: `closed` before the connection is established or after it ended, `limit`.
    public mutating func open(_ protocols: [String], at now: Int64) throws(Libp2pError) -> StreamID {
        guard isEstablished else { throw Libp2pError(.closed, "the connection is not open") }
        precondition(!protocols.isEmpty, "a stream needs a protocol")
        let id = try yamux.open()
        var negotiation = Multistream(.dialler, protocols)
        _ = yamux.write(negotiation.start(), to: id)
        streams[id] = Stream(negotiation: negotiation, isInbound: false, deadline: now + limits.negotiationTime)
        negotiating.insert(id)
        busyUntil = now
        return StreamID(number: id)
    }

    /// - Returns: whether there is room for more; when not, `writable` follows.
    public mutating func write(_ bytes: some Collection<UInt8>, to id: StreamID) -> Bool {
        guard streams[id.number] != nil else { return true }
        return yamux.write(bytes, to: id.number)
    }

    /// Bytes that `write` takes before it says there is no room; none on a stream that is gone.
    public func room(in id: StreamID) -> Int { streams[id.number] == nil ? 0 : yamux.room(in: id.number) }

    /// Ends our direction once what was written is sent.
    public mutating func end(_ id: StreamID, at now: Int64) {
        guard streams[id.number] != nil else { return }
        yamux.end(id.number)
        busyUntil = now
    }

    public mutating func reset(_ id: StreamID) {
        guard streams.removeValue(forKey: id.number) != nil else { return }
        negotiating.remove(id.number)
        yamux.reset(id.number)
    }

    /// The caller has read `count` bytes of what `data` gave it.
    public mutating func consumed(_ count: Int, of id: StreamID) { yamux.consumed(count, of: id.number) }

    /// Both directions are over and everything was read.
    public mutating func forget(_ id: StreamID, at now: Int64) {
        streams[id.number] = nil
        negotiating.remove(id.number)
        busyUntil = now
    }

    public mutating func ping(_ value: UInt32) { if isEstablished { yamux.ping(value) } }

    /// Says goodbye and ends the connection.
    public mutating func close() { close(nil) }

    // MARK: Stages

    /// - Returns: whether there may be more to do with what has come in.
    private mutating func step(at now: Int64) throws(Libp2pError) -> Bool {
        switch stage {
        case .security(var negotiation):
            raw += try negotiation.receive(&wire)
            stage = .security(negotiation)
            guard case .selected(let name) = negotiation.outcome else { return false }
            security = Security(rawValue: name)
            if security == .tls {
                stage = .tls
                events.append(.wantsTLS(Array(wire.takeAll())))
                return false
            }
            stage = .handshake
            raw += try noise.start()
            return true
        case .handshake:
            guard let (output, established) = try noise.receiveHandshake(&wire) else { return false }
            raw += output
            guard let established else { return true }
            try authenticated(established.peer, muxer: established.muxer, at: now)
            return true
        case .tls: return false
        case .muxer(var negotiation):
            guard let bytes = try openNext() else { return false }
            plain.append(bytes)
            var sealed: [UInt8] = []
            try seal(try negotiation.receive(&plain), into: &sealed)
            raw += sealed
            stage = .muxer(negotiation)
            if case .selected = negotiation.outcome {
                begin(at: now)
                try yamux.receive(plain.takeAll())
                drainYamux(at: now)
            }
            return true
        case .streams:
            guard let bytes = try openNext() else { return false }
            try yamux.receive(bytes)
            drainYamux(at: now)
            return true
        case .closed:
            return false
        }
    }

    /// Both sides are known; the muxer was agreed on beside that, or is now.
    private mutating func authenticated(_ peer: PeerID, muxer: String?, at now: Int64) throws(Libp2pError) {
        self.peer = peer
        guard muxer == nil else { return begin(at: now) }
        var negotiation = Multistream(role == .dialler ? .dialler : .listener, [YamuxSession.protocolID])
        var sealed: [UInt8] = []
        try seal(negotiation.start(), into: &sealed)
        raw += sealed
        stage = .muxer(negotiation)
    }

    private var isSecured: Bool { noise.isEstablished || (security == .tls && peer != nil) }

    private mutating func seal(_ bytes: [UInt8], into output: inout [UInt8]) throws(Libp2pError) {
        if security == .tls { output += bytes } else { try noise.seal(bytes, into: &output) }
    }

    /// - Returns: the next bytes that were protected, or nil when none are whole.
    private mutating func openNext() throws(Libp2pError) -> [UInt8]? {
        guard security == .tls else { return try noise.open(&wire) }
        return wire.isEmpty ? nil : Array(wire.takeAll())
    }

    private mutating func begin(at now: Int64) {
        stage = .streams
        busyUntil = now
        if let peer { events.append(.established(peer)) }
    }

    private mutating func drainYamux(at now: Int64? = nil) {
        while let event = yamux.pollEvent() {
            switch event {
            case .opened(let id):
                guard openings.take(at: now ?? busyUntil) else {
                    yamux.reset(id)
                    continue
                }
                var negotiation = Multistream(.listener, offered)
                _ = yamux.write(negotiation.start(), to: id)
                let now = now ?? busyUntil
                streams[id] = Stream(negotiation: negotiation, isInbound: true, deadline: now + limits.negotiationTime)
                negotiating.insert(id)
                busyUntil = now
            case .data(let id, let bytes): received(bytes, on: id)
            case .ended(let id):
                guard streams[id]?.negotiation == nil else {
                    fail(id, Libp2pError(.noCommonProtocol, "the stream ended before it had a protocol"))
                    continue
                }
                events.append(.ended(StreamID(number: id)))
            case .reset(let id):
                guard streams.removeValue(forKey: id) != nil else { continue }
                negotiating.remove(id)
                events.append(.failed(StreamID(number: id), Libp2pError(.reset, "the peer reset the stream")))
            case .writable(let id): events.append(.writable(StreamID(number: id)))
            case .pong(let value): events.append(.pong(value))
            case .goingAway: break
            }
        }
        if yamux.isGoingAway, yamux.streamCount == 0 { close(Libp2pError(.closed, "the peer ended the session")) }
    }

    private mutating func received(_ bytes: [UInt8], on id: UInt32) {
        guard var stream = streams[id] else {
            yamux.consumed(bytes.count, of: id)
            return
        }
        guard var negotiation = stream.negotiation else {
            events.append(.data(StreamID(number: id), bytes))
            return
        }
        stream.queue.append(bytes)
        let before = stream.queue.count
        do throws(Libp2pError) {
            let answer = try negotiation.receive(&stream.queue)
            if !answer.isEmpty { _ = yamux.write(answer, to: id) }
        } catch {
            fail(id, error)
            return
        }
        yamux.consumed(before - stream.queue.count, of: id)
        guard case .selected(let name) = negotiation.outcome else {
            stream.negotiation = negotiation
            streams[id] = stream
            return
        }
        let rest = Array(stream.queue.takeAll())
        stream.negotiation = nil
        stream.queue = ByteQueue()
        streams[id] = stream
        negotiating.remove(id)
        events.append(.opened(StreamID(number: id), protocol: name, inbound: stream.isInbound))
        if !rest.isEmpty { events.append(.data(StreamID(number: id), rest)) }
    }

    private mutating func fail(_ id: UInt32, _ error: Libp2pError) {
        guard streams.removeValue(forKey: id) != nil else { return }
        negotiating.remove(id)
        yamux.reset(id)
        events.append(.failed(StreamID(number: id), error))
    }

    private mutating func close(_ error: Libp2pError?) {
        guard !isClosed else { return }
        if isEstablished {
            yamux.goAway(error == nil || error?.code == .closed ? .normal : .protocolError)
        }
        stage = .closed
        streams.removeAll()
        negotiating.removeAll()
        events.append(.closed(error ?? Libp2pError(.closed, "closed here")))
    }
}
