import Crypto
import FoundationEssentials

/// The authenticated encryption of a cipher suite. The values are HPKE's identifiers (RFC 9180 §7.3).
package enum AEADAlgorithm: UInt16, Sendable, Hashable {
    case aes128GCM = 1
    case aes256GCM = 2
    case chaCha20Poly1305 = 3

    /// `Nk`.
    package var keyByteCount: Int { self == .aes128GCM ? 16 : 32 }
    /// `Nn`.
    package var nonceByteCount: Int { 12 }
    var tagByteCount: Int { 16 }

    /// - Returns: the ciphertext and its tag.
    package func seal(
        _ plaintext: some DataProtocol,
        key: Secret,
        nonce: Secret,
        authenticating data: [UInt8]
    ) throws(MLSError) -> [UInt8] {
        do {
            let key = key.withUnsafeBytes { SymmetricKey(data: $0) }
            switch self {
            case .aes128GCM, .aes256GCM:
                let nonce = try nonce.withUnsafeBytes { try AES.GCM.Nonce(data: $0) }
                let box = try AES.GCM.seal(plaintext, using: key, nonce: nonce, authenticating: data)
                return Self.joined(box.ciphertext, box.tag)
            case .chaCha20Poly1305:
                let nonce = try nonce.withUnsafeBytes { try ChaChaPoly.Nonce(data: $0) }
                let box = try ChaChaPoly.seal(plaintext, using: key, nonce: nonce, authenticating: data)
                return Self.joined(box.ciphertext, box.tag)
            }
        } catch {
            throw MLSError(.cryptography, "the plaintext cannot be sealed")
        }
    }

    private static func joined(_ ciphertext: Data, _ tag: Data) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: ciphertext.count + tag.count) { buffer, initialized in
            let output = UnsafeMutableRawBufferPointer(buffer)
            ciphertext.withUnsafeBytes { output.copyMemory(from: $0) }
            tag.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: output[ciphertext.count...]).copyMemory(from: $0)
            }
            initialized = output.count
        }
    }

    /// - Parameter sealed: ciphertext and tag.
    package func open(
        _ sealed: [UInt8],
        key: Secret,
        nonce: Secret,
        authenticating data: [UInt8]
    ) throws(MLSError) -> Data {
        let count = sealed.count - tagByteCount
        guard count >= 0 else { throw MLSError(.authentication, "a ciphertext is shorter than its tag") }
        do {
            let key = key.withUnsafeBytes { SymmetricKey(data: $0) }
            switch self {
            case .aes128GCM, .aes256GCM:
                let nonce = try nonce.withUnsafeBytes { try AES.GCM.Nonce(data: $0) }
                let box = try AES.GCM.SealedBox(nonce: nonce, ciphertext: sealed[..<count], tag: sealed[count...])
                return try AES.GCM.open(box, using: key, authenticating: data)
            case .chaCha20Poly1305:
                let nonce = try nonce.withUnsafeBytes { try ChaChaPoly.Nonce(data: $0) }
                let box = try ChaChaPoly.SealedBox(nonce: nonce, ciphertext: sealed[..<count], tag: sealed[count...])
                return try ChaChaPoly.open(box, using: key, authenticating: data)
            }
        } catch {
            throw MLSError(.authentication, "a ciphertext does not authenticate")
        }
    }
}
