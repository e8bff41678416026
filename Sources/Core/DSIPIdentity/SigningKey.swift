import Crypto
import FoundationEssentials

/// An Ed25519 private key together with the DID URL that names its public half.
///
/// swift-crypto zeroises the key when its last reference goes. The key is never described: printing a `SigningKey`
/// prints its `kid`.
public struct SigningKey: Sendable, CustomStringConvertible, CustomReflectable {
    public let kid: DIDURL
    private let key: Curve25519.Signing.PrivateKey

    public init(kid: DIDURL, key: Curve25519.Signing.PrivateKey) {
        self.kid = kid
        self.key = key
    }

    /// A key that is its own `did:key` identity: devices, throw-away identities, relays without a domain.
    public init(selfIssued key: Curve25519.Signing.PrivateKey = Curve25519.Signing.PrivateKey()) {
        self.init(kid: DIDKey.kid(of: .ed25519(key.publicKey)), key: key)
    }

    public var did: DID { kid.did }
    /// The same key as an identity of its own.
    public var selfIssued: SigningKey { SigningKey(selfIssued: key) }
    public var publicKey: PublicKey { .ed25519(key.publicKey) }
    /// The 32-byte seed, for storage in the wallet only.
    public var rawRepresentation: [UInt8] { Array(key.rawRepresentation) }

    /// Hands the 32-byte seed to `body` and wipes the copy afterwards.
    func withSeed<R>(_ body: ([UInt8]) throws -> R) rethrows -> R {
        var seed = rawRepresentation
        defer { seed.zeroize() }
        return try body(seed)
    }

    public func sign(_ message: [UInt8]) throws(IdentityError) -> [UInt8] {
        do {
            return Array(try key.signature(for: message))
        } catch {
            throw IdentityError(.signing, "the signing key could not be used")
        }
    }

    public var description: String { "SigningKey(\(kid))" }
    public var customMirror: Mirror { Mirror(self, children: ["kid": kid]) }
}
