import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// An identity and its devices, made from a seed.
public struct SimulatedPerson {
    public let name: String
    public let key: SigningKey
    public var did: DID { key.did }

    public init(_ name: String, _ random: inout some RandomNumberGenerator) {
        self.name = name
        key = Self.key(&random)
    }

    public static func key(_ random: inout some RandomNumberGenerator) -> SigningKey {
        var seed: [UInt8] = []
        while seed.count < 32 {
            let word: UInt64 = random.next()
            for shift in stride(from: 0, to: 64, by: 8) {
                seed.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return SigningKey(seed: seed)
    }

    public func delegation(of device: SigningKey, from now: Int64, for seconds: Int64 = 30 * 86_400) -> Envelope {
        let delegation = Delegation(
            subject: did,
            device: device.did,
            capabilities: [Delegation.Capability.signaling, Delegation.Capability.messaging],
            issuedAt: now,
            expiresAt: now + seconds
        )
        guard let envelope = try? delegation.issue(by: key) else {
            preconditionFailure("a delegation cannot be signed")
        }
        return envelope
    }
}

extension SigningKey {
    init(seed: [UInt8]) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            preconditionFailure("32 bytes are an Ed25519 seed")
        }
        self.init(selfIssued: key)
    }
}
