#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Small files written whole or not at all: a temporary neighbour, flushed to disk, renamed into place.
enum PrivateFile {
    /// - Parameter mode: permission bits from the first moment on; 0o600 for anything secret.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t) throws(TransportError) {
        let temporary = "\(path).\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("cannot create \(temporary)") }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress! + written, $0.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = failure("cannot write \(temporary)")
                close(descriptor)
                unlink(temporary)
                throw error
            }
            written += count
        }
        guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0, close(descriptor) == 0,
            rename(temporary, path) == 0
        else {
            let error = failure("cannot put \(path) in place")
            unlink(temporary)
            throw error
        }
    }

    /// - Returns: nil when there is no such file.
    /// - Throws: `.credentials` when it cannot be read or is larger than `limit` bytes.
    static func read(_ path: String, limit: Int = 1 << 20) throws(TransportError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("cannot read \(path)")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = chunk.withUnsafeMutableBytes { systemRead(descriptor, $0.baseAddress!, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("cannot read \(path)") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw TransportError(.credentials, "\(path) is too large") }
        }
    }

    static func createFolder(_ path: String) throws(TransportError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw failure("cannot create the folder \(path)") }
    }

    /// Runs `body` while no other process does so for the same `path`.
    static func withLock<R>(_ path: String, _ body: () throws(TransportError) -> R) throws(TransportError) -> R {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot create \(path)") }
        // Closing the descriptor releases the lock.
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure("cannot lock \(path)") }
        }
        return try body()
    }

    private static func failure(_ what: String) -> TransportError {
        TransportError(.credentials, "\(what): \(String(cString: strerror(errno)))")
    }
}

/// The functions of the C library, whose names `PrivateFile` takes.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    read(descriptor, bytes, count)
}
