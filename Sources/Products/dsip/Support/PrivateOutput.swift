import DSIPIdentity
import Foundation

/// Files that a command writes for the person.
enum PrivateOutput {
    /// - Parameters:
    ///   - replacing: whether a file that is there may be written over.
    ///   - secret: whether others may not read it.
    static func write(_ text: String, to path: String, replacing: Bool, secret: Bool) throws {
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (replacing ? O_TRUNC : O_EXCL)
        let file = open((path as NSString).expandingTildeInPath, flags, secret ? 0o600 : 0o644)
        guard file >= 0 else {
            throw CommandFailure(
                .failed,
                errno == EEXIST
                    ? "\(path) exists already and was left as it is. Name another file, or use --force."
                    : "\(path) cannot be written: \(String(cString: strerror(errno)))."
            )
        }
        defer { close(file) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw CommandFailure(.failed, "\(path) could not be written whole; is the disk full?")
            }
            rest = rest.dropFirst(count)
        }
        guard fsync(file) == 0 else {
            throw CommandFailure(.failed, "\(path) could not be written whole; is the disk full?")
        }
    }

    /// A file, or standard input for `-`, of at most `limit` bytes.
    static func read(_ path: String, limit: Int, what: String) throws -> [UInt8] {
        if path == "-" {
            var all = Data()
            while all.count <= limit, let more = try FileHandle.standardInput.read(upToCount: limit + 1 - all.count),
                !more.isEmpty
            {
                all.append(more)
            }
            guard all.count <= limit else { throw CommandFailure(.failed, "\(what) is larger than \(limit) bytes.") }
            return Array(all)
        }
        let name = (path as NSString).expandingTildeInPath
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: name, isDirectory: &isFolder) else {
            throw CommandFailure(.notFound, "There is no file \(path).")
        }
        guard !isFolder.boolValue, let handle = FileHandle(forReadingAtPath: name),
            let data = try handle.read(upToCount: limit + 1)
        else {
            throw CommandFailure(.failed, "\(path) cannot be read\(isFolder.boolValue ? "; it is a folder" : "").")
        }
        guard data.count <= limit else { throw CommandFailure(.failed, "\(path) is larger than \(limit) bytes.") }
        return Array(data)
    }
}
