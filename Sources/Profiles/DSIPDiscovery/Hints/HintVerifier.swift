import DSIPIdentity
import DSIPSignaling
import Encoding
import Synchronization

/// A hint that has been verified, as the envelope it came in.
public struct HintRecord: Hashable, Sendable {
    public let subject: DID
    public let seq: Int64
    /// Unix seconds; the hint holds while `now < expiresAt`.
    public let issuedAt: Int64
    public let expiresAt: Int64
    public let endpoints: [ReachabilityHint.Endpoint]
    /// The device or identity whose key signed.
    public let signer: DIDURL
    /// To be forwarded byte for byte.
    public let bytes: [UInt8]

    init(_ verified: Verified<Message>, _ hint: ReachabilityHint) {
        self.subject = hint.subject
        self.seq = hint.seq
        self.issuedAt = verified.body.issuedAt
        self.expiresAt = verified.body.expiresAt
        self.endpoints = hint.endpoints
        self.signer = verified.signer
        self.bytes = verified.envelope.bytes
    }
}

/// Verifies hints at every hop (hints profile §4, 1 and 2). Safe to be called from any thread.
public final class HintVerifier: Sendable {
    private let verifier: Mutex<EnvelopeVerifier>
    private let documents: @Sendable (DID) -> DocumentLookup
    private let revocations: @Sendable () -> Revocations

    /// - Parameters:
    ///   - documents: what is known of a DID now; not asked for did:keys.
    ///   - revocations: those held.
    public init(
        documents: @escaping @Sendable (DID) -> DocumentLookup = { _ in .unresolvable },
        revocations: @escaping @Sendable () -> Revocations = { Revocations() }
    ) {
        self.verifier = Mutex(EnvelopeVerifier(cacheBytes: 256 << 10))
        self.documents = documents
        self.revocations = revocations
    }

    /// - Parameters:
    ///   - record: the text frame.
    ///   - now: Unix seconds.
    /// - Throws: `.expired`; `.future`; `.subject` for a hint about somebody else than its signer; `.unresolved` for a signer whose
    ///   document is not known yet, named in the reason; `.signature` and `.malformed` for the rest of the pipeline.
    public func verify(_ record: [UInt8], at now: Int64) throws(DiscoveryError) -> HintRecord {
        let revocations = revocations()
        let verdict = verifier.withLock { verifier in
            var replay = NoReplay()
            return verifier.verify(
                record,
                at: now,
                replay: &replay,
                documents: documents,
                revocations: revocations
            )
        }
        switch verdict {
        case .accepted(let verified):
            guard let hint = verified.body.body(as: ReachabilityHint.self) else {
                throw DiscoveryError(.malformed, "an envelope that is no hint")
            }
            return HintRecord(verified, hint)
        case .rejected(let rejection): throw HintVerifier.error(rejection)
        case .needs(let did): throw DiscoveryError(.unresolved, "the document of \(did) is not known")
        }
    }

    private static func error(_ rejection: Rejection) -> DiscoveryError {
        switch rejection.code {
        case .expired: DiscoveryError(.expired, "the hint has expired")
        case .replayWindow: DiscoveryError(.future, "the hint is dated in the future")
        case .hintSubjectMismatch, .signerMismatch: DiscoveryError(.subject, "the hint is not its subject's word")
        case .signatureInvalid, .kidUnresolvable, .delegationInvalid, .delegationExpired, .delegationCapability,
            .delegationRevoked:
            DiscoveryError(.signature, "the hint is not signed by its subject")
        default: DiscoveryError(.malformed, "no hint: \(rejection.code.rawValue)")
        }
    }

    /// A hint met again is no replay (hints profile §2).
    private struct NoReplay: ReplayGuard {
        func contains(_ id: ULID) -> Bool { false }
        mutating func remember(_ id: ULID, until expiry: Int64, at now: Int64) -> Bool { true }
    }
}

extension HintRecord {
    /// The `seq` that a record claims, unverified.
    static func claimedSeq(_ bytes: [UInt8]) -> Int64? {
        guard let envelope = Envelope(bytes), let payload = try? JSONDocument(scanning: envelope.decodedPayload())
        else {
            return nil
        }
        return payload.root["seq"]?.integer
    }
}
