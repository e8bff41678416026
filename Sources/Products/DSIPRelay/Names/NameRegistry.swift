import DSIPIdentity
import Encoding
import NIOConcurrencyHelpers

/// Names of a relay with a hostname: first come, first served; a name is changed and given up by the key that holds it.
///
/// Nothing here is identity: a name leads to a DID, and the DID is what is verified (DSIP §8.2). The operator of a relay can lead a name
/// elsewhere, and can rewrite a document it hosts (DSIP §8.4); contacts notice by the pinned key.
struct NameRegistry: Sendable {
    struct Outcome: Sendable {
        var record: NameRecord?
        var created: Bool
    }

    let authority: Authority
    let store: any RelayStore
    let configuration: RelayConfiguration.Names
    /// What is there for whoever is hosted.
    let offered: HostedServices
    /// Requests seen, so that none counts twice.
    private let seen = NIOLockedValueBox(RateLimiter<ULID>(capacity: 16_384))

    init(
        authority: Authority,
        store: any RelayStore,
        configuration: RelayConfiguration.Names,
        offered: HostedServices = []
    ) {
        self.authority = authority
        self.store = store
        self.configuration = configuration
        self.offered = offered
    }

    /// The record of `name`, which may be spelled in any case.
    func record(_ name: String) throws(RelayError) -> NameRecord? {
        guard name.utf8.count <= 64 else { return nil }
        return try store.name(name.lowercased())
    }

    /// Carries out a signed request. Blocks on the store.
    ///
    /// - Parameters:
    ///   - document: of `kid.did`, which the caller has resolved.
    ///   - now: Unix seconds.
    /// - Throws: `.malformed`, `.refused`, `.taken`, `.notFound`, or as the store.
    func apply(_ envelope: Envelope, document: DIDDocument, at now: Int64) throws(RelayError) -> Outcome {
        let (request, kid) = try NameRequest.claimed(envelope)
        guard request.from == kid.did, document.id == kid.did, let method = document.verificationMethod(kid),
            method.publicKey.algorithm == .edDSA,
            method.publicKey.isValidSignature(envelope.decodedSignature(), for: envelope.signingInput)
        else { throw RelayError(.refused, "The request is not signed by a key of the identity it is from.") }
        guard request.host.lowercased() == authority.description else {
            throw RelayError(.refused, "The request is for \(request.host); this relay is \(authority).")
        }
        guard request.expiresAt > now, abs(request.issuedAt - now) <= 300, request.expiresAt - request.issuedAt <= 3600
        else {
            throw RelayError(.refused, "The request is too old, or the clocks differ; sign a new one.")
        }
        if let fault = NameRules.fault(request.name, reserved: Set(configuration.reserved)) {
            throw RelayError(.refused, fault)
        }
        guard seen.withLockedValue({ $0.take(request.id, Rate(1, per: 7_200), at: Double(now)) }) == nil else {
            throw RelayError(.refused, "The request has been seen before; sign a new one.")
        }
        return try change(request, signer: method.publicKey, at: now)
    }

    private func change(_ request: NameRequest, signer: PublicKey, at now: Int64) throws(RelayError) -> Outcome {
        let owner = DIDKey.did(of: signer)
        let total = try store.nameCount()
        var outcome = Outcome(record: nil, created: false)
        try store.changeName(request.name) { (current, held) throws(RelayError) -> NameRecord? in
            if let current, current.owner != owner {
                throw RelayError(.taken, "The name \(request.name) is taken.")
            }
            if request.action == .release {
                guard current != nil else { throw RelayError(.notFound, "The name \(request.name) is not registered.") }
                return nil
            }
            if current == nil {
                guard held(owner) < configuration.perIdentity else {
                    throw RelayError(
                        .refused,
                        "This identity already holds \(configuration.perIdentity) names here; release one first."
                    )
                }
                guard total < configuration.total else {
                    throw RelayError(.refused, "This relay registers no more names.")
                }
            }
            let record = try next(request, current: current, signer: signer, at: now)
            outcome = Outcome(record: record, created: current == nil)
            return record
        }
        return outcome
    }

    private func next(
        _ request: NameRequest,
        current: NameRecord?,
        signer: PublicKey,
        at now: Int64
    ) throws(RelayError) -> NameRecord {
        let key = request.nextKey ?? signer
        let hostedDID = authority.did(of: request.name)
        guard request.hosted, let did = hostedDID else {
            // A hosted identity lives in its document; its own key must say that it ends, by releasing the name.
            if current?.document != nil || request.from == hostedDID {
                throw RelayError(.refused, "The document of \(request.name) is hosted here; release the name first.")
            }
            return NameRecord(
                name: request.name,
                did: request.from,
                owner: DIDKey.did(of: key),
                document: nil,
                createdAt: current?.createdAt ?? now,
                updatedAt: now
            )
        }
        let document = try hostedDocument(did, key: key, request: request, current: current, at: now)
        return NameRecord(
            name: request.name,
            did: did,
            owner: DIDKey.did(of: key),
            document: document.json.utf8,
            createdAt: current?.createdAt ?? now,
            updatedAt: now
        )
    }

    private func hostedDocument(
        _ did: DID,
        key: PublicKey,
        request: NameRequest,
        current: NameRecord?,
        at now: Int64
    ) throws(RelayError) -> DIDDocument {
        let old = current?.document.flatMap { try? DIDDocument(parsing: $0, expecting: did) }
        let keyDID = DIDKey.did(of: key)
        // The fragment is the key, so that a retired kid names nothing after a rotation (DSIP §7.5).
        var document = DIDDocument(
            id: did,
            verificationMethods: [
                .init(id: DIDURL(did: did, fragment: key.multibase), controller: did, publicKey: key)
            ],
            keyAgreement: DIDKey.keyAgreement(of: keyDID).map {
                [.init(id: DIDURL(did: did, fragment: $0.id.fragment), publicKey: $0.publicKey)]
            } ?? [],
            services: authority.services(of: did, offering: offered),
            alsoKnownAs: [keyDID.string, "acct:\(request.name)@\(authority)"],
            delegationRevocations: old?.delegationRevocations ?? [],
            delegations: old?.verificationMethod(DIDURL(did: did, fragment: key.multibase)) == nil
                ? [] : old?.delegations ?? [],
            keyRotations: old?.keyRotations ?? []
        )
        if let delegations = request.delegations {
            for envelope in delegations {
                guard let device = Delegation.decode(envelope)?.device,
                    (try? Delegation.verify(envelope, device: device, subject: did, at: now, document: document)) != nil
                else { throw RelayError(.refused, "A delegation in the request is not one of \(did) today.") }
            }
            document.delegations = delegations
        }
        if let record = request.rotation {
            guard let rotation = KeyRotation.decode(record), rotation.nextPublicKey == key,
                let old, let reached = try? KeyRotation.verify(record, document: old), reached == rotation,
                rotation.next == document.verificationMethods.first?.id
            else {
                throw RelayError(.refused, "The key rotation in the request is not one from the old key to the new.")
            }
            document.keyRotations = (document.keyRotations + [record]).suffix(DIDDocument.Limit.keyRotations)
        }
        guard let revocations = request.revocations else { return document }
        // Verified under the keys that were and are: what the retired key revoked stays revoked.
        var keys = document
        keys.verificationMethods += old?.verificationMethods ?? []
        for envelope in revocations where (try? DelegationRevocation.verify(envelope, document: keys)) == nil {
            throw RelayError(
                .refused,
                "A delegation revocation in the request is not one of \(did), or not signed by its key."
            )
        }
        document.delegationRevocations = revocations
        return document
    }
}
