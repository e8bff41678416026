import DSIPIdentity
import DSIPSignaling

/// The one way in for records and statements, wherever they were fetched: bytes become a ``PublicationRecord`` or a ``ProvenanceRecord``,
/// or the rule is named that they break.
///
/// Records are kept by an authority and read long after they were said, so they are verified as of when they were issued, with the
/// revocations known now; their age is bounded by `expires_at`, and by ``maximumAge`` where that is further off. What this cannot say is
/// that a record is the newest: that is ``PublicationRecord/replaces(_:)``.
///
/// ```swift
/// var verifier = BroadcastVerifier()
/// switch verifier.publication(bytes, at: now, knowledge) {
/// case .accepted(let record): …
/// case .refused(let error): …
/// case .needs(let did): …   // resolve it, then ask again
/// }
/// ```
public struct BroadcastVerifier: Sendable {
    /// Seconds after which no record or statement is believed, whatever it says of itself.
    public static let maximumAge: Int64 = 86_400

    public enum Verdict<Record: Sendable>: Sendable {
        case accepted(Record)
        case refused(BroadcastError)
        /// The document of this DID is not known yet.
        case needs(DID)
    }

    /// What the receiver knows of signers.
    public struct Knowledge {
        public var documents: (DID) -> DocumentLookup
        public var delegations: DelegationStore
        public var revocations: Revocations

        public init(
            documents: @escaping (DID) -> DocumentLookup,
            delegations: DelegationStore = [],
            revocations: Revocations = Revocations()
        ) {
            self.documents = documents
            self.delegations = delegations
            self.revocations = revocations
        }
    }

    private var envelopes: EnvelopeVerifier

    public init(_ policy: VerificationPolicy = VerificationPolicy()) {
        envelopes = EnvelopeVerifier(policy: policy, cacheBytes: 1 << 18)
    }

    /// - Parameter now: Unix seconds.
    public mutating func publication(
        _ frame: [UInt8],
        at now: Int64,
        _ knowledge: Knowledge
    ) -> Verdict<PublicationRecord> {
        verify(frame, at: now, knowledge) { (verified) throws(BroadcastError) in try PublicationRecord(verified) }
    }

    /// - Parameter record: the publication that the statement must be about.
    public mutating func provenance(
        _ frame: [UInt8],
        about record: PublicationRecord,
        at now: Int64,
        _ knowledge: Knowledge
    ) -> Verdict<ProvenanceRecord> {
        verify(frame, at: now, knowledge) { (verified) throws(BroadcastError) in
            try ProvenanceRecord(verified, about: record)
        }
    }

    private mutating func verify<Record: Sendable>(
        _ frame: [UInt8],
        at now: Int64,
        _ knowledge: Knowledge,
        _ read: (Verified<Message>) throws(BroadcastError) -> Record
    ) -> Verdict<Record> {
        let issued = (now - BroadcastVerifier.maximumAge)...(now + ProtocolLimits.replayWindow)
        let verdict = envelopes.verifyKept(
            frame,
            issued: issued,
            documents: knowledge.documents,
            delegations: knowledge.delegations,
            revocations: knowledge.revocations
        )
        switch verdict {
        case .needs(let did): return .needs(did)
        case .rejected(let rejection): return .refused(.envelope(rejection))
        case .accepted(let verified):
            guard verified.body.expiresAt >= now else {
                return .refused(.envelope(Rejection(.expired, "the record is no longer valid")))
            }
            do throws(BroadcastError) {
                return .accepted(try read(verified))
            } catch {
                return .refused(error)
            }
        }
    }
}
