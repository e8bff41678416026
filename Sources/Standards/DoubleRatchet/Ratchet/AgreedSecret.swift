/// What a key agreement leaves: the first root key, the first header keys of each side, and what every message authenticates.
public struct AgreedSecret: Sendable {
    package let secret: Secret
    let initiatorHeader: Secret
    let responderHeader: Secret
    /// Both identities, as the profile encodes them (X3DH §3.3).
    public let associatedData: [UInt8]

    package init(keys: [Secret], associatedData: [UInt8]) {
        (secret, initiatorHeader, responderHeader) = (keys[0], keys[1], keys[2])
        self.associatedData = associatedData
    }

    /// A secret agreed by other means.
    ///
    /// - Parameter secret: 32 bytes; header keys are derived from it.
    public init(secret bytes: [UInt8], associatedData: [UInt8]) throws(RatchetError) {
        guard let secret = Secret(bytes) else { throw RatchetError(.malformed, "a secret of 32 bytes") }
        let keys = secret.withUnsafeBytes {
            KDFHash.sha256.derive(salt: nil, material: $0, info: Array("DoubleRatchet header keys".utf8), count: 2)
        }
        self.secret = secret
        (initiatorHeader, responderHeader) = (keys[0], keys[1])
        self.associatedData = associatedData
    }
}
