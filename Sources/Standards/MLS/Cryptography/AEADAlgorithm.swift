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
        _ plaintext: some ContiguousBytes,
        key: Secret,
        nonce: Secret,
        authenticating data: [UInt8]
    ) throws(MLSError) -> [UInt8] {
        do {
            // The library is given the bytes themselves: of an array it makes copies.
            let sealed: Data = try plaintext.withUnsafeBytes { plaintext in
                try data.withUnsafeBytes { try combined(plaintext, key.symmetric, nonce, $0) }
            }
            return sealed.withUnsafeBytes { Array(UnsafeRawBufferPointer(rebasing: $0[nonceByteCount...])) }
        } catch {
            throw MLSError(.cryptography, "the plaintext cannot be sealed")
        }
    }

    /// Nonce, ciphertext and tag.
    private func combined(
        _ plaintext: UnsafeRawBufferPointer,
        _ key: SymmetricKey,
        _ nonce: Secret,
        _ data: UnsafeRawBufferPointer
    ) throws -> Data {
        switch self {
        case .aes128GCM, .aes256GCM:
            let nonce = try nonce.withUnsafeBytes { try AES.GCM.Nonce(data: $0) }
            let box = try AES.GCM.seal(plaintext, using: key, nonce: nonce, authenticating: data)
            guard let combined = box.combined else { throw MLSError(.cryptography, "a nonce has another size") }
            return combined
        case .chaCha20Poly1305:
            let nonce = try nonce.withUnsafeBytes { try ChaChaPoly.Nonce(data: $0) }
            return try ChaChaPoly.seal(plaintext, using: key, nonce: nonce, authenticating: data).combined
        }
    }

    /// - Parameter sealed: ciphertext and tag.
    package func open(
        _ sealed: [UInt8],
        key: Secret,
        nonce: Secret,
        authenticating data: [UInt8]
    ) throws(MLSError) -> [UInt8] {
        guard sealed.count >= tagByteCount else {
            throw MLSError(.authentication, "a ciphertext is shorter than its tag")
        }
        do {
            let opened = try withUnsafeTemporaryAllocation(
                byteCount: nonceByteCount + sealed.count,
                alignment: 8
            ) { buffer in
                nonce.withUnsafeBytes { buffer.copyMemory(from: $0) }
                sealed.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(rebasing: buffer[nonceByteCount...]).copyMemory(from: $0)
                }
                let combined = UnsafeRawBufferPointer(buffer)
                return try data.withUnsafeBytes { data in
                    switch self {
                    case .aes128GCM, .aes256GCM:
                        let box = try AES.GCM.SealedBox(combined: combined)
                        return try AES.GCM.open(box, using: key.symmetric, authenticating: data)
                    case .chaCha20Poly1305:
                        let box = try ChaChaPoly.SealedBox(combined: combined)
                        return try ChaChaPoly.open(box, using: key.symmetric, authenticating: data)
                    }
                }
            }
            return opened.withUnsafeBytes { Array($0) }
        } catch {
            throw MLSError(.authentication, "a ciphertext does not authenticate")
        }
    }
}

extension Secret {
    fileprivate var symmetric: SymmetricKey { withUnsafeBytes { SymmetricKey(data: $0) } }
}
