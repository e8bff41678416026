import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// An identity, made from a seed: by its key alone, or by a document under a name.
public struct SimulatedPerson {
    public let name: String
    public let key: SigningKey
    public var did: DID { key.did }
    /// Nil for one that is a key.
    public let document: DIDDocument?

    /// - Parameter mailbox: what the document of a named person says of its mailbox; nil for one that is a key.
    init(_ name: String, mailbox: MailboxService?, _ random: inout some RandomNumberGenerator) {
        self.name = name
        let seed = Self.seed(&random)
        guard let mailbox, let did = DID("did:web:people.example:\(name)"), let kid = DIDURL("\(did)#key-1") else {
            key = SigningKey(seed: seed)
            document = nil
            return
        }
        key = SigningKey(seed: seed, kid: kid)
        document = DIDDocument(
            id: did,
            verificationMethods: [.init(id: kid, controller: did, publicKey: key.publicKey)],
            services: [
                .init(
                    id: "\(did)#mailbox",
                    type: MailboxService.serviceType,
                    uri: mailbox.uri,
                    bindings: mailbox.bindings,
                    parameters: Self.parameters(mailbox)
                )
            ]
        )
    }

    private static func parameters(_ mailbox: MailboxService) -> JSONObject {
        guard case .object(let members) = mailbox.json else { return [:] }
        return JSONObject(members: members.members.filter { $0.name != "uri" && $0.name != "bindings" })
    }

    static func seed(_ random: inout some RandomNumberGenerator) -> [UInt8] {
        (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    static func key(_ random: inout some RandomNumberGenerator) -> SigningKey { SigningKey(seed: seed(&random)) }

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

    /// The word that a device speaks for this person no more.
    func revocation(of device: SigningKey, _ id: ULID, at now: Int64) -> Envelope {
        let revocation = DelegationRevocation(
            id: id,
            subject: did,
            device: device.did,
            revokedAt: now,
            reason: DelegationRevocation.Reason.lost,
            issuedAt: now,
            expiresAt: now + 30 * 86_400
        )
        guard let envelope = try? revocation.issue(by: key) else {
            preconditionFailure("a revocation cannot be signed")
        }
        return envelope
    }
}

extension SigningKey {
    /// - Parameter kid: nil for a key that is its own `did:key`.
    init(seed: [UInt8], kid: DIDURL? = nil) {
        guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed) else {
            preconditionFailure("32 bytes are an Ed25519 seed")
        }
        if let kid { self.init(kid: kid, key: key) } else { self.init(selfIssued: key) }
    }
}
