/// `/yamux/1.0.0`: many streams with flow control over one ordered connection.
///
/// Bytes go in with `receive`, what happened comes out of `pollEvent`, what is to be sent out of `output`. The session buffers what
/// is written up to `Limits.sendBuffer` a stream; what it received belongs to the caller at once, who gives credit back with `consumed`.
/// A peer that overruns a window, floods, or opens more than it may ends the session or loses the stream, never memory.
package struct YamuxSession: Sendable {
    package enum Role: Sendable { case client, server }

    package struct Limits: Hashable, Sendable {
        /// Open at one time; more are reset.
        var inboundStreams = 128
        var outboundStreams = 256
        /// Bytes a peer may send on a stream before they are consumed. The protocol starts at 256 KiB and so do we.
        var window = 256 << 10
        /// Bytes that are received and not consumed, over all streams.
        var received = 16 << 20
        /// Bytes that wait for a stream's window.
        var sendBuffer = 256 << 10
        /// Bytes of answers that wait for the connection to take them.
        var control = 64 << 10
        /// Frames in a row that carry nothing, and frames in all for streams that are gone.
        var idleFrames = 1024
        var strayBytes = 4 << 20

        package init() {}
    }

    package enum Event: Hashable, Sendable {
        /// The peer opened a stream.
        case opened(UInt32)
        case data(UInt32, [UInt8])
        /// The peer sends no more on it.
        case ended(UInt32)
        case reset(UInt32)
        /// Room again after `write` said there was none.
        case writable(UInt32)
        /// The peer takes no more streams; nil for an unknown reason code.
        case goingAway(Termination?)
        case pong(UInt32)
    }

    package enum Termination: UInt32, Sendable {
        case normal = 0
        case protocolError = 1
        case internalError = 2
    }

    private struct Stream {
        let isInbound: Bool
        var sendWindow = YamuxSession.initialWindow
        /// What the peer may still send.
        var receiveWindow = YamuxSession.initialWindow
        var unconsumed = 0
        var toGrant = 0
        var outgoing = ByteQueue()
        var isAcknowledged = false
        var wantsEnd = false
        var sentEnd = false
        var receivedEnd = false
        var isFull = false

        var hasSomethingToSend: Bool {
            outgoing.isEmpty ? wantsEnd && !sentEnd : sendWindow > 0
        }
    }

    static let protocolID = "/yamux/1.0.0"
    private static let initialWindow = 256 << 10
    /// Of one data frame: streams take turns, and a frame fits one Noise message.
    private static let maximumFrame = 16 << 10

    private let role: Role
    let limits: Limits
    private var streams: [UInt32: Stream] = [:]
    private var nextID: UInt32
    private var input = ByteQueue()
    /// A data frame whose body is coming in.
    private var body: (stream: UInt32, remaining: Int, ends: Bool)?
    private var control: [UInt8] = []
    /// Streams that have something to send, in turn.
    private var ready: [UInt32] = []
    private var events: [Event] = []
    private var nextEvent = 0
    private var unconsumed = 0
    private var inboundCount = 0
    private var unacknowledged = 0
    private var idleFrames = 0
    private var strayBytes = 0
    private(set) var isGoingAway = false
    /// Streams of the peer that were refused for want of room.
    private(set) var refusedStreams = 0

    package init(_ role: Role, limits: Limits = Limits()) {
        self.role = role
        self.limits = limits
        self.nextID = role == .client ? 1 : 2
    }

    var streamCount: Int { streams.count }

    package mutating func pollEvent() -> Event? {
        guard nextEvent < events.count else {
            events.removeAll(keepingCapacity: true)
            nextEvent = 0
            return nil
        }
        defer { nextEvent += 1 }
        return events[nextEvent]
    }

    // MARK: Commands

    /// - Throws: `limit` when too many are open or unanswered, `closed` when the peer takes no more.
    mutating func open() throws(Libp2pError) -> UInt32 {
        guard !isGoingAway else { throw Libp2pError(.closed, "the peer takes no more streams") }
        guard streams.count - inboundCount < limits.outboundStreams, unacknowledged < 256, nextID < UInt32.max - 2
        else {
            throw Libp2pError(.limit, "too many streams")
        }
        let id = nextID
        nextID += 2
        streams[id] = Stream(isInbound: false)
        unacknowledged += 1
        send(YamuxHeader(.windowUpdate, .synchronise, stream: id))
        return id
    }

    /// Queues `bytes`; on a stream that is gone or ended they are dropped.
    ///
    /// - Returns: whether there is room for more; when not, `writable` follows.
    package mutating func write(_ bytes: some Collection<UInt8>, to id: UInt32) -> Bool {
        guard var stream = streams[id], !stream.wantsEnd else { return true }
        stream.outgoing.append(bytes)
        stream.isFull = stream.outgoing.count >= limits.sendBuffer
        streams[id] = stream
        markReady(id)
        return !stream.isFull
    }

    /// Bytes that can be written before `write` says there is no room.
    func room(in id: UInt32) -> Int { max(0, limits.sendBuffer - (streams[id]?.outgoing.count ?? 0)) }

    /// Ends our direction once what was written is sent.
    mutating func end(_ id: UInt32) {
        guard streams[id]?.wantsEnd == false else { return }
        streams[id]?.wantsEnd = true
        markReady(id)
    }

    mutating func reset(_ id: UInt32) {
        guard streams[id] != nil else { return }
        remove(id)
        send(YamuxHeader(.windowUpdate, .reset, stream: id))
    }

    /// The caller is done with `count` bytes it was given.
    package mutating func consumed(_ count: Int, of id: UInt32) {
        guard var stream = streams[id] else { return }
        let count = min(count, stream.unconsumed)
        stream.unconsumed -= count
        unconsumed -= count
        if !stream.receivedEnd {
            stream.toGrant += count
            if stream.toGrant >= limits.window / 2 {
                send(YamuxHeader(.windowUpdate, stream: id, value: UInt32(stream.toGrant)))
                stream.receiveWindow += stream.toGrant
                stream.toGrant = 0
            }
        }
        streams[id] = stream
    }

    mutating func ping(_ value: UInt32) { send(YamuxHeader(.ping, .synchronise, value: value)) }

    mutating func goAway(_ reason: Termination) {
        isGoingAway = true
        send(YamuxHeader(.goAway, value: reason.rawValue))
    }

    // MARK: Sending

    /// Frames that are to be sent, up to about `limit` bytes; empty when there are none.
    package mutating func output(limit: Int = 64 << 10) -> [UInt8] {
        var out = control
        control.removeAll(keepingCapacity: true)
        while out.count < limit, !ready.isEmpty {
            let id = ready.removeFirst()
            guard var stream = streams[id], stream.hasSomethingToSend else { continue }
            let size = min(stream.outgoing.count, stream.sendWindow, YamuxSession.maximumFrame)
            let data = stream.outgoing.take(size) ?? []
            stream.sendWindow -= size
            stream.sentEnd = stream.wantsEnd && stream.outgoing.isEmpty
            YamuxHeader(.data, stream.sentEnd ? .finish : [], stream: id, value: UInt32(size)).append(to: &out)
            out.append(contentsOf: data)
            if stream.isFull, stream.outgoing.count <= limits.sendBuffer / 2 {
                stream.isFull = false
                events.append(.writable(id))
            }
            streams[id] = stream
            if stream.hasSomethingToSend { ready.append(id) }
            removeIfOver(id)
        }
        return out
    }

    private mutating func send(_ header: YamuxHeader) { header.append(to: &control) }

    private mutating func markReady(_ id: UInt32) {
        guard streams[id]?.hasSomethingToSend == true, !ready.contains(id) else { return }
        ready.append(id)
    }

    // MARK: Receiving

    /// - Throws: when the peer broke the rules; the session is over then.
    package mutating func receive(_ bytes: some Collection<UInt8>) throws(Libp2pError) {
        input.append(bytes)
        while true {
            if let (id, remaining, ends) = body {
                let part = Array(input.take(min(remaining, input.count)) ?? [])
                body = part.count == remaining ? nil : (id, remaining - part.count, ends)
                try receivedData(part, id, ends: ends && body == nil)
                if body != nil { return }
            } else {
                guard let bytes = input.take(YamuxHeader.length) else { return }
                try received(YamuxHeader(bytes: bytes))
            }
        }
    }

    private mutating func received(_ header: YamuxHeader) throws(Libp2pError) {
        guard control.count <= limits.control else { throw Libp2pError(.limit, "the peer asks and does not read") }
        switch header.kind {
        case .ping:
            if header.flags.contains(.synchronise) {
                send(YamuxHeader(.ping, .acknowledge, value: header.value))
            } else {
                events.append(.pong(header.value))
            }
            try countIdle()
        case .goAway:
            isGoingAway = true
            events.append(.goingAway(Termination(rawValue: header.value)))
            try countIdle()
        case .data, .windowUpdate:
            try receivedStreamFrame(header)
        }
    }

    private mutating func receivedStreamFrame(_ header: YamuxHeader) throws(Libp2pError) {
        let id = header.stream
        if header.flags.contains(.synchronise) { try receivedOpen(id) }
        if header.flags.isEmpty, header.value == 0 { try countIdle() }
        if header.flags.contains(.acknowledge) { acknowledge(id) }
        if header.flags.contains(.reset) {
            if streams[id] != nil {
                remove(id)
                events.append(.reset(id))
            }
        }
        let ends = header.flags.contains(.finish)
        guard header.kind == .data else {
            if var stream = streams[id] {
                stream.sendWindow += Int(header.value)
                guard stream.sendWindow <= Int(Int32.max) else {
                    throw Libp2pError(.protocolViolation, "a window over 2 GiB")
                }
                streams[id] = stream
                markReady(id)
            }
            if ends { receivedEnd(id) }
            return
        }
        let length = Int(header.value)
        if var stream = streams[id] {
            guard length <= stream.receiveWindow, !stream.receivedEnd || length == 0 else {
                throw Libp2pError(.protocolViolation, "data outside the window")
            }
            guard unconsumed + length <= limits.received else {
                throw Libp2pError(.limit, "more received than is read")
            }
            stream.receiveWindow -= length
            streams[id] = stream
        } else {
            // Under way when the stream was reset here; bounded, since nobody gives credit for it.
            strayBytes += length + 1
            guard strayBytes <= limits.strayBytes else { throw Libp2pError(.protocolViolation, "data for no stream") }
        }
        if length > 0 {
            body = (id, length, ends)
        } else if ends {
            receivedEnd(id)
        }
    }

    private mutating func receivedOpen(_ id: UInt32) throws(Libp2pError) {
        guard (id % 2 == 1) == (role == .server), streams[id] == nil else {
            throw Libp2pError(.protocolViolation, "a stream opened under a wrong number")
        }
        guard inboundCount < limits.inboundStreams, !isGoingAway else {
            refusedStreams += 1
            send(YamuxHeader(.windowUpdate, .reset, stream: id))
            return
        }
        inboundCount += 1
        streams[id] = Stream(isInbound: true)
        send(YamuxHeader(.windowUpdate, .acknowledge, stream: id))
        events.append(.opened(id))
    }

    private mutating func receivedData(_ bytes: [UInt8], _ id: UInt32, ends: Bool) throws(Libp2pError) {
        guard streams[id] != nil else { return }
        if !bytes.isEmpty {
            idleFrames = 0
            streams[id]?.unconsumed += bytes.count
            unconsumed += bytes.count
            events.append(.data(id, bytes))
        }
        if ends { receivedEnd(id) }
    }

    private mutating func receivedEnd(_ id: UInt32) {
        guard streams[id]?.receivedEnd == false else { return }
        streams[id]?.receivedEnd = true
        events.append(.ended(id))
        removeIfOver(id)
    }

    private mutating func acknowledge(_ id: UInt32) {
        guard let stream = streams[id], !stream.isInbound, !stream.isAcknowledged else { return }
        streams[id]?.isAcknowledged = true
        unacknowledged -= 1
    }

    private mutating func countIdle() throws(Libp2pError) {
        idleFrames += 1
        guard idleFrames <= limits.idleFrames else {
            throw Libp2pError(.protocolViolation, "frames that carry nothing")
        }
    }

    private mutating func removeIfOver(_ id: UInt32) {
        guard let stream = streams[id], stream.sentEnd, stream.receivedEnd else { return }
        remove(id)
    }

    private mutating func remove(_ id: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        unconsumed -= stream.unconsumed
        if stream.isInbound {
            inboundCount -= 1
        } else if !stream.isAcknowledged {
            unacknowledged -= 1
        }
    }
}
