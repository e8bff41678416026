import DSIPIdentity
import Encoding

/// What became of a frame whose type a profile defines.
public enum ProfileVerdict<Body: Sendable, Fault: Error>: Sendable {
    case accepted(Verified<Body>)
    /// The envelope is in order and its payload breaks a rule of the profile: answer `from`, about `id`.
    case refused(Fault, id: ULID, from: DID, signer: DIDURL)
    case rejected(Rejection)
    /// As in ``Verdict/needs(_:)``.
    case needs(DID)
}

extension EnvelopeVerifier {
    /// The same pipeline for a message of a profile, such as a deposit in a mailbox: everything up to the versions is done here, the
    /// schema and what follows it by `read`.
    ///
    /// The policy must support the profile. Which of the two ways a frame goes is read from ``payloadType(of:)``.
    ///
    /// - Parameter read: the payload as a value of the profile; it throws the first rule that is broken.
    public mutating func verify<Body, Fault: Error>(
        _ frame: [UInt8],
        at now: Int64,
        replay: inout some ReplayGuard,
        helloVerified: Bool = true,
        documents: (DID) -> DocumentLookup,
        delegations: DelegationStore = [],
        revocations: Revocations = Revocations(),
        reading read: (JSONView) throws(Fault) -> Body
    ) -> ProfileVerdict<Body, Fault> {
        let context = BindingContext(now: now, held: delegations, revocations: revocations)
        do throws(Stop) {
            return try check(
                try open(frame, at: context.now, documents),
                context,
                replay: &replay,
                helloVerified: helloVerified,
                documents: documents,
                reading: read
            )
        } catch {
            switch error {
            case .rejected(let rejection): return .rejected(rejection)
            case .needs(let did): return .needs(did)
            }
        }
    }

    /// Stages 7 to 12, then `read`.
    ///
    /// - Parameter isKept: as of when it was issued; nothing is remembered of it.
    mutating func check<Body, Fault: Error>(
        _ opened: Opened,
        _ context: BindingContext,
        replay: inout some ReplayGuard,
        helloVerified: Bool,
        documents: (DID) -> DocumentLookup,
        isKept: Bool = false,
        reading read: (JSONView) throws(Fault) -> Body
    ) throws(Stop) -> ProfileVerdict<Body, Fault> {
        let (header, payload) = (opened.header, opened.payload)
        let asOf = isKept ? min(payload.issuedAt, context.now) : context.now
        let then = BindingContext(now: asOf, held: context.held, revocations: context.revocations)
        let bound = try bindings.bind(payload, header, then, documents)
        try payload.checkTimes(at: context.now, isKept: isKept)
        if !isKept, replay.contains(payload.id) { throw payload.stop(.duplicateID, "the id was accepted before") }
        if opened.identifierTellsTime { try payload.checkIdentifier() }
        guard helloVerified else {
            throw payload.stop(.helloRequired, reason: .transportHelloRequired, "no hello on this connection yet")
        }
        if let block = payload.root["dsip"], let reason = policy.supported.refusal(of: block, exempt: nil) {
            throw payload.stop(.versionUnsupported, reason: reason, "no version in common")
        }
        let body: Body
        do throws(Fault) {
            body = try read(payload.root)
        } catch {
            return .refused(error, id: payload.id, from: bound.identity, signer: header.kid)
        }
        guard isKept || replay.remember(payload.id, until: payload.replayableUntil, at: context.now) else {
            throw payload.stop(.duplicateID, "the id was accepted before")
        }
        return .accepted(
            Verified(
                body,
                envelope: opened.envelope,
                signer: header.kid,
                identity: bound.identity,
                principal: bound.principal,
                delegation: bound.delegation,
                unresolved: bound.unresolved
            )
        )
    }

    /// The `type` that a frame's payload claims, unverified: good for choosing a reader and for nothing else.
    public static func payloadType(of frame: [UInt8]) -> String? {
        guard frame.count <= ProtocolLimits.frame, let envelope = Envelope(frame),
            let document = try? JSONDocument(scanning: envelope.decodedPayload())
        else { return nil }
        return document.root["type"]?.string
    }
}
