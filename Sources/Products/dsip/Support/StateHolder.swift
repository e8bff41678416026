import Encoding
import Foundation

/// Keeps a state folder to one program at a time, and lets a running agent say where it is.
///
/// The agent that `dsip up` starts holds `agent.lock` and writes `agent.json` (mode 0600: process, page URL with its token). Another
/// command of the same person talks to it through its local API instead of opening the files beside it; commands that find no agent
/// hold the lock for the moment they need. The lock is the operating system's: it is gone with the process, however that ends.
final class StateHolder: Sendable {
    /// What a running agent tells of itself.
    struct Announcement: Sendable {
        var process: Int64
        /// `http://127.0.0.1:PORT/#token=…`.
        var page: String

        /// `http://127.0.0.1:PORT`.
        var base: String { String(page.prefix { $0 != "#" }.reversed().drop { $0 == "/" }.reversed()) }
        var token: String { page.range(of: "#token=").map { String(page[$0.upperBound...]) } ?? "" }
    }

    enum Holding: Sendable {
        case mine(StateHolder)
        case agent(Announcement)
        /// Somebody holds it who does not say more: another command, for a moment.
        case other
    }

    private let folder: String
    private let lock: Int32

    private init(folder: String, lock: Int32) {
        self.folder = folder
        self.lock = lock
    }

    deinit { close(lock) }

    /// Takes the folder, made when it is absent, or says who has it.
    static func take(_ folder: String) throws -> Holding {
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw CommandFailure(.failed, "The folder \(folder) cannot be made. Choose another with --state.")
        }
        let lock = open(folder + "/agent.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw CommandFailure(.failed, "The folder \(folder) cannot be written. Choose another with --state.")
        }
        if flock(lock, LOCK_EX | LOCK_NB) == 0 { return .mine(StateHolder(folder: folder, lock: lock)) }
        close(lock)
        return announcement(in: folder).map(Holding.agent) ?? .other
    }

    /// The same, waiting up to five seconds for another command to end.
    static func takePatiently(_ folder: String) async throws -> Holding {
        for _ in 0..<50 {
            let holding = try take(folder)
            guard case .other = holding else { return holding }
            try await Task.sleep(for: .milliseconds(100))
        }
        return .other
    }

    /// Tells other commands where the agent's local API is, until `withdraw`.
    func announce(page: String) throws {
        let text = JSONValue.object(["process": .int(Int64(getpid())), "page": .string(page)]).pretty + "\n"
        let temporary = path + ".tmp"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw CommandFailure(.failed, "The folder \(folder) cannot be written.") }
        let bytes = Array(text.utf8)
        let written = Foundation.write(file, bytes, bytes.count)
        close(file)
        guard written == bytes.count, rename(temporary, path) == 0 else {
            throw CommandFailure(.failed, "The folder \(folder) cannot be written; is the disk full?")
        }
    }

    func withdraw() { unlink(path) }

    private var path: String { StateHolder.announcementPath(folder) }

    private static func announcementPath(_ folder: String) -> String { folder + "/agent.json" }

    /// - Returns: nil when nobody announces itself. What a killed agent left behind is told from a running one by the lock.
    private static func announcement(in folder: String) -> Announcement? {
        guard let data = FileManager.default.contents(atPath: announcementPath(folder)), data.count <= 4096,
            let json = try? JSONValue(parsing: Array(data)), let process = json["process"]?.int,
            let page = json["page"]?.string, page.hasPrefix("http://127.0.0.1:"), page.contains("#token=")
        else { return nil }
        return Announcement(process: process, page: page)
    }
}
