import NIOCore

/// Moves bytes between a wire and a `Connection`, and its events to whoever waits for them. It decides nothing.
///
/// Lives on one event loop; `HostConnection` and `PeerStream` reach it from elsewhere.
final class ConnectionDriver {
    struct Callbacks: Sendable {
        /// - Returns: whether the connection may stay.
        let established: @Sendable (HostConnection) -> Bool
        let opened: @Sendable (PeerStream) -> Void
        /// How inbound streams of a protocol are answered here, without a task of their own.
        let answers: @Sendable (String) -> AnswerStream.Rules?
        let closed: @Sendable (HostConnection?) -> Void
        /// Whether the connection with a peer stays when it is idle.
        let keeps: @Sendable (PeerID) -> Bool
        /// What inbound streams may ask for, at this moment.
        let offered: @Sendable () -> [String]
    }

    private struct Stream {
        var buffer = ByteQueue()
        var hasEnded = false
        var hasEndedHere = false
        /// Nobody reads any more; what still comes is dropped.
        var isAbandoned = false
        var reader: EventLoopPromise<[UInt8]?>?
        var writer: EventLoopPromise<Int>?
        var opening: EventLoopPromise<PeerStream>?
        /// Takes what happens in place of `reader` and `writer`.
        var observer: (any StreamObserver)?
        /// Milliseconds.
        var deadline: Int64?
    }

    private var connection: Connection
    let eventLoop: any EventLoop
    private let clock: HostClock
    private let idleTime: Int64
    private let callbacks: Callbacks
    private let remoteAddress: Multiaddr?
    private let established: EventLoopPromise<HostConnection>?
    private var isEstablished = false
    private var hasBegun = false
    private var isOver = false
    private var streams: [Connection.StreamID: Stream] = [:]
    /// Why streams are over whose owner has not been told, until it asks or lets go.
    private var failures: [Connection.StreamID: Libp2pError] = [:]
    private var handle: HostConnection?
    private var wire: (any Wire)?
    private var timer: Scheduled<Void>?
    private var timerAt: Int64 = .max
    private var isPumping = false
    private var requests: [String: RequestStreams] = [:]
    private var questions: Allowance

    init(
        _ connection: Connection,
        on eventLoop: any EventLoop,
        clock: HostClock,
        idleTime: Int64,
        remoteAddress: Multiaddr?,
        established: EventLoopPromise<HostConnection>?,
        callbacks: Callbacks
    ) {
        self.connection = connection
        self.eventLoop = eventLoop
        self.clock = clock
        self.idleTime = idleTime
        self.remoteAddress = remoteAddress
        self.established = established
        self.callbacks = callbacks
        self.questions = Allowance(
            burst: ConnectionDriver.questionBurst,
            perSecond: ConnectionDriver.questionsPerSecond,
            at: clock.now
        )
    }

    /// Questions of the peer, over all streams, that are answered at once after a pause, and by the second.
    private static let questionBurst = 1024
    private static let questionsPerSecond = 512

    // MARK: Wire

    func begin(on wire: any Wire) {
        guard !hasBegun else { return }
        hasBegun = true
        self.wire = wire
        pump()
    }

    func receive(_ bytes: some Collection<UInt8>) {
        connection.offered = callbacks.offered()
        connection.receive(bytes, at: clock.now)
        pump()
    }

    func writable() { pump() }

    /// The wire is gone.
    func ended() { finish(Libp2pError(.closed, "the connection ended")) }

    func secured(_ key: PublicKey, applicationProtocol: String?) {
        connection.secured(key, applicationProtocol: applicationProtocol, at: clock.now)
        pump()
    }

    func refused(_ error: Libp2pError) {
        connection.refused(error)
        pump()
    }

    private func finish(_ error: Libp2pError) {
        timer?.cancel()
        timer = nil
        notEstablished(hasBegun ? error : Libp2pError(.unreachable, "nobody answers"))
        guard !isOver else { return }
        isOver = true
        wire = nil
        for id in streams.keys { fail(id, error) }
        callbacks.closed(handle)
        handle = nil
    }

    private func notEstablished(_ error: Libp2pError) {
        guard !isEstablished else { return }
        isEstablished = true
        established?.fail(error)
    }

    // MARK: Pump

    /// Tells what happened and sends what is to be sent, as far as the socket takes it.
    private func pump() {
        guard let wire, !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        var wrote: Bool
        repeat {
            wrote = false
            while true {
                while let event = connection.pollEvent() { dispatch(event, wire) }
                guard wire.isWritable, let bytes = connection.pollOutput() else { break }
                wire.write(bytes)
                wrote = true
            }
            if wrote { wire.flush() }
            // A flush may make room at once; the wire tells so while this runs, and then not again.
        } while wrote
        if connection.isClosed {
            wire.close()
            return
        }
        schedule()
    }

    /// One timer for all deadlines. It is left alone when they move away: that it comes too early costs less than moving it each time.
    private func schedule() {
        let now = clock.now
        var at = connection.nextDeadline ?? .max
        if connection.streamCount == 0 {
            at = min(at, max(connection.busyUntil + idleTime, now + max(1000, idleTime / 8)))
        }
        for stream in streams.values { at = min(at, stream.deadline ?? .max) }
        guard at < timerAt else { return }
        timer?.cancel()
        timerAt = at
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        timer = eventLoop.scheduleTask(in: .milliseconds(max(1, at - now))) { bound.value.advance() }
    }

    private func advance() {
        let now = clock.now
        timer = nil
        timerAt = .max
        for (id, stream) in streams {
            guard let deadline = stream.deadline, deadline <= now else { continue }
            streams[id]?.deadline = nil
            if let observer = stream.observer {
                observer.expired()
            } else {
                reset(id, Libp2pError(.timeout, "the stream took too long"))
            }
        }
        connection.advance(to: now)
        if connection.isEstablished, connection.streamCount == 0, connection.busyUntil + idleTime <= now,
            !(handle.map { callbacks.keeps($0.peer) } ?? false)
        {
            connection.close()
        }
        pump()
    }

    private func dispatch(_ event: Connection.Event, _ wire: any Wire) {
        switch event {
        case .wantsTLS(let received):
            // The agreement itself goes out in the clear, ahead of it.
            if let bytes = connection.pollOutput() { wire.write(bytes) }
            wire.flush()
            wire.startTLS(connection.role, received: received)
        case .established(let peer):
            let handle = HostConnection(
                peer: peer,
                isInbound: connection.role == .listener,
                security: connection.security ?? .noise,
                remoteAddress: remoteAddress,
                driver: NIOLoopBound(self, eventLoop: eventLoop)
            )
            self.handle = handle
            isEstablished = true
            if callbacks.established(handle) {
                established?.succeed(handle)
            } else {
                established?.fail(Libp2pError(.limit, "too many connections with this peer"))
                connection.close()
            }
        case .opened(let id, let name, let inbound):
            opened(id, name, inbound: inbound)
        case .data(let id, let bytes):
            if let observer = streams[id]?.observer { return observer.received(bytes) }
            guard streams[id]?.isAbandoned == false else {
                connection.consumed(bytes.count, of: id)
                return
            }
            streams[id]?.buffer.append(bytes)
            deliver(id)
        case .ended(let id):
            streams[id]?.hasEnded = true
            if let observer = streams[id]?.observer {
                observer.ended()
                return forgetIfOver(id)
            }
            deliver(id)
            if streams[id]?.isAbandoned == true { forgetIfOver(id) }
        case .writable(let id):
            if let observer = streams[id]?.observer { return observer.writable() }
            streams[id]?.writer?.succeed(0)
            streams[id]?.writer = nil
        case .failed(let id, let error): fail(id, error)
        case .pong: break
        case .closed(let error):
            notEstablished(error)
            for id in streams.keys { fail(id, error) }
        }
    }

    private func opened(_ id: Connection.StreamID, _ name: String, inbound: Bool) {
        guard let handle else { return }
        if inbound, let rules = callbacks.answers(name) {
            guard handle.isOnOwnNetwork || !rules.isForOwnNetwork else { return connection.reset(id) }
            streams[id] = Stream()
            let observer = AnswerStream(self, handle, id, rules)
            streams[id]?.observer = observer
        } else if inbound {
            streams[id] = Stream()
            callbacks.opened(PeerStream(id: id, protocolID: name, connection: handle))
        } else if let opening = streams[id]?.opening {
            streams[id]?.opening = nil
            opening.succeed(PeerStream(id: id, protocolID: name, connection: handle))
        }
    }

    // MARK: Questions

    /// Asks the peer under a protocol of questions and answers.
    func ask(_ question: Question, _ protocolID: String) {
        guard wire != nil else {
            return question.completion(.failure(Libp2pError(.closed, "the connection is over")))
        }
        let streams = requests[protocolID] ?? RequestStreams(self, protocolID)
        requests[protocolID] = streams
        streams.ask(question)
    }

    /// Opens a stream whose protocol is taken to be agreed on, so that what is sent on it does not wait for that.
    func open(_ protocolID: String, observer: any StreamObserver) throws(Libp2pError) -> Connection.StreamID {
        let id = try connection.open([protocolID], at: clock.now)
        streams[id] = Stream(observer: observer)
        return id
    }

    /// Takes all bytes, and sends them with the next `flush`.
    ///
    /// - Returns: whether there is room for more; when not, the observer is told `writable`.
    func send(_ bytes: [UInt8], on id: Connection.StreamID) -> Bool { connection.write(bytes, to: id) }

    func flush() { pump() }

    func consumed(_ count: Int, of id: Connection.StreamID) { connection.consumed(count, of: id) }

    /// Whether another question of the peer is heard now.
    func mayAsk() -> Bool { questions.take(at: clock.now) }

    // MARK: Streams

    func open(_ protocols: [String]) -> EventLoopFuture<PeerStream> {
        guard wire != nil else { return closedFuture() }
        let promise = eventLoop.makePromise(of: PeerStream.self)
        do throws(Libp2pError) {
            let id = try connection.open(protocols, at: clock.now)
            streams[id] = Stream(opening: promise)
        } catch {
            promise.fail(error)
        }
        pump()
        return promise.futureResult
    }

    /// - Returns: what has come in, or nil at the end.
    func read(_ id: Connection.StreamID) -> EventLoopFuture<[UInt8]?> {
        guard wire != nil, var stream = streams[id] else { return closedFuture(failures[id]) }
        guard stream.reader == nil else {
            return eventLoop.makeFailedFuture(Libp2pError(.limit, "one reader at a time"))
        }
        let promise = eventLoop.makePromise(of: [UInt8]?.self)
        stream.reader = promise
        streams[id] = stream
        deliver(id)
        pump()
        return promise.futureResult
    }

    /// - Returns: how many bytes were taken; none after a wait for room.
    func write(_ bytes: ArraySlice<UInt8>, to id: Connection.StreamID) -> EventLoopFuture<Int> {
        guard wire != nil, let stream = streams[id], !stream.hasEndedHere else { return closedFuture(failures[id]) }
        let part = bytes.prefix(connection.room(in: id))
        guard !part.isEmpty || bytes.isEmpty else {
            guard stream.writer == nil else {
                return eventLoop.makeFailedFuture(Libp2pError(.limit, "one writer at a time"))
            }
            let promise = eventLoop.makePromise(of: Int.self)
            streams[id]?.writer = promise
            return promise.futureResult
        }
        _ = connection.write(part, to: id)
        pump()
        return eventLoop.makeSucceededFuture(part.count)
    }

    func end(_ id: Connection.StreamID) {
        guard streams[id]?.hasEndedHere == false else { return }
        streams[id]?.hasEndedHere = true
        connection.end(id, at: clock.now)
        forgetIfOver(id)
        pump()
    }

    func reset(_ id: Connection.StreamID, _ error: Libp2pError = Libp2pError(.reset, "the stream was reset here")) {
        guard streams[id] != nil else { return }
        connection.reset(id)
        fail(id, error)
        pump()
    }

    /// The stream was let go of. One that was ended properly gets time for what is under way, any other is reset.
    func abandon(_ id: Connection.StreamID) {
        failures[id] = nil
        guard let stream = streams[id], stream.hasEndedHere else {
            reset(id)
            failures[id] = nil
            return
        }
        connection.consumed(stream.buffer.count, of: id)
        streams[id]?.buffer = ByteQueue()
        streams[id]?.isAbandoned = true
        forgetIfOver(id)
        expire(id, after: ConnectionDriver.lingerTime)
    }

    private static let lingerTime: Int64 = 10_000

    /// Resets the stream unless it is over by then.
    func expire(_ id: Connection.StreamID, after milliseconds: Int64) {
        guard wire != nil, streams[id] != nil else { return }
        streams[id]?.deadline = clock.now + milliseconds
        if !isPumping { schedule() }
    }

    func unlimit(_ id: Connection.StreamID) { streams[id]?.deadline = nil }

    func close() {
        connection.close()
        pump()
    }

    private func deliver(_ id: Connection.StreamID) {
        guard let stream = streams[id], let reader = stream.reader else { return }
        if !stream.buffer.isEmpty {
            streams[id]?.reader = nil
            let bytes = Array(streams[id]?.buffer.takeAll() ?? [])
            connection.consumed(bytes.count, of: id)
            reader.succeed(bytes)
        } else if stream.hasEnded {
            streams[id]?.reader = nil
            reader.succeed(nil)
            forgetIfOver(id)
        }
    }

    private func forgetIfOver(_ id: Connection.StreamID) {
        guard let stream = streams[id], stream.hasEnded, stream.hasEndedHere, stream.buffer.isEmpty else { return }
        // A reader that comes later is told the end by its absence.
        streams[id] = nil
        connection.forget(id, at: clock.now)
    }

    private func fail(_ id: Connection.StreamID, _ error: Libp2pError) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if let observer = stream.observer { return observer.failed(error) }
        if stream.opening == nil, stream.reader == nil, !stream.isAbandoned { failures[id] = error }
        stream.opening?.fail(error)
        stream.reader?.fail(error)
        stream.writer?.fail(error)
    }

    private func closedFuture<Value: Sendable>(_ reason: Libp2pError? = nil) -> EventLoopFuture<Value> {
        let error = reason ?? Libp2pError(.closed, "the stream or its connection is over")
        return eventLoop.makeFailedFuture(error)
    }
}
