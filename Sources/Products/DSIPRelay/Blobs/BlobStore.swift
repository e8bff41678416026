import NIOCore
import NIOPosix

/// The blobs of a relay, with file work on threads of its own: a slow disk holds up blobs and nothing else.
final class BlobStore: Sendable {
    /// What became of bytes that came in.
    enum Reception: Sendable {
        /// All of it, under its hash; to be ended by ``keep(_:as:)`` or ``discard(_:)``.
        case whole(BlobWriter, sha256: String)
        /// Longer than announced; nothing was kept.
        case tooLong
        /// Too slow; nothing was kept.
        case tooSlow
    }

    /// Bytes a second below which a transfer is given up, after a while of grace.
    private static let slowest: Int64 = 16 << 10
    private static let grace = Duration.seconds(30)
    private static let chunk = 128 << 10

    let folder: BlobFolder
    private let threads: NIOThreadPool

    init(_ folder: BlobFolder) {
        self.folder = folder
        self.threads = NIOThreadPool(numberOfThreads: 2)
        threads.start()
    }

    func stop() async { try? await threads.shutdownGracefully() }

    /// How long the transfer of `size` bytes may take.
    static func patience(for size: Int64) -> Duration { grace + .seconds(size / slowest) }

    func run<R: Sendable>(
        _ body: @Sendable @escaping (BlobFolder) throws(RelayError) -> R
    ) async throws(RelayError) -> R {
        let folder = folder
        let result = try? await threads.runIfActive { () -> Result<R, RelayError> in
            do throws(RelayError) { return .success(try body(folder)) } catch { return .failure(error) }
        }
        guard let result else { throw RelayError(.notRunning, "The relay is shutting down.") }
        return try result.get()
    }

    /// Writes a body beside the blobs, hashing on the way.
    ///
    /// - Parameter size: at most so many bytes are taken.
    /// - Throws: `.full` and `.storage`, and what the sequence throws; nothing is kept then.
    func receive(
        _ size: Int64,
        _ body: some AsyncSequence<ByteBuffer, any Error>
    ) async throws -> Reception {
        let writer = try await run { folder throws(RelayError) in try folder.begin(size: size) }
        let deadline = ContinuousClock.now + BlobStore.patience(for: size)
        do {
            for try await part in body {
                guard ContinuousClock.now < deadline else {
                    await discard(writer)
                    return .tooSlow
                }
                guard try await write(part, to: writer) else {
                    await discard(writer)
                    return .tooLong
                }
            }
            return .whole(writer, sha256: writer.sha256)
        } catch {
            await discard(writer)
            throw error
        }
    }

    /// - Returns: false when the blob is longer than it was to be.
    func write(_ part: ByteBuffer, to writer: BlobWriter) async throws(RelayError) -> Bool {
        try await run { _ throws(RelayError) in try writer.write(Array(part.readableBytesView)) }
    }

    func keep(_ writer: BlobWriter, as sha256: String) async throws(RelayError) {
        try await run { folder throws(RelayError) in try folder.publish(writer, as: sha256) }
    }

    func discard(_ writer: BlobWriter) async {
        try? await run { folder throws(RelayError) in folder.discard(writer) }
    }

    func reader(_ sha256: String) async throws(RelayError) -> BlobReader? {
        try await run { folder throws(RelayError) in folder.reader(sha256) }
    }

    /// Hands `range` of a blob to `use`, piece by piece, as fast as that takes it.
    func read(_ reader: BlobReader, _ range: Range<Int64>, _ use: (ByteBuffer) async throws -> Void) async throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let (count, place) = (Int(min(Int64(BlobStore.chunk), range.upperBound - offset)), offset)
            let bytes = try await run { _ throws(RelayError) in try reader.read(count, at: place) }
            guard bytes.count == count else { throw RelayError(.storage, "a blob is shorter than it was") }
            try await use(ByteBuffer(bytes: bytes))
            offset += Int64(count)
        }
    }
}
