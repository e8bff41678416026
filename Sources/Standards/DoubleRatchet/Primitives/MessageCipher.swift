import Crypto
import CryptoExtras
import FoundationEssentials

/// What seals one message under its own key (Double Ratchet §5.2, ENCRYPT and DECRYPT).
///
/// A message key seals exactly one message, so the nonce may be constant. Should a program restore a state it had already
/// sent from, the same key seals twice: AES-GCM-SIV then shows no more than whether the two messages are equal, while
/// AES-GCM and ChaCha20-Poly1305 lose both. That is why the first is the standard.
public enum MessageCipher: Hashable, Sendable {
    /// AES-256-GCM-SIV (RFC 8452), zero nonce.
    case aes256GCMSIV
    /// AES-256-GCM, zero nonce.
    case aes256GCM
    /// ChaCha20-Poly1305 (RFC 8439), zero nonce.
    case chaCha20Poly1305
    /// AES-256-CBC and HMAC, keys and IV by HKDF of the message key: what the specification recommends.
    ///
    /// - `tag` is how many bytes of the HMAC are kept.
    case aes256CBC(KDFHash, info: [UInt8], tag: Int)

    package func seal(_ plaintext: [UInt8], key: Secret, authenticating data: [UInt8]) throws(RatchetError) -> [UInt8] {
        do {
            switch self {
            case .aes256GCMSIV:
                let box = try Self.borrow(plaintext, data) { plaintext, data in
                    try AES.GCM._SIV.seal(plaintext, using: key.symmetric, nonce: Self.sivNonce, authenticating: data)
                }
                return Self.withoutNonce(box.combined)
            case .aes256GCM:
                let box = try Self.borrow(plaintext, data) { plaintext, data in
                    try AES.GCM.seal(plaintext, using: key.symmetric, nonce: Self.gcmNonce, authenticating: data)
                }
                guard let combined = box.combined else { throw RatchetError(.malformed, "a nonce of another size") }
                return Self.withoutNonce(combined)
            case .chaCha20Poly1305:
                let box = try Self.borrow(plaintext, data) { plaintext, data in
                    try ChaChaPoly.seal(plaintext, using: key.symmetric, nonce: Self.chaChaNonce, authenticating: data)
                }
                return Self.withoutNonce(box.combined)
            case .aes256CBC(let hash, let info, let tag):
                let keys = Self.keys(hash, info, key)
                let sealed = Array(
                    try AES._CBC.encrypt(plaintext, using: keys[0].symmetric, iv: try Self.iv(keys[2]))
                )
                return sealed + Self.tag(hash, keys[1], data, sealed[...]).prefix(tag)
            }
        } catch {
            throw RatchetError(.malformed, "the message cannot be sealed")
        }
    }

    package func open(
        _ sealed: ArraySlice<UInt8>,
        key: Secret,
        authenticating data: [UInt8]
    ) throws(RatchetError) -> [UInt8] {
        do {
            switch self {
            case .aes256GCMSIV:
                guard sealed.count >= 16 else { throw RatchetError(.malformed, "no room for a tag") }
                let box = try Self.combined(sealed) { try AES.GCM._SIV.SealedBox(combined: $0) }
                let opened = try data.withUnsafeBytes {
                    try AES.GCM._SIV.open(box, using: key.symmetric, authenticating: $0)
                }
                return opened.withUnsafeBytes { Array($0) }
            case .aes256GCM:
                guard sealed.count >= 16 else { throw RatchetError(.malformed, "no room for a tag") }
                let box = try Self.combined(sealed) { try AES.GCM.SealedBox(combined: $0) }
                let opened = try data.withUnsafeBytes {
                    try AES.GCM.open(box, using: key.symmetric, authenticating: $0)
                }
                return opened.withUnsafeBytes { Array($0) }
            case .chaCha20Poly1305:
                guard sealed.count >= 16 else { throw RatchetError(.malformed, "no room for a tag") }
                let box = try Self.combined(sealed) { try ChaChaPoly.SealedBox(combined: $0) }
                let opened = try data.withUnsafeBytes {
                    try ChaChaPoly.open(box, using: key.symmetric, authenticating: $0)
                }
                return opened.withUnsafeBytes { Array($0) }
            case .aes256CBC(let hash, let info, let tag):
                guard sealed.count >= 16 + tag, (sealed.count - tag) % 16 == 0 else {
                    throw RatchetError(.malformed, "no whole number of blocks and a tag")
                }
                let keys = Self.keys(hash, info, key)
                let body = sealed.dropLast(tag)
                let expected = Self.tag(hash, keys[1], data, body).prefix(tag)
                // The tag is checked before the padding is looked at.
                guard constantTimeEqual(Array(expected), Array(sealed.suffix(tag))) else {
                    throw RatchetError(.authenticationFailed, "the tag differs")
                }
                return Array(try AES._CBC.decrypt(body, using: keys[0].symmetric, iv: try Self.iv(keys[2])))
            }
        } catch let error as RatchetError {
            throw error
        } catch {
            throw RatchetError(.authenticationFailed, "the message is not what its key sealed")
        }
    }

    /// Encryption key, authentication key and IV (in the first half of the third) of a message key.
    package static func keys(_ hash: KDFHash, _ info: [UInt8], _ key: Secret) -> [Secret] {
        key.withUnsafeBytes { hash.derive(salt: nil, material: $0, info: info, count: 3) }
    }

    private static func iv(_ key: Secret) throws -> AES._CBC.IV { try AES._CBC.IV(ivBytes: key.bytes.prefix(16)) }

    private static func tag(
        _ hash: KDFHash,
        _ key: Secret,
        _ data: [UInt8],
        _ sealed: ArraySlice<UInt8>
    ) -> [UInt8] {
        func tag<H: HashFunction>(_: H.Type) -> [UInt8] {
            let mac = key.withUnsafeBytes { KeyedHash<H>(key: $0) }.authenticate { hash in
                data.withUnsafeBytes { hash.update(bufferPointer: $0) }
                sealed.withUnsafeBytes { hash.update(bufferPointer: $0) }
            }
            return mac.withUnsafeBytes { Array($0) }
        }
        return switch hash {
        case .sha256: tag(SHA256.self)
        case .sha512: tag(SHA512.self)
        }
    }

    /// Calls `body` with the bytes themselves: the library copies what it is given as arrays.
    private static func borrow<R>(
        _ a: [UInt8],
        _ b: [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
        try a.withUnsafeBytes { a in try b.withUnsafeBytes { b in try body(a, b) } }
    }

    private static func withoutNonce(_ combined: Data) -> [UInt8] {
        combined.withUnsafeBytes { Array(UnsafeRawBufferPointer(rebasing: $0[zeros.count...])) }
    }

    /// Calls `body` with the zero nonce and what was sealed behind it.
    private static func combined<R>(
        _ sealed: ArraySlice<UInt8>,
        _ body: (UnsafeRawBufferPointer) throws -> R
    ) rethrows -> R {
        try withUnsafeTemporaryAllocation(byteCount: zeros.count + sealed.count, alignment: 8) { buffer in
            buffer.copyBytes(from: zeros)
            UnsafeMutableRawBufferPointer(rebasing: buffer[zeros.count...]).copyBytes(from: sealed)
            return try body(UnsafeRawBufferPointer(buffer))
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: 12)
    private static let sivNonce = try? AES.GCM._SIV.Nonce(data: zeros)
    private static let gcmNonce = try? AES.GCM.Nonce(data: zeros)
    private static let chaChaNonce = try? ChaChaPoly.Nonce(data: zeros)
}
