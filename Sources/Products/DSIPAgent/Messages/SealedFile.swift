import Crypto

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A file written once, from beginning to end, under a key of its own (AES-256-GCM), mode 0600.
///
/// ```
/// part n = ciphertext of 65,536 bytes, the last of fewer ‖ tag (16)     nonce: n, big endian, in 12 bytes
/// ```
/// A key is used for one file only, so that a number is nonce enough. How long the file is its owner remembers; a part that is missing
/// is found by that.
struct SealedFile: ~Copyable {
    static let partBytes = 65_536
    static let tagBytes = 16

    private let file: Int32
    private let key: SymmetricKey
    private var pending: [UInt8] = []
    private var parts: UInt64 = 0
    /// Bytes of plaintext so far.
    private(set) var size: Int64 = 0

    /// Makes the file; there is none at `path`.
    /// - Throws: `.internal`.
    init(creating path: String, key: SymmetricKey) throws(AgentError) {
        file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw PrivateFiles.failure() }
        self.key = key
    }

    deinit { close(file) }

    /// - Throws: `.internal`, with what to do when the disk is full.
    mutating func append(_ bytes: some Sequence<UInt8>) throws(AgentError) {
        pending.append(contentsOf: bytes)
        while pending.count >= SealedFile.partBytes {
            try write(part: Array(pending[..<SealedFile.partBytes]))
            pending.removeFirst(SealedFile.partBytes)
        }
    }

    /// Writes what is left and forces it to disk.
    mutating func finish() throws(AgentError) {
        if !pending.isEmpty { try write(part: pending) }
        pending = []
        guard fsync(file) == 0 else { throw PrivateFiles.failure() }
    }

    private mutating func write(part: [UInt8]) throws(AgentError) {
        guard let box = try? AES.GCM.seal(part, using: key, nonce: SealedFile.nonce(parts)) else {
            throw AgentError(.internal, "The file could not be encrypted.")
        }
        try PrivateFiles.write(Array(box.ciphertext) + Array(box.tag), to: file)
        parts += 1
        size += Int64(part.count)
    }

    /// - Parameter size: bytes of plaintext that were written.
    /// - Throws: `.notFound`, `.damaged`.
    static func read(_ path: String, key: SymmetricKey, size: Int64) throws(AgentError) -> [UInt8] {
        let damaged = AgentError(.damaged, "The file on this device is damaged.")
        let parts = (size + Int64(partBytes) - 1) / Int64(partBytes)
        let sealed = try PrivateFiles.read(path, limit: size + parts * Int64(tagBytes))
        guard Int64(sealed.count) == size + parts * Int64(tagBytes) else { throw damaged }
        var plaintext: [UInt8] = []
        plaintext.reserveCapacity(Int(size))
        var start = 0
        for number in 0..<UInt64(parts) {
            let end = min(sealed.count, start + partBytes + tagBytes)
            guard
                let box = try? AES.GCM.SealedBox(
                    nonce: nonce(number),
                    ciphertext: sealed[start..<(end - tagBytes)],
                    tag: sealed[(end - tagBytes)..<end]
                ), let part = try? AES.GCM.open(box, using: key)
            else { throw damaged }
            plaintext += part
            start = end
        }
        return plaintext
    }

    private static func nonce(_ number: UInt64) throws -> AES.GCM.Nonce {
        try AES.GCM.Nonce(
            data: [0, 0, 0, 0] + stride(from: 56, through: 0, by: -8).map { UInt8(number >> UInt64($0) & 0xFF) }
        )
    }
}
