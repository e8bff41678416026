import FoundationEssentials

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Whole files of this user alone.
enum PrivateFiles {
    /// Makes the folder, mode 0700.
    static func makeFolder(_ path: String) throws(AgentError) { try StateFolder.prepare(path) }

    /// Names in a folder; none when it is not there.
    static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    static func remove(_ path: String) { unlink(path) }

    /// Bytes of a file; nil when there is none.
    static func size(of path: String) -> Int64? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let end = lseek(file, 0, SEEK_END)
        // What is no file has no end, or one beyond all files.
        return end >= 0 && end < 1 << 48 ? Int64(end) : nil
    }

    /// - Throws: `.notFound`; `.damaged` for a file longer than `limit`.
    static func read(_ path: String, limit: Int64) throws(AgentError) -> [UInt8] {
        guard let size = size(of: path) else { throw AgentError(.notFound, "The file is no longer on this device.") }
        guard size <= limit else { throw AgentError(.damaged, "The file on this device is damaged.") }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw AgentError(.notFound, "The file is no longer on this device.") }
        defer { close(file) }
        return [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
            while count < buffer.count {
                let got = pread(file, buffer.baseAddress! + count, buffer.count - count, off_t(count))
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { return }
                count += got
            }
        }
    }

    /// Writes all of `bytes` at the end of an open file.
    static func write(_ bytes: [UInt8], to file: Int32) throws(AgentError) {
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { posixWrite(file, $0.baseAddress! + offset, $0.count - offset) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure() }
            offset += written
        }
    }

    static func failure() -> AgentError {
        errno == ENOSPC || errno == EDQUOT
            ? AgentError(.internal, "The disk is full. Free some space and try again.")
            : AgentError(.internal, "A file could not be written to the state folder.")
    }
}

/// The function of the C library: within `PrivateFiles` its name is taken.
private func posixWrite(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int { write(file, bytes, count) }
