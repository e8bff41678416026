import DSIPIdentity

/// Delegations that a verifier holds itself, beside those that envelopes present (DSIP §7.4). Unverified until used.
public struct DelegationStore: Sendable, ExpressibleByArrayLiteral {
    private var held: [DID: [PresentedDelegation]] = [:]

    public init() {}

    /// Envelopes that are no delegations are left out.
    public init(_ envelopes: some Sequence<Envelope>) {
        for envelope in envelopes { insert(envelope) }
    }

    public init(arrayLiteral envelopes: Envelope...) { self.init(envelopes) }

    public var isEmpty: Bool { held.isEmpty }

    /// - Returns: whether `envelope` is a delegation.
    @discardableResult
    public mutating func insert(_ envelope: Envelope) -> Bool {
        guard let presented = PresentedDelegation(envelope) else { return false }
        held[presented.claim.device, default: []].append(presented)
        return true
    }

    /// Forgets what was held for `device`.
    public mutating func remove(device: DID) { held[device] = nil }

    func presented(for device: DID) -> [PresentedDelegation] {
        held.isEmpty ? [] : held[device] ?? []
    }
}

/// A delegation as it was presented: what it claims, unverified, and under which key it says it was signed.
struct PresentedDelegation: Sendable {
    let envelope: Envelope
    let claim: Delegation
    /// Nil when the header names none that could be a key of the subject.
    let signer: DIDURL?
    /// Whether the subject is a `did:key`.
    let isSelfCertifying: Bool
    /// Under which its signature is remembered.
    let key: DigestKey

    init?(_ envelope: Envelope) {
        guard let claim = Delegation.decode(envelope) else { return nil }
        self.envelope = envelope
        self.claim = claim
        self.signer = ProtectedHeader.kid(of: envelope)
        self.isSelfCertifying = claim.subject.method == "key"
        self.key = DigestKey(envelope.bytes)
    }
}
