import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import NIOConcurrencyHelpers

/// Attachments on this device: ciphertext as it travels, kept for as long as there is room, and files that have still to go up.
///
/// ```
/// attachments/ab/ab12…   ciphertext, by its SHA-256; the key is in the message, sealed in the database
/// outgoing/<message>     plaintext sealed in parts under a key derived from the identity's data key
/// ```
final class AttachmentShelf: Sendable {
    /// Bytes of ciphertext kept; the longest unused goes first.
    static let maximumBytes: Int64 = 2 << 30

    private struct State {
        var sizes: [String: Int64] = [:]
        /// Least recently used first.
        var order: [String] = []
        var bytes: Int64 = 0
    }

    private let folder: String
    private let outgoing: String
    private let maximumBytes: Int64
    private let state = NIOLockedValueBox(State())

    /// - Throws: `.internal` when the folders cannot be made.
    init(stateFolder: String, maximumBytes: Int64 = AttachmentShelf.maximumBytes) throws(AgentError) {
        folder = stateFolder + "/attachments"
        outgoing = stateFolder + "/outgoing"
        self.maximumBytes = maximumBytes
        try PrivateFiles.makeFolder(folder)
        try PrivateFiles.makeFolder(outgoing)
        state.withLockedValue { state in
            for part in PrivateFiles.names(in: folder) {
                for name in PrivateFiles.names(in: folder + "/" + part) {
                    let path = folder + "/" + part + "/" + name
                    guard name.utf8.count == 64, let size = PrivateFiles.size(of: path) else {
                        PrivateFiles.remove(path)
                        continue
                    }
                    state.sizes[name] = size
                    state.order.append(name)
                    state.bytes += size
                }
            }
        }
    }

    // MARK: Ciphertext

    func has(_ sha256: String) -> Bool { state.withLockedValue { $0.sizes[sha256] != nil } }

    /// Keeps a verified ciphertext.
    func keep(_ ciphertext: [UInt8], sha256: String) throws(AgentError) {
        let size = Int64(ciphertext.count)
        guard size <= maximumBytes, !has(sha256) else { return }
        try PrivateFiles.makeFolder(folder + "/" + sha256.prefix(2))
        do {
            try AtomicFile.write(ciphertext, to: path(sha256))
        } catch {
            throw AgentError(error, doing: "The file could not be kept")
        }
        let evicted = state.withLockedValue { state in
            state.sizes[sha256] = size
            state.order.append(sha256)
            state.bytes += size
            var evicted: [String] = []
            while state.bytes > maximumBytes {
                let oldest = state.order.removeFirst()
                state.bytes -= state.sizes.removeValue(forKey: oldest) ?? 0
                evicted.append(oldest)
            }
            return evicted
        }
        for name in evicted { PrivateFiles.remove(path(name)) }
    }

    /// - Throws: `.notFound` when it is not kept here (any more); `.damaged`.
    func open(_ reference: BlobReference, key: [UInt8]) throws(AgentError) -> [UInt8] {
        let isKept = state.withLockedValue { state in
            guard let place = state.order.firstIndex(of: reference.sha256) else { return false }
            state.order.append(state.order.remove(at: place))
            return true
        }
        guard isKept else { throw AgentError(.notFound, "The file is not on this device.") }
        do throws(AgentError) {
            let ciphertext = try PrivateFiles.read(path(reference.sha256), limit: reference.size)
            do {
                return try Seal.openBlob(ciphertext, size: reference.size, sha256: reference.sha256, key: key)
            } catch {
                throw AgentError(.damaged, "The file on this device is damaged.")
            }
        } catch {
            drop(reference.sha256)
            throw error
        }
    }

    func drop(_ sha256: String) {
        let size = state.withLockedValue { state -> Int64? in
            guard let size = state.sizes.removeValue(forKey: sha256) else { return nil }
            state.order.removeAll { $0 == sha256 }
            state.bytes -= size
            return size
        }
        if size != nil { PrivateFiles.remove(path(sha256)) }
    }

    private func path(_ sha256: String) -> String { folder + "/" + sha256.prefix(2) + "/" + sha256 }

    // MARK: What has still to go up

    /// Keeps a file until its message is on its way; it is on disk when this returns.
    func hold(_ plaintext: [UInt8], for message: ULID, key: SymmetricKey) throws(AgentError) {
        let path = outgoing + "/" + message.description
        PrivateFiles.remove(path)
        var file = try SealedFile(creating: path, key: AttachmentShelf.key(for: message, key))
        try file.append(plaintext)
        try file.finish()
    }

    /// - Throws: `.notFound`, `.damaged`.
    func held(for message: ULID, key: SymmetricKey) throws(AgentError) -> [UInt8] {
        let path = outgoing + "/" + message.description
        guard let sealed = PrivateFiles.size(of: path) else {
            throw AgentError(.notFound, "The file is no longer on this device.")
        }
        let part = Int64(SealedFile.partBytes + SealedFile.tagBytes)
        let parts = (sealed + part - 1) / part
        return try SealedFile.read(
            path,
            key: AttachmentShelf.key(for: message, key),
            size: sealed - parts * Int64(SealedFile.tagBytes)
        )
    }

    func release(_ message: ULID) { PrivateFiles.remove(outgoing + "/" + message.description) }

    /// Messages that files are held for.
    var heldMessages: [ULID] { PrivateFiles.names(in: outgoing).compactMap { ULID($0) } }

    private static func key(for message: ULID, _ key: SymmetricKey) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key,
            salt: Array(message.description.utf8),
            info: Array("dsip outgoing v1".utf8),
            outputByteCount: 32
        )
    }
}
