import DSIPIdentity

extension EnvelopeVerifier {
    /// Verifies an envelope that somebody kept and hands on as evidence, as of the second it says it was issued.
    ///
    /// Every rule of the pipeline applies as it did then: signature, delegation and its validity, shape, meaning. Revocations are those
    /// known now, so that a key that was taken back proves nothing about the time before either: it could have signed any date. What
    /// this cannot say is that the envelope was ever delivered; a deduplication of its own is the caller's.
    ///
    /// - Parameters:
    ///   - frame: the envelope.
    ///   - issued: Unix seconds between which `issued_at` must lie, else it is refused with `replay-window`.
    public mutating func verifyKept(
        _ frame: [UInt8],
        issued: ClosedRange<Int64>,
        documents: (DID) -> DocumentLookup,
        delegations: DelegationStore = [],
        revocations: Revocations = Revocations()
    ) -> Verdict {
        let head: PayloadHead
        do throws(Stop) {
            guard frame.count <= ProtocolLimits.frame, let envelope = Envelope(frame) else {
                return .rejected(Rejection(.envelopeShape, "not an object of protected, payload and signature"))
            }
            head = try PayloadHead(envelope.decodedPayload())
            guard issued.contains(head.issuedAt) else { throw head.stop(.replayWindow, "issued_at is out of bounds") }
        } catch {
            switch error {
            case .rejected(let rejection): return .rejected(rejection)
            case .needs(let did): return .needs(did)
            }
        }
        var once = ReplayWindow(capacity: 1, lastingCapacity: 1)
        return verify(
            frame,
            at: head.issuedAt,
            replay: &once,
            documents: documents,
            delegations: delegations,
            revocations: revocations
        )
    }
}
