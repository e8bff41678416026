import Encoding
import Foundation

/// Published vectors: the folder `DSIP_VECTORS` names, else `../shared/vectors` beside the package, when it is there.
public enum Vectors {
    public static let root: URL? = {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder =
            ProcessInfo.processInfo.environment["DSIP_VECTORS"].map { URL(filePath: $0) }
            ?? package.deletingLastPathComponent().appending(path: "shared/vectors")
        return FileManager.default.fileExists(atPath: folder.path) ? folder : nil
    }()

    /// The files under `path` with one of `extensions`, sorted; empty when there are no vectors here.
    public static func files(_ path: String, extensions: Set<String> = ["json"]) -> [URL] {
        guard let folder = root?.appending(path: path),
            let walk = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        else { return [] }
        return walk.compactMap { $0 as? URL }.filter { extensions.contains($0.pathExtension) }
            .sorted { $0.path < $1.path }
    }

    public static func json(_ file: URL) throws -> JSONValue {
        try JSONValue(
            parsing: Array(Data(contentsOf: file)),
            limits: .init(bytes: 64 << 20, depth: 64, members: 65_000)
        )
    }
}
