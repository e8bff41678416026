import Glibc

/// The folder a relay keeps its key, certificates and database in: mode 0700, one relay at a time.
final class StateFolder: Sendable {
    let path: String
    private let lock: Int32

    /// Makes the folder when it is absent and takes it for this process.
    /// - Throws: `.storage`, also when another relay uses it.
    init(path: String) throws(RelayError) {
        var built = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            built += "/" + part
            if mkdir(built, 0o700) != 0, errno != EEXIST {
                throw RelayError(
                    .storage,
                    "the state folder \(path) cannot be made: \(StateFolder.fault). Choose another with state."
                )
            }
        }
        self.path = path
        self.lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw RelayError(
                .storage,
                "the state folder \(path) cannot be written: \(StateFolder.fault). Choose another with state."
            )
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            throw RelayError(
                .storage,
                "another relay is using the state folder \(path). Stop it, or choose another with state."
            )
        }
    }

    deinit { close(lock) }

    /// Leaves the folder to the next relay.
    func release() { flock(lock, LOCK_UN) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    /// - Returns: nil when there is no such file.
    func read(_ name: String, limit: Int) throws(RelayError) -> [UInt8]? {
        let descriptor = open(file(name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw RelayError(.storage, "\(file(name)) cannot be read: \(StateFolder.fault)")
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let n = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if n < 0, errno == EINTR { continue }
            guard n >= 0 else { throw RelayError(.storage, "\(file(name)) cannot be read: \(StateFolder.fault)") }
            if n == 0 { break }
            count += n
        }
        guard count <= limit else { throw RelayError(.storage, "\(file(name)) is larger than it should be") }
        return Array(bytes[..<count])
    }

    /// Writes the file whole or not at all, mode 0600: a temporary neighbour, flushed, renamed into place.
    func write(_ bytes: [UInt8], to name: String) throws(RelayError) {
        let temporary = file(name + ".tmp")
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw RelayError(.storage, "\(temporary) cannot be made: \(StateFolder.fault)") }
        let written = writeAll(bytes, to: descriptor) && fsync(descriptor) == 0
        guard close(descriptor) == 0, written, rename(temporary, file(name)) == 0 else {
            let error = RelayError(.storage, "\(file(name)) cannot be written: \(StateFolder.fault)")
            unlink(temporary)
            throw error
        }
    }

    private static var fault: String { String(cString: strerror(errno)) }
}

/// Writes all of `bytes`; false when the descriptor takes no more.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var written = 0
    while written < bytes.count {
        let n = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
        if n < 0, errno == EINTR { continue }
        guard n > 0 else { return false }
        written += n
    }
    return true
}
