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

    /// - Returns: `.queuedFirst` when the loop has to be told; `.overflow` once, after which the outbox is closed.
    mutating func append(_ frame: [UInt8], limit: Int) -> Admission {
        guard !isClosed else { return .closed }
        guard queued + inFlight + frame.count <= limit else {
            close()
            return .overflow
        }
        queued += frame.count
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

    mutating func settled(_ bytes: Int) { inFlight -= bytes }

    mutating func close() {
        isClosed = true
        frames = []
        queued = 0
    }
}

extension Outbox.Batch {
    /// Largest buffer handed to the channel at once.
    private static let chunk = 128 << 10

    /// The frames as text messages, framed by a server.
    func buffers(_ allocator: ByteBufferAllocator) -> [ByteBuffer] {
        var buffers: [ByteBuffer] = []
        var rest = bytes + frames.count * FrameWriter.maximumHeader
        var buffer = allocator.buffer(capacity: min(rest, Outbox.Batch.chunk))
        for frame in frames {
            if buffer.readableBytes > 0, buffer.writableBytes < frame.count + FrameWriter.maximumHeader {
                buffers.append(buffer)
                buffer = allocator.buffer(capacity: min(rest, Outbox.Batch.chunk))
            }
            FrameWriter.append(.text, frame, to: &buffer)
            rest -= frame.count + FrameWriter.maximumHeader
        }
        buffers.append(buffer)
        return buffers
    }
}
