#if QUIC
import CNgtcp2
import NIOCore

/// The bytes a stream still needs: those to be sent, and those sent that the peer has not acknowledged.
///
/// The library keeps pointers to what it has sent until that is acknowledged, so a chunk holds its storage alive, without a copy,
/// until then. Nothing else in this module lets a pointer outlive a call.
struct SendQueue {
    private struct Chunk {
        let bytes: UnsafeRawBufferPointer
        /// Retained once by this chunk, released when it leaves the queue.
        let storage: Unmanaged<AnyObject>
        var promise: EventLoopPromise<Void>?
    }

    private var chunks = CircularBuffer<Chunk>()
    /// Stream offset of the first chunk.
    private var base: UInt64 = 0
    /// Chunks before this one are sent whole.
    private var sentChunks = 0
    /// Bytes sent of that chunk.
    private var sentBytes = 0
    /// Chunks that have been flushed.
    private var flushedChunks = 0
    /// Bytes appended and not sent.
    private(set) var unsent = 0

    var isEmpty: Bool { chunks.isEmpty }
    /// Whether flushed bytes wait to be sent.
    var isSendable: Bool { sentChunks < flushedChunks }

    mutating func append(_ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
        guard buffer.readableBytes > 0 else {
            // Nothing to wait for but what is before it.
            if unsent == 0 { promise?.succeed() } else { cascade(promise) }
            return
        }
        let chunk = buffer.withUnsafeReadableBytesWithStorageManagement { bytes, storage in
            Chunk(bytes: bytes, storage: storage.retain(), promise: promise)
        }
        unsent += chunk.bytes.count
        chunks.append(chunk)
    }

    private mutating func cascade(_ promise: EventLoopPromise<Void>?) {
        guard let promise else { return }
        let last = chunks.index(before: chunks.endIndex)
        if let before = chunks[last].promise {
            before.futureResult.cascade(to: promise)
        } else {
            chunks[last].promise = promise
        }
    }

    mutating func flush() { flushedChunks = chunks.count }

    /// The next bytes to send, as vectors into the chunks.
    ///
    /// - Returns: how many of `vectors` were filled.
    func fill(_ vectors: UnsafeMutableBufferPointer<ngtcp2_vec>) -> Int {
        var filled = 0
        var skip = sentBytes
        for offset in sentChunks..<max(sentChunks, flushedChunks) where filled < vectors.count {
            let bytes = chunks[chunks.index(chunks.startIndex, offsetBy: offset)].bytes
            vectors[filled] = ngtcp2_vec(
                base: UnsafeMutablePointer(mutating: bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + skip),
                len: bytes.count - skip
            )
            filled += 1
            skip = 0
        }
        return filled
    }

    /// `count` bytes have gone into a packet.
    ///
    /// - Returns: the promises of chunks that have now been sent whole.
    mutating func sent(_ count: Int) -> [EventLoopPromise<Void>] {
        unsent -= count
        var promises: [EventLoopPromise<Void>] = []
        var rest = count
        while rest > 0 {
            let index = chunks.index(chunks.startIndex, offsetBy: sentChunks)
            let left = chunks[index].bytes.count - sentBytes
            guard rest >= left else {
                sentBytes += rest
                break
            }
            rest -= left
            sentBytes = 0
            sentChunks += 1
            if let promise = chunks[index].promise { promises.append(promise) }
            chunks[index].promise = nil
        }
        return promises
    }

    /// The peer has all bytes before `offset`.
    mutating func acknowledged(upTo offset: UInt64) {
        while let chunk = chunks.first, sentChunks > 0, base + UInt64(chunk.bytes.count) <= offset {
            base += UInt64(chunk.bytes.count)
            sentChunks -= 1
            flushedChunks -= 1
            chunks.removeFirst().storage.release()
        }
    }

    /// The library is done with the stream: nothing is needed any more.
    ///
    /// - Returns: the promises that will not be kept.
    mutating func removeAll() -> [EventLoopPromise<Void>] {
        let promises = chunks.compactMap(\.promise)
        for chunk in chunks { chunk.storage.release() }
        self = SendQueue()
        return promises
    }

    /// Forgets what has not been sent; what has stays until acknowledged.
    ///
    /// - Returns: the promises that will not be kept.
    mutating func dropUnsent() -> [EventLoopPromise<Void>] {
        // A chunk sent in part stays: the library may point into it.
        let keep = sentChunks + (sentBytes > 0 ? 1 : 0)
        var promises: [EventLoopPromise<Void>] = []
        while chunks.count > keep {
            let chunk = chunks.removeLast()
            if let promise = chunk.promise { promises.append(promise) }
            chunk.storage.release()
        }
        if sentBytes > 0 {
            let index = chunks.index(before: chunks.endIndex)
            if let promise = chunks[index].promise { promises.append(promise) }
            chunks[index].promise = nil
            sentChunks += 1
            sentBytes = 0
        }
        flushedChunks = chunks.count
        unsent = 0
        return promises
    }
}
#endif
