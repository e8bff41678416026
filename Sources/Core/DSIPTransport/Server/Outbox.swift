import NIOCore
import NIOWebSocket

/// What a connection still owes its peer, and whether its loop has been told.
///
/// Frames gather here until the loop's turn ends, then leave as few buffers and one flush. Bytes count from `append` until the
/// socket took them, so a peer that does not read is noticed wherever its bytes are stuck.
struct Outbox {
    enum Admission { case queued, queuedFirst, overflow, closed }

    struct Batch {
        var frames: [[UInt8]]
        var bytes: Int
    }

    private var frames: [[UInt8]] = []
    private var queued = 0
    /// Handed to the channel, not yet taken by the socket.
    private var inFlight = 0
    private(set) var isClosed = false
    /// Bytes ever appended, and ever taken by the socket.
    private var appended: UInt64 = 0
    private var taken: UInt64 = 0
    /// Who waits for bytes to be taken, in order.
    private var waiting: [(until: UInt64, body: Waiter)] = []

    typealias Waiter = @Sendable (_ taken: Bool) -> Void

    /// - Returns: `.queuedFirst` when the loop has to be told; `.overflow` once, after which the outbox is closed.
    mutating func append(_ frame: [UInt8], limit: Int) -> Admission {
        guard !isClosed else { return .closed }
        guard queued + inFlight + frame.count <= limit else {
            close()
            return .overflow
        }
        queued += frame.count
        appended += UInt64(frame.count)
        frames.append(frame)
        return frames.count == 1 ? .queuedFirst : .queued
    }

    /// Everything queued; it counts as in flight until `settled`.
    mutating func take() -> Batch? {
        guard !frames.isEmpty else { return nil }
        let batch = Batch(frames: frames, bytes: queued)
        inFlight += queued
        queued = 0
        frames = []
        return batch
    }

    /// - Returns: who has waited for these bytes; nobody when the socket did not take them, which is the end of the connection.
    mutating func settled(_ bytes: Int, taken isTaken: Bool) -> [Waiter] {
        inFlight -= bytes
        guard isTaken else { return [] }
        taken += UInt64(bytes)
        guard let first = waiting.first, first.until <= taken else { return [] }
        let end = waiting.firstIndex { $0.until > taken } ?? waiting.count
        defer { waiting.removeFirst(end) }
        return waiting[..<end].map(\.body)
    }

    /// - Returns: whether all that was appended has been taken; nil when `body` will hear of it.
    mutating func wait(_ body: @escaping Waiter) -> Bool? {
        if taken == appended { return true }
        if isClosed { return false }
        waiting.append((appended, body))
        return nil
    }

    /// The connection is over. - Returns: who waits in vain.
    mutating func end() -> [Waiter] {
        close()
        defer { waiting = [] }
        return waiting.map(\.body)
    }

    mutating func close() {
        isClosed = true
        frames = []
        queued = 0
    }
}

extension Outbox.Batch {
    /// Largest buffer handed to the channel at once.
    private static let chunk = 128 << 10

    /// The frames as messages, framed by a server.
    func buffers(_ allocator: ByteBufferAllocator) -> [ByteBuffer] {
        var buffers: [ByteBuffer] = []
        var rest = bytes + frames.count * FrameWriter.maximumHeader
        var buffer = allocator.buffer(capacity: min(rest, Outbox.Batch.chunk))
        for frame in frames {
            if buffer.readableBytes > 0, buffer.writableBytes < frame.count + FrameWriter.maximumHeader {
                buffers.append(buffer)
                buffer = allocator.buffer(capacity: min(rest, Outbox.Batch.chunk))
            }
            FrameWriter.append(FrameWriter.opcode(of: frame), frame, to: &buffer)
            rest -= frame.count + FrameWriter.maximumHeader
        }
        buffers.append(buffer)
        return buffers
    }
}
