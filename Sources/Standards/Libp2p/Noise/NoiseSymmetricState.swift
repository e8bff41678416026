import Crypto

/// The SymmetricState of the Noise framework §5.2 with SHA-256: transcript hash, chaining key, and a cipher once there is a key.
struct NoiseSymmetricState: Sendable {
    private(set) var hash: [UInt8]
    private var chainingKey: [UInt8]
    private var cipher: NoiseCipher?

    /// - Parameter name: the protocol's name; at most 32 bytes are used as they are, more are hashed.
    init(protocolName name: String) {
        let name = Array(name.utf8)
        self.hash =
            name.count <= 32 ? name + [UInt8](repeating: 0, count: 32 - name.count) : Array(SHA256.hash(data: name))
        self.chainingKey = hash
    }

    mutating func mixHash(_ data: [UInt8]) { hash = Array(SHA256.hash(data: hash + data)) }

    mutating func mixKey(_ secret: [UInt8]) {
        let (chain, key) = NoiseSymmetricState.derive(chainingKey, secret)
        chainingKey = chain
        cipher = NoiseCipher(key: key)
    }

    mutating func encryptAndHash(_ plaintext: [UInt8]) throws(Libp2pError) -> [UInt8] {
        let sealed = try cipher?.encrypt(plaintext, authenticating: hash) ?? plaintext
        mixHash(sealed)
        return sealed
    }

    mutating func decryptAndHash(_ sealed: [UInt8]) throws(Libp2pError) -> [UInt8] {
        let plaintext = try cipher?.decrypt(sealed, authenticating: hash) ?? sealed
        mixHash(sealed)
        return plaintext
    }

    /// - Returns: the initiator's sending cipher and the responder's.
    func split() -> (initiator: NoiseCipher, responder: NoiseCipher) {
        let (first, second) = NoiseSymmetricState.derive(chainingKey, [])
        return (NoiseCipher(key: first), NoiseCipher(key: second))
    }

    /// HKDF with two outputs (Noise §4.3).
    private static func derive(_ chain: [UInt8], _ secret: [UInt8]) -> ([UInt8], [UInt8]) {
        func hmac(_ key: [UInt8], _ data: [UInt8]) -> [UInt8] {
            Array(HMAC<SHA256>.authenticationCode(for: data, using: SymmetricKey(data: key)))
        }
        let temporary = hmac(chain, secret)
        let first = hmac(temporary, [1])
        return (first, hmac(temporary, first + [2]))
    }
}
