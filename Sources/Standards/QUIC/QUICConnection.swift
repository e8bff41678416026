#if QUIC
import CNgtcp2
import NIOCore

/// One QUIC connection: streams, datagrams and its end (RFC 9000). Made by a `QUICEndpoint`.
///
/// It belongs to one event loop. Public methods and properties may be used on that loop only, except where they say otherwise.
///
/// The library holds an unretained pointer to this object. It calls back only from within calls made by this object, and `release()`
/// frees the library's connection before the object can go: nothing calls in after that.
public final class QUICConnection: @unchecked Sendable {
    // Unchecked: all mutable state is touched on the event loop only.

    public let eventLoop: any EventLoop
    public let isServer: Bool
    public let configuration: QUICConfiguration
    /// Why the connection ended; succeeds once it has. From any thread.
    public var closed: EventLoopFuture<QUICError> { closedPromise.futureResult }

    let tls: TLSSession
    /// Succeeds when the handshake is over; fails when the connection ends before.
    let established: EventLoopPromise<Void>
    let closedPromise: EventLoopPromise<QUICError>
    private(set) var endpoint: QUICEndpoint?
    /// The library's connection; nil before `start` and after `release`.
    var library: OpaquePointer?
    /// Ids under which the endpoint finds this connection.
    var ids: Set<ConnectionID> = []
    /// What a reset of the peer ends with (RFC 9000 §10.3).
    var resetTokens: Set<ConnectionID> = []
    var path: NetworkPath
    var streams: [Int64: QUICStreamChannel] = [:]
    /// Streams with something to send, in turn; and those that may not send before the peer grants more.
    var ready = CircularBuffer<QUICStreamChannel>()
    var blocked: [QUICStreamChannel] = []
    var datagrams = CircularBuffer<ByteBuffer>()
    /// Streams wanted before the peer admits them.
    var openings = CircularBuffer<Opening>()
    /// What callbacks of the library leave to be done once it has returned.
    var pending = Pending()
    var isEstablished = false
    /// Times a path was proven after the handshake, ours or the peer's.
    public internal(set) var validatedPaths = 0
    var isInLibrary = false
    var isFlushing = false
    var isFlushScheduled = false
    /// An application's close that waits for what was sent to arrive.
    var farewell: Farewell?
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture

    struct Opening {
        let isUnidirectional: Bool
        let initializer: @Sendable (any Channel) throws -> Void
        let promise: EventLoopPromise<any Channel>
    }

    struct Pending {
        var opened: [Int64] = []
        var received: Set<Int64> = []
        var reset: [(id: Int64, error: QUICError)] = []
        var finished: [(id: Int64, error: QUICError?)] = []
        var datagrams: [ByteBuffer] = []
        var handshakeCompleted = false
        var wasStatelesslyReset = false
    }

    struct Farewell {
        let code: UInt64
        let reason: String
        let deadline: NIODeadline
    }

    init(
        _ endpoint: QUICEndpoint,
        path: NetworkPath,
        isServer: Bool,
        configuration: QUICConfiguration,
        tls: TLSSession
    ) {
        self.endpoint = endpoint
        self.eventLoop = endpoint.eventLoop
        self.path = path
        self.isServer = isServer
        self.configuration = configuration
        self.tls = tls
        self.established = endpoint.eventLoop.makePromise()
        self.closedPromise = endpoint.eventLoop.makePromise()
    }

    deinit {
        // `end` has freed it on every path; this keeps a mistake from becoming a leak.
        if let library { ngtcp2_conn_del(library) }
    }

    var now: UInt64 { eventLoop.now.uptimeNanoseconds }

    // MARK: What the application sees

    public var localAddress: SocketAddress { path.local }
    /// Where the peer is now; it may move (RFC 9000 §9).
    public var remoteAddress: SocketAddress { path.remote }
    /// The peer's certificates as DER, leaf first; empty where none was asked for.
    public var peerCertificates: [[UInt8]] { tls.peerChain }
    /// What the two ends agreed to speak.
    public var applicationProtocol: String? { tls.applicationProtocol }
    /// Streams that exist.
    public var streamCount: Int { streams.count }
    /// Round trip time as measured, smoothed.
    public var roundTripTime: TimeAmount {
        guard let library else { return .zero }
        var statistics = ngtcp2_conn_stat()
        ngtcp2_conn_get_conn_stat_versioned(library, NGTCP2_CONN_STAT_VERSION, &statistics)
        return .nanoseconds(Int64(clamping: statistics.smoothed_rtt))
    }

    /// Opens a stream; waits, within a bound, while the peer has as many as it admits. From any thread.
    ///
    /// - Parameter initializer: sets up the stream's channel.
    public func openStream(
        unidirectional isUnidirectional: Bool = false,
        _ initializer: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let promise = eventLoop.makePromise(of: (any Channel).self)
        let opening = Opening(isUnidirectional: isUnidirectional, initializer: initializer, promise: promise)
        if eventLoop.inEventLoop { open(opening) } else { eventLoop.execute { self.open(opening) } }
        return promise.futureResult
    }

    /// Sends an unreliable datagram (RFC 9221).
    ///
    /// - Returns: false when the peer takes none of this size, or too many wait already.
    @discardableResult
    public func sendDatagram(_ bytes: ByteBuffer) -> Bool {
        guard let library, isEstablished, let peer = ngtcp2_conn_get_remote_transport_params(library),
            bytes.readableBytes + 9 <= min(peer.pointee.max_datagram_frame_size, 1150),
            datagrams.count < configuration.maximumQueuedDatagrams
        else { return false }
        datagrams.append(bytes)
        scheduleFlush()
        return true
    }

    /// Closes the connection. From any thread.
    ///
    /// - Parameters:
    ///   - code: the application's code (RFC 9000 §20.2).
    ///   - linger: how long to wait for what has been written to arrive first.
    public func close(_ code: UInt64 = 0, reason: String = "", linger: TimeAmount = .zero) {
        guard eventLoop.inEventLoop else {
            return eventLoop.execute { self.close(code, reason: reason, linger: linger) }
        }
        guard library != nil, farewell == nil else { return }
        farewell = Farewell(code: code, reason: reason, deadline: eventLoop.now + linger)
        if linger > .zero {
            eventLoop.assumeIsolated().scheduleTask(in: linger) { [weak self] in self?.sayFarewell(isLate: true) }
        }
        sayFarewell(isLate: linger <= .zero)
    }

    // MARK: Streams

    private func open(_ opening: Opening) {
        guard let library, isEstablished, farewell == nil else {
            return opening.promise.fail(QUICError(.closed, "the connection is not open"))
        }
        var id: Int64 = 0
        let result =
            opening.isUnidirectional
            ? ngtcp2_conn_open_uni_stream(library, &id, nil) : ngtcp2_conn_open_bidi_stream(library, &id, nil)
        switch result {
        case 0:
            let stream = QUICStreamChannel(id, of: self)
            streams[id] = stream
            begin(stream, opening)
        case NGTCP2_ERR_STREAM_ID_BLOCKED where openings.count < 64: openings.append(opening)
        case NGTCP2_ERR_STREAM_ID_BLOCKED: opening.promise.fail(QUICError(.limit, "the peer admits no further stream"))
        default: opening.promise.fail(QUICError.library(result))
        }
    }

    private func begin(_ stream: QUICStreamChannel, _ opening: Opening) {
        do {
            try opening.initializer(stream)
            stream.activate()
            opening.promise.succeed(stream)
        } catch {
            stream.close(promise: nil)
            opening.promise.fail(error)
        }
    }

    /// Tries again what had to wait for the peer to admit more streams.
    func openWaiting() {
        guard let library else { return }
        var rest = openings.count
        while rest > 0, let opening = openings.popFirst() {
            rest -= 1
            let left =
                opening.isUnidirectional
                ? ngtcp2_conn_get_streams_uni_left(library) : ngtcp2_conn_get_streams_bidi_left(library)
            if left > 0 { open(opening) } else { openings.append(opening) }
        }
    }

    func wantsToSend(_ stream: QUICStreamChannel) {
        if !stream.isQueued {
            stream.isQueued = true
            ready.append(stream)
        }
        scheduleFlush()
    }

    /// The application has taken bytes: the peer may send as many again.
    func consumed(_ count: Int, of id: Int64) {
        guard let library, count > 0 else { return }
        if streams[id] != nil { _ = ngtcp2_conn_extend_max_stream_offset(library, id, UInt64(count)) }
        ngtcp2_conn_extend_max_offset(library, UInt64(count))
        scheduleFlush()
    }

    func stopReading(_ id: Int64) {
        guard let library, streams[id] != nil else { return }
        _ = ngtcp2_conn_shutdown_stream_read(library, id, 0)
        scheduleFlush()
    }

    func abort(_ id: Int64) {
        guard let library, streams[id] != nil else { return }
        _ = ngtcp2_conn_shutdown_stream(library, id, 0)
        scheduleFlush()
    }

    // MARK: Time

    /// Wakes up when the library next has something to do.
    func schedule() {
        guard let library else { return }
        let expiry = ngtcp2_conn_get_expiry(library)
        guard expiry < UInt64(Int64.max) else { return }
        let deadline = NIODeadline.uptimeNanoseconds(expiry)
        // One that is due earlier looks again by itself.
        guard deadline < timerDeadline else { return }
        timer?.cancel()
        timerDeadline = deadline
        timer = eventLoop.scheduleTask(deadline: deadline) { [weak self] in self?.timerFired() }
    }

    private func timerFired() {
        timer = nil
        timerDeadline = .distantFuture
        guard let library else { return }
        if ngtcp2_conn_get_expiry(library) <= now {
            let result = inLibrary { ngtcp2_conn_handle_expiry(library, now) }
            guard result == 0 else { return failed(result) }
        }
        flush()
    }

    /// Runs a call that may call back: nothing else may enter the library meanwhile.
    func inLibrary<Result>(_ body: () -> Result) -> Result {
        let before = isInLibrary
        isInLibrary = true
        defer { isInLibrary = before }
        return body()
    }

    // MARK: The end

    /// Frees what the library holds, tells everyone. The only way out, taken once.
    ///
    /// - Parameter farewell: the packet to answer stragglers with, empty to answer nothing; nil when the peer cannot know, and is to be
    ///   told with a reset.
    func end(_ error: QUICError, farewell packet: [UInt8]? = nil) {
        guard let library, let endpoint else { return }
        let linger = TimeAmount.nanoseconds(Int64(clamping: 3 * ngtcp2_conn_get_pto(library)))
        self.library = nil
        self.endpoint = nil
        timer?.cancel()
        timer = nil
        endpoint.removed(self, farewell: packet, for: linger)
        let streams = streams.values
        self.streams = [:]
        ready.removeAll()
        blocked.removeAll()
        datagrams.removeAll()
        // The queues are emptied after this: the library points into them until it is gone.
        ngtcp2_conn_del(library)
        for stream in streams { stream.ended(error, event: error) }
        for opening in openings { opening.promise.fail(error) }
        openings.removeAll()
        if !isEstablished { established.fail(error) }
        closedPromise.succeed(error)
    }
}
#endif
