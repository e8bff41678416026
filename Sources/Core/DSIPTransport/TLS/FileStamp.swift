import Foundation

/// What changes when a file is replaced or rewritten: inode, size and modification time.
struct FileStamp: Hashable, Sendable {
    private let inode: UInt64
    private let size: UInt64
    private let modified: Date

    /// - Returns: nil when there is no such file, or it may not be looked at. Links are followed.
    init?(path: String) {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: target),
            let inode = attributes[.systemFileNumber] as? NSNumber, let size = attributes[.size] as? NSNumber,
            let modified = attributes[.modificationDate] as? Date
        else { return nil }
        self.inode = inode.uint64Value
        self.size = size.uint64Value
        self.modified = modified
    }
}
