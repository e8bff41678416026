import Crypto
import Encoding
import NIOConcurrencyHelpers
import NIOCore

/// Files that a page has handed over and not yet sent.
///
/// They lie in a folder of the state folder, each under a key that only this process knows: whatever is there when it starts is of no
/// use to anybody and is removed.
final class UploadShelf: Sendable {
    /// Bytes of one file, and of all at once.
    static let maximumUpload: Int64 = 100 << 20
    static let maximumTotal: Int64 = 1 << 30
    static let maximumCount = 256
    /// Seconds after which a file nobody sent goes.
    static let lifetime: Int64 = 86_400

    struct Upload: Sendable {
        let id: ULID
        let size: Int64
        let contentType: String
        let receivedAt: Int64
        fileprivate let key: SymmetricKey
    }

    private struct State {
        var held: [ULID: Upload] = [:]
        /// Bytes of what is held, and what those still coming in may bring.
        var bytes: Int64 = 0
        var arriving = 0
    }

    private let folder: String
    private let state = NIOLockedValueBox(State())

    /// - Throws: `.internal` when the folder cannot be made.
    init(folder: String) throws(AgentError) {
        self.folder = folder
        try PrivateFiles.makeFolder(folder)
        for name in PrivateFiles.names(in: folder) { PrivateFiles.remove(folder + "/" + name) }
    }

    /// Takes a file as it comes in.
    ///
    /// - Parameter announced: its size, where it is known before.
    /// - Throws: `.tooLarge`, `.internal`.
    func receive<Body: AsyncSequence>(
        _ body: Body,
        announced: Int64?,
        contentType: String,
        id: ULID,
        at now: Int64
    ) async throws(AgentError) -> Upload where Body.Element == ByteBuffer {
        sweep(at: now)
        guard (announced ?? 0) <= UploadShelf.maximumUpload else { throw UploadShelf.tooLarge }
        let reserved = announced ?? UploadShelf.maximumUpload
        try reserve(reserved)
        let key = SymmetricKey(size: .bits256)
        let path = path(id)
        do {
            var file = try SealedFile(creating: path, key: key)
            var size: Int64 = 0
            for try await part in body {
                size += Int64(part.readableBytes)
                guard size <= reserved else { throw UploadShelf.tooLarge }
                try file.append(part.readableBytesView)
            }
            try file.finish()
            guard size > 0 else { throw AgentError(.badRequest, "The file is empty.") }
            guard announced.map({ $0 == size }) ?? true else {
                throw AgentError(.badRequest, "The file did not arrive whole.")
            }
            let upload = Upload(id: id, size: size, contentType: contentType, receivedAt: now, key: key)
            state.withLockedValue { state in
                state.held[id] = upload
                state.bytes += size - reserved
                state.arriving -= 1
            }
            return upload
        } catch {
            PrivateFiles.remove(path)
            state.withLockedValue { state in
                state.bytes -= reserved
                state.arriving -= 1
            }
            throw error as? AgentError ?? AgentError(.badRequest, "The file did not arrive whole.")
        }
    }

    /// The bytes of a file. It stays until ``remove(_:)``.
    /// - Throws: `.notFound`, `.damaged`.
    func read(_ id: ULID) throws(AgentError) -> (upload: Upload, bytes: [UInt8]) {
        guard let upload = state.withLockedValue({ $0.held[id] }) else {
            throw AgentError(.notFound, "The file is no longer here. Choose it again.")
        }
        return (upload, try SealedFile.read(path(id), key: upload.key, size: upload.size))
    }

    func remove(_ id: ULID) {
        let upload = state.withLockedValue { state in
            let upload = state.held.removeValue(forKey: id)
            state.bytes -= upload?.size ?? 0
            return upload
        }
        if upload != nil { PrivateFiles.remove(path(id)) }
    }

    /// Removes what nobody sent in time.
    func sweep(at now: Int64) {
        let old = state.withLockedValue {
            $0.held.values.filter { $0.receivedAt + UploadShelf.lifetime <= now }.map(\.id)
        }
        for id in old { remove(id) }
    }

    private func reserve(_ bytes: Int64) throws(AgentError) {
        let isRoom = state.withLockedValue { state in
            guard state.bytes + bytes <= UploadShelf.maximumTotal,
                state.held.count + state.arriving < UploadShelf.maximumCount
            else { return false }
            state.bytes += bytes
            state.arriving += 1
            return true
        }
        if !isRoom { throw AgentError(.busy, "Too many files wait to be sent. Send or drop some first.") }
    }

    private func path(_ id: ULID) -> String { folder + "/" + id.description }

    private static let tooLarge = AgentError(.tooLarge, "A file may have at most 100 MiB.")
}
