#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files that are whole or as they were before, whatever happens while they are written.
package enum AtomicFile {
    /// The steps of a write, in order; a test stops after each.
    package enum Step: CaseIterable { case created, written, synced, renamed }

    /// Writes to a temporary file in the same folder, forces it to disk, renames it over `path` and forces the folder to
    /// disk.
    ///
    /// - Parameter exclusive: refuses when `path` exists already.
    /// - Throws: `.storage` with the reason; the file at `path` is untouched unless the rename had happened.
    package static func write(
        _ bytes: [UInt8],
        to path: String,
        exclusive: Bool = false,
        after: (Step) throws(IdentityError) -> Void = { _ in }
    ) throws(IdentityError) {
        let temporary = "\(path).tmp-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw failure("the file cannot be created in its folder") }
        var remains = true
        var isOpen = true
        defer {
            if isOpen { close(file) }
            if remains { unlink(temporary) }
        }
        try after(.created)
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { Glue.write(file, $0.baseAddress! + offset, bytes.count - offset) }
            if written < 0 {
                if errno == EINTR { continue }
                throw failure("the file cannot be written")
            }
            offset += written
        }
        try after(.written)
        guard fsync(file) == 0 else { throw failure("the file cannot be forced to disk") }
        isOpen = false
        guard close(file) == 0 else { throw failure("the file cannot be closed") }
        try after(.synced)
        if exclusive {
            // Unlike rename, link does not replace what is there.
            guard link(temporary, path) == 0 else {
                if errno == EEXIST {
                    throw IdentityError(.refused, "there is a file of that name already; nothing was changed")
                }
                throw failure("the file cannot be put in its place")
            }
        } else {
            guard rename(temporary, path) == 0 else { throw failure("the file cannot be put in its place") }
            remains = false
        }
        try after(.renamed)
        syncFolder(of: path)
    }

    /// - Throws: `.notFound`, `.tooLarge`, `.storage`.
    package static func read(_ path: String, limit: Int, privateTo owner: Bool = false) throws(IdentityError) -> [UInt8]
    {
        let file = open(path, O_RDONLY | O_CLOEXEC | (owner ? O_NOFOLLOW : 0))
        guard file >= 0 else {
            throw errno == ENOENT
                ? IdentityError(.notFound, "there is no such file") : failure("the file cannot be opened")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw IdentityError(.storage, "this is not a regular file")
        }
        if owner {
            guard status.st_mode & 0o077 == 0 else {
                throw IdentityError(.refused, "the key file can be read by others; its mode must be 0600")
            }
            guard status.st_uid == geteuid() else {
                throw IdentityError(.refused, "the key file belongs to another user")
            }
        }
        guard status.st_size <= limit else { throw IdentityError(.tooLarge, "the file is too large") }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        defer { buffer.zeroize() }
        while true {
            let count = buffer.withUnsafeMutableBytes { Glue.read(file, $0.baseAddress!, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("the file cannot be read")
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
            guard bytes.count <= limit else { throw IdentityError(.tooLarge, "the file is too large") }
        }
    }

    /// Runs `body` while no other process that asks holds the lock file beside `path`.
    static func locked<R>(_ path: String, _ body: () throws(IdentityError) -> R) throws(IdentityError) -> R {
        let file = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw failure("the lock beside the file cannot be created") }
        defer { close(file) }
        while flock(file, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure("the lock beside the file cannot be taken") }
        }
        return try body()
    }

    /// Removes what writers that were killed left beside `path`: files of this user's with the name of our own making, untouched for a
    /// minute. A writer needs moments, so that no file in use is among them.
    static func sweep(_ path: String) {
        let (folder, name) = split(path)
        guard let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        var leftovers: [String] = []
        while leftovers.count < 1024, let entry = readdir(listing) {
            let found = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if isTemporary(found, of: name) { leftovers.append("\(folder)/\(found)") }
        }
        for leftover in leftovers {
            var status = stat()
            guard lstat(leftover, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
                time(nil) - Glue.changed(status) > 60
            else { continue }
            unlink(leftover)
        }
    }

    /// `NAME.tmp-PROCESS-NUMBER`, as `write` makes it.
    private static func isTemporary(_ found: String, of name: String) -> Bool {
        guard found.hasPrefix("\(name).tmp-") else { return false }
        let numbers = found.dropFirst(name.count + 5).split(separator: "-", omittingEmptySubsequences: false)
        return numbers.count == 2
            && numbers.allSatisfy { (1...10).contains($0.utf8.count) && $0.utf8.allSatisfy(Hostname.isDigit) }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }

    private static func syncFolder(of path: String) {
        let folder = split(path).folder
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { return }
        // Some file systems cannot; the rename itself is atomic all the same.
        fsync(handle)
        close(handle)
    }

    private static func failure(_ what: String) -> IdentityError {
        let code = errno
        let detail =
            switch code {
            case ENOSPC, EDQUOT: "the disk is full"
            case EACCES, EPERM, EROFS: "it is not permitted"
            case ENOENT: "the folder does not exist"
            default: "system error \(code)"
            }
        return IdentityError(.storage, "\(what): \(detail); nothing was changed")
    }
}

/// The C functions whose names `AtomicFile` uses itself.
private enum Glue {
    static func changed(_ status: stat) -> Int {
        #if canImport(Darwin)
            status.st_mtimespec.tv_sec
        #else
            status.st_mtim.tv_sec
        #endif
    }

    static func write(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.write(file, bytes, count)
        #elseif canImport(Musl)
            Musl.write(file, bytes, count)
        #else
            Darwin.write(file, bytes, count)
        #endif
    }

    static func read(_ file: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.read(file, bytes, count)
        #elseif canImport(Musl)
            Musl.read(file, bytes, count)
        #else
            Darwin.read(file, bytes, count)
        #endif
    }
}
