import Crypto
import Encoding
import Glibc
import NIOConcurrencyHelpers

/// Blobs as files named by what they hash to, `ab/cdef…`: ciphertext of strangers, never opened, never run. M§5.6, M§8.4
///
/// A file that stands under its name is whole: it is written beside, flushed, and renamed. What a crash leaves half-written goes at the next
/// start. Calls block; they come from the threads of ``BlobStore``, never from an event loop.
final class BlobFolder: Sendable {
    /// Hexadecimal digits of a name.
    static let nameLength = 64

    private struct Room {
        var used: Int64 = 0
        /// Promised to uploads under way.
        var reserved: Int64 = 0
        var next: UInt64 = 0
    }

    let path: String
    private let maximumBytes: Int64
    private let room = NIOLockedValueBox(Room())

    /// Makes the folder when it is absent, and removes what earlier uploads left unfinished.
    ///
    /// - Parameter maximumBytes: of all blobs; 0 for no bound but the disk.
    init(path: String, maximumBytes: Int64) throws(RelayError) {
        self.path = path
        self.maximumBytes = maximumBytes
        for folder in [path, path + "/unfinished"] where mkdir(folder, 0o700) != 0 && errno != EEXIST {
            throw BlobFolder.failure("the blob folder \(folder) cannot be made")
        }
        for name in BlobFolder.entries(path + "/unfinished") { unlink("\(path)/unfinished/\(name)") }
        let used = all().reduce(Int64(0)) { $0 + $1.size }
        room.withLockedValue { $0.used = used }
    }

    /// Bytes of all blobs kept.
    var usedBytes: Int64 { room.withLockedValue(\.used) }

    struct Entry: Hashable, Sendable {
        var sha256: String
        var size: Int64
        /// Unix seconds.
        var storedAt: Int64
    }

    /// Everything kept, in no order.
    func all() -> [Entry] {
        BlobFolder.entries(path).filter { $0.utf8.count == 2 }.flatMap { prefix in
            BlobFolder.entries("\(path)/\(prefix)").compactMap { entry(prefix + $0) }
        }
    }

    /// - Returns: nil unless the blob is kept.
    func entry(_ sha256: String) -> Entry? {
        guard BlobFolder.isName(sha256) else { return nil }
        var status = stat()
        guard stat(file(sha256), &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Entry(sha256: sha256, size: Int64(status.st_size), storedAt: Int64(status.st_mtim.tv_sec))
    }

    /// - Returns: nil unless the blob is kept.
    func reader(_ sha256: String) -> BlobReader? {
        guard BlobFolder.isName(sha256) else { return nil }
        let descriptor = open(file(sha256), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            close(descriptor)
            return nil
        }
        return BlobReader(descriptor, size: Int64(status.st_size))
    }

    func remove(_ sha256: String) {
        guard let entry = entry(sha256), unlink(file(sha256)) == 0 else { return }
        room.withLockedValue { $0.used -= entry.size }
    }

    // MARK: Writing

    /// Begins a blob of `size` bytes and keeps room for it.
    ///
    /// - Throws: `.full` when there is none, `.storage`.
    func begin(size: Int64) throws(RelayError) -> BlobWriter {
        let number = room.withLockedValue { room -> UInt64? in
            guard maximumBytes == 0 || size <= maximumBytes - room.used - room.reserved else { return nil }
            room.reserved += size
            room.next += 1
            return room.next
        }
        guard let number else { throw RelayError(.full, "the blob folder has reached its bound") }
        let temporary = "\(path)/unfinished/\(number)"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            room.withLockedValue { $0.reserved -= size }
            throw BlobFolder.failure("a blob cannot be written")
        }
        return BlobWriter(descriptor, at: temporary, size: size)
    }

    /// Ends a blob that is not wanted after all.
    func discard(_ writer: BlobWriter) {
        guard writer.end() else { return }
        unlink(writer.path)
        room.withLockedValue { $0.reserved -= writer.expectedSize }
    }

    /// Gives a blob its name, durably. One that is kept already stays as it is: it is the same bytes.
    ///
    /// - Parameter sha256: what was written hashes to it.
    /// - Throws: `.full` or `.storage`; the blob is gone then.
    func publish(_ writer: BlobWriter, as sha256: String) throws(RelayError) {
        precondition(BlobFolder.isName(sha256), "a blob is named by its hash")
        let folder = "\(path)/\(sha256.prefix(2))"
        let isMade = mkdir(folder, 0o700) == 0
        guard writer.flush() else {
            let failure = BlobFolder.failure("a blob cannot be flushed")
            discard(writer)
            throw failure
        }
        let isNew = entry(sha256) == nil
        guard rename(writer.path, file(sha256)) == 0 else {
            let failure = BlobFolder.failure("a blob cannot be named")
            discard(writer)
            throw failure
        }
        _ = writer.end()
        BlobFolder.flush(folder)
        if isMade { BlobFolder.flush(path) }
        room.withLockedValue {
            $0.reserved -= writer.expectedSize
            if isNew { $0.used += writer.written }
        }
    }

    // MARK: Parts

    /// Whether `name` is 64 lower-case hexadecimal digits: nothing else becomes a path.
    static func isName(_ name: String) -> Bool {
        name.utf8.count == nameLength
            && name.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private func file(_ sha256: String) -> String { "\(path)/\(sha256.prefix(2))/\(sha256.dropFirst(2))" }

    private static func entries(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// A name is durable when the folder that holds it is.
    private static func flush(_ folder: String) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    static func failure(_ sentence: String) -> RelayError {
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT
        return RelayError(isFull ? .full : .storage, "\(sentence): \(String(cString: strerror(code)))")
    }
}

/// A blob being written; used by one task at a time.
final class BlobWriter: Sendable {
    private struct State {
        var descriptor: Int32
        var hash = SHA256()
        var written: Int64 = 0
    }

    let path: String
    let expectedSize: Int64
    private let state: NIOLockedValueBox<State>

    init(_ descriptor: Int32, at path: String, size: Int64) {
        self.path = path
        self.expectedSize = size
        self.state = NIOLockedValueBox(State(descriptor: descriptor))
    }

    deinit { _ = end() }

    var written: Int64 { state.withLockedValue(\.written) }

    /// - Returns: false when the blob is longer than it was to be; nothing is written then.
    /// - Throws: `.full` or `.storage`.
    func write(_ bytes: [UInt8]) throws(RelayError) -> Bool {
        let outcome = state.withLockedValue { state -> Result<Bool, RelayError> in
            guard state.written + Int64(bytes.count) <= expectedSize else { return .success(false) }
            guard state.descriptor >= 0, writeAll(bytes, to: state.descriptor) else {
                return .failure(BlobFolder.failure("a blob cannot be written"))
            }
            state.hash.update(data: bytes)
            state.written += Int64(bytes.count)
            return .success(true)
        }
        return try outcome.get()
    }

    /// Of what has been written, in lower-case hexadecimal digits.
    var sha256: String { state.withLockedValue { Hex.encode(Array($0.hash.finalize())) } }

    fileprivate func flush() -> Bool { state.withLockedValue { $0.descriptor >= 0 && fsync($0.descriptor) == 0 } }

    /// - Returns: false when it has ended before.
    fileprivate func end() -> Bool {
        state.withLockedValue { state in
            guard state.descriptor >= 0 else { return false }
            close(state.descriptor)
            state.descriptor = -1
            return true
        }
    }
}

/// A blob being read. What is removed meanwhile is read to its end.
final class BlobReader: Sendable {
    let size: Int64
    private let descriptor: Int32

    fileprivate init(_ descriptor: Int32, size: Int64) {
        self.descriptor = descriptor
        self.size = size
    }

    deinit { close(descriptor) }

    /// - Returns: up to `count` bytes from `offset`; fewer only at the end.
    func read(_ count: Int, at offset: Int64) throws(RelayError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let n = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
            }
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw BlobFolder.failure("a blob cannot be read") }
            if n == 0 { break }
            filled += n
        }
        return filled == count ? bytes : Array(bytes[..<filled])
    }
}
