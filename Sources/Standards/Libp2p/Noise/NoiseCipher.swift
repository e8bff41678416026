import Crypto
import FoundationEssentials

/// The CipherState of the Noise framework §5.1 with ChaCha20-Poly1305.
package struct NoiseCipher: Sendable {
    static let tagLength = 16

    private let key: SymmetricKey
    private(set) var nonce: UInt64 = 0

    init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    package mutating func encrypt(_ plaintext: some Collection<UInt8>, authenticating: [UInt8] = []) throws(Libp2pError)
        -> [UInt8]
    {
        let nonce = try nextNonce()
        do {
            let box = try ChaChaPoly.seal(Array(plaintext), using: key, nonce: nonce, authenticating: authenticating)
            return Array(box.ciphertext) + Array(box.tag)
        } catch {
            throw Libp2pError(.unauthentic, "sealing failed")
        }
    }

    /// The same without associated data, behind what `output` holds.
    mutating func encrypt(_ plaintext: ArraySlice<UInt8>, into output: inout [UInt8]) throws(Libp2pError) {
        let nonce = try nextNonce()
        guard let box = try? ChaChaPoly.seal(plaintext, using: key, nonce: nonce) else {
            throw Libp2pError(.unauthentic, "sealing failed")
        }
        // The nonce stands in front of what was sealed.
        box.combined.withUnsafeBytes { output.append(contentsOf: $0.dropFirst(12)) }
    }

    /// - Throws: `unauthentic` when the bytes were not sealed under this key, nonce and associated data.
    package mutating func decrypt(_ sealed: some Collection<UInt8>, authenticating: [UInt8] = []) throws(Libp2pError)
        -> [UInt8]
    {
        guard sealed.count >= NoiseCipher.tagLength else { throw Libp2pError(.malformed, "shorter than its tag") }
        let nonce = try nextNonce()
        let split = sealed.count - NoiseCipher.tagLength
        do {
            let box = try ChaChaPoly.SealedBox(
                nonce: nonce,
                ciphertext: Array(sealed.prefix(split)),
                tag: Array(sealed.suffix(NoiseCipher.tagLength))
            )
            return Array(try ChaChaPoly.open(box, using: key, authenticating: authenticating))
        } catch {
            throw Libp2pError(.unauthentic, "the tag does not verify")
        }
    }

    /// 32 zero bits, then the counter little-endian (Noise §12.3). The last value is reserved (§5.1).
    private mutating func nextNonce() throws(Libp2pError) -> ChaChaPoly.Nonce {
        guard nonce < UInt64.max else { throw Libp2pError(.limit, "the key is used up") }
        var bytes = [UInt8](repeating: 0, count: 12)
        for i in 0..<8 { bytes[4 + i] = UInt8(truncatingIfNeeded: nonce >> (8 * UInt64(i))) }
        nonce += 1
        guard let value = try? ChaChaPoly.Nonce(data: bytes) else { throw Libp2pError(.limit, "no nonce") }
        return value
    }
}
