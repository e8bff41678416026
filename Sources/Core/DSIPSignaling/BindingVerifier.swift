import DSIPIdentity
import Encoding

/// What stage 7 may consult.
struct BindingContext {
    let now: Int64
    let held: DelegationStore
    let revocations: Revocations
}

/// Stage 7: whom the signer speaks as, and whom it acts for (DSIP §7.4).
struct BindingVerifier: Sendable {
    private let allowES256: Bool
    /// Delegation envelopes whose signature has been checked, and how that went.
    private var signatures: GenerationalCache<DigestKey, Signature>

    private enum Signature {
        /// Right, under this key.
        case valid(PublicKey)
        /// Wrong for good: the subject is a `did:key`, whose key never changes.
        case invalid
    }

    struct Bound {
        let identity: DID
        let principal: DID
        let delegation: Delegation?
        var unresolved: DID?
    }

    init(allowES256: Bool, cacheCapacity: Int) {
        self.allowES256 = allowES256
        self.signatures = GenerationalCache(capacity: cacheCapacity)
    }

    mutating func bind(
        _ payload: PayloadHead,
        _ header: ProtectedHeader,
        _ context: BindingContext,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Bound {
        let signer = header.kid.did
        var identity = signer
        var delegation: Delegation?
        if !payload.from.equals(signer.string) {
            guard let from = payload.from.did else {
                throw fault(.signerMismatch, "kid is not a key of from", payload)
            }
            delegation = try require(signer, actsFor: from, payload, header, context, documents)
            identity = from
        }
        if payload.type == .hello, let asked = payload.root["on_behalf_of"]?.did, asked != identity {
            delegation = try require(identity, actsFor: asked, payload, header, context, documents)
            identity = asked
        }
        if delegation == nil, let own = try principal(of: signer, header, context, documents) {
            return Bound(identity: identity, principal: own.subject, delegation: own)
        }
        var bound = Bound(identity: identity, principal: identity, delegation: delegation)
        if delegation == nil { bound.unresolved = unresolved(signer, header, context, documents) }
        return bound
    }

    /// Whose document would have to be had to tell for whom a device acts.
    private func unresolved(
        _ device: DID,
        _ header: ProtectedHeader,
        _ context: BindingContext,
        _ documents: (DID) -> DocumentLookup
    ) -> DID? {
        for presented in candidates(device, header, context) where !presented.isSelfCertifying {
            if case .unresolvable = documents(presented.claim.subject) { return presented.claim.subject }
        }
        return nil
    }

    /// The delegation by which `device` acts for `subject`; a fault when there is none that holds.
    private mutating func require(
        _ device: DID,
        actsFor subject: DID,
        _ payload: PayloadHead,
        _ header: ProtectedHeader,
        _ context: BindingContext,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Delegation {
        var worst: DelegationFault?
        for presented in candidates(device, header, context) where presented.claim.subject == subject {
            switch try check(presented, context, documents) {
            case .success(let delegation): return delegation
            case .failure(let fault): worst = later(worst ?? fault, fault)
            }
        }
        if let worst {
            throw fault(VerdictCode(worst), "the delegation does not bind the signer to the identity", payload)
        }
        if header.presentsMalformed {
            throw fault(.delegationInvalid, "a delegation that cannot be read", payload)
        }
        throw fault(.signerMismatch, "no delegation links the signer to the identity", payload)
    }

    /// The first identity that a device signing as itself was delegated for; a delegation that does not hold binds nothing.
    private mutating func principal(
        of signer: DID,
        _ header: ProtectedHeader,
        _ context: BindingContext,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Delegation? {
        for presented in candidates(signer, header, context) {
            if case .success(let delegation) = try check(presented, context, documents) { return delegation }
        }
        return nil
    }

    private func candidates(
        _ device: DID,
        _ header: ProtectedHeader,
        _ context: BindingContext
    ) -> [PresentedDelegation] {
        let held = context.held.presented(for: device)
        if held.isEmpty, header.delegations.allSatisfy({ $0.claim.device == device }) { return header.delegations }
        return header.delegations.filter { $0.claim.device == device } + held
    }

    private mutating func check(
        _ presented: PresentedDelegation,
        _ context: BindingContext,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Result<Delegation, DelegationFault> {
        let claim = presented.claim
        guard let signer = presented.signer, signer.did == claim.subject else { return .failure(.invalid) }
        let document: DIDDocument
        let key: PublicKey?
        let known = signatures.value(for: presented.key)
        if presented.isSelfCertifying {
            switch known {
            case .invalid: return .failure(.invalid)
            // The document of a did:key never changes and publishes no revocations: an empty one will do.
            case .valid(let checked):
                (document, key) = (DIDDocument(id: claim.subject, verificationMethods: []), checked)
            case nil:
                guard let own = DIDKey.document(of: claim.subject) else { return .failure(.invalid) }
                (document, key) = (own, own.verificationMethod(signer)?.publicKey)
            }
        } else {
            switch documents(claim.subject) {
            case .unknown: throw .needs(claim.subject)
            case .unresolvable: return .failure(.invalid)
            case .found(let found): (document, key) = (found, found.verificationMethod(signer)?.publicKey)
            }
        }
        do {
            if case .valid(let checked) = known, presented.isSelfCertifying || checked == key {
                try claim.check(at: context.now, document: document, revocations: context.revocations)
                return .success(claim)
            }
            let delegation = try Delegation.verify(
                presented.envelope,
                device: claim.device,
                subject: claim.subject,
                at: context.now,
                document: document,
                revocations: context.revocations,
                allowES256: allowES256
            )
            if let key { signatures.insert(.valid(key), for: presented.key) }
            return .success(delegation)
        } catch {
            if error != .invalid, let key {
                signatures.insert(.valid(key), for: presented.key)
            } else if error == .invalid, presented.isSelfCertifying {
                signatures.insert(.invalid, for: presented.key)
            }
            return .failure(error)
        }
    }

    private func fault(_ code: VerdictCode, _ detail: String, _ payload: PayloadHead) -> Stop {
        payload.stop(code, reason: payload.type == .hello ? .transportHelloRejected : nil, detail)
    }
}

extension VerdictCode {
    fileprivate init(_ fault: DelegationFault) {
        switch fault {
        case .invalid: self = .delegationInvalid
        case .capability: self = .delegationCapability
        case .expired: self = .delegationExpired
        case .revoked: self = .delegationRevoked
        }
    }
}

extension DelegationFault {
    /// Of several delegations that fail, the one that came furthest tells most.
    fileprivate var progress: Int {
        switch self {
        case .invalid: 0
        case .capability: 1
        case .expired: 2
        case .revoked: 3
        }
    }
}

/// The later fault of two.
private func later(_ a: DelegationFault, _ b: DelegationFault) -> DelegationFault { a.progress >= b.progress ? a : b }
