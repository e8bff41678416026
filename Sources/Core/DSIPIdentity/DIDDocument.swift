import Encoding

/// The parts of a DID document that DSIP reads (DSIP §7.2), and the document as it stood.
public struct DIDDocument: Sendable {
    public struct VerificationMethod: Sendable, Hashable {
        public var id: DIDURL
        public var controller: DID
        public var publicKey: PublicKey

        public init(id: DIDURL, controller: DID, publicKey: PublicKey) {
            self.id = id
            self.controller = controller
            self.publicKey = publicKey
        }
    }

    /// An X25519 key that sealed introductions and bodies are encrypted to (DSIP §10.4, §19.4).
    public struct KeyAgreement: Sendable, Hashable {
        public var id: DIDURL
        /// 32 bytes.
        public var publicKey: [UInt8]

        public init(id: DIDURL, publicKey: [UInt8]) {
            self.id = id
            self.publicKey = publicKey
        }
    }

    public struct Service: Sendable, Hashable {
        public var id: String
        public var type: String
        public var uri: String
        public var bindings: [String]
        /// What else the endpoint says, for the profile of its type.
        public var parameters: JSONObject

        public init(id: String, type: String, uri: String, bindings: [String], parameters: JSONObject = [:]) {
            self.id = id
            self.type = type
            self.uri = uri
            self.bindings = bindings
            self.parameters = parameters
        }

        /// The `serviceEndpoint` as an object.
        public var endpoint: JSONObject {
            let members: JSONObject = ["uri": .string(uri), "bindings": .array(bindings.map { .string($0) })]
            return JSONObject(members: members.members + parameters.members)
        }
    }

    public var id: DID
    /// Usable for signing; methods of unknown type or with malformed keys are left out.
    public var verificationMethods: [VerificationMethod]
    public var keyAgreement: [KeyAgreement]
    public var services: [Service]
    /// Methods designated for recovery (DSIP §7.6), by `capabilityInvocation`.
    public var recovery: [DIDURL]
    public var alsoKnownAs: [String]
    /// Compact envelopes of `dsipDelegationRevocations` (DSIP §7.4), unverified.
    public var delegationRevocations: [Envelope]
    /// Compact envelopes of `dsipDelegations`, unverified: what the subject signs its devices' delegations with today, so that one made
    /// before a rotation goes on binding the device it was made for (DSIP §7.4, §7.5).
    public var delegations: [Envelope]
    /// Compact envelopes of `dsipKeyRotations`, oldest first, unverified: how the keys of today came from those before (DSIP §7.5).
    public var keyRotations: [Envelope]

    public init(
        id: DID,
        verificationMethods: [VerificationMethod],
        keyAgreement: [KeyAgreement] = [],
        services: [Service] = [],
        recovery: [DIDURL] = [],
        alsoKnownAs: [String] = [],
        delegationRevocations: [Envelope] = [],
        delegations: [Envelope] = [],
        keyRotations: [Envelope] = []
    ) {
        self.id = id
        self.verificationMethods = verificationMethods
        self.keyAgreement = keyAgreement
        self.services = services
        self.recovery = recovery
        self.alsoKnownAs = alsoKnownAs
        self.delegationRevocations = delegationRevocations
        self.delegations = delegations
        self.keyRotations = keyRotations
    }

    /// The method that `kid` names, or nil.
    public func verificationMethod(_ kid: DIDURL) -> VerificationMethod? {
        verificationMethods.first { $0.id == kid }
    }

    /// Where this identity is signalled: the first `DSIPSignaling` service over `wss` with `ws/1.0` (DSIP §13.2).
    public var signalingEndpoint: String? {
        services.first { $0.type == "DSIPSignaling" && $0.uri.hasPrefix("wss://") && $0.bindings.contains("ws/1.0") }?
            .uri
    }
}

/// What a verifier knows about a DID at this moment. Verification never waits: the shell resolves and asks again.
public enum DocumentLookup: Sendable {
    case found(DIDDocument)
    /// Resolution has been tried and failed, or the method is not supported.
    case unresolvable
    /// Nothing is known yet; resolve and verify again.
    case unknown
}
