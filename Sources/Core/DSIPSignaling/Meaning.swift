import DSIPIdentity
import Encoding

/// What the receiver knows that a message can be held against; each check runs only when its part is present.
public struct MeaningContext: Sendable {
    /// The offer that an answer refers to.
    public var offer: MediaOffer?
    public var knownIntroductions: Set<ULID>?
    /// The id of the `hello` that a relay's must reply to.
    public var sentHello: ULID?
    /// Bytes of the encoded envelope.
    public var encodedSize: Int?
    public var signer: DIDURL?
    /// The verified identity.
    public var identity: DID?
    /// Methods that the signer's document designates for recovery (DSIP §7.6).
    public var recovery: [DIDURL]?

    public init(
        offer: MediaOffer? = nil,
        knownIntroductions: Set<ULID>? = nil,
        sentHello: ULID? = nil,
        encodedSize: Int? = nil,
        signer: DIDURL? = nil,
        identity: DID? = nil,
        recovery: [DIDURL]? = nil
    ) {
        self.offer = offer
        self.knownIntroductions = knownIntroductions
        self.sentHello = sentHello
        self.encodedSize = encodedSize
        self.signer = signer
        self.identity = identity
        self.recovery = recovery
    }
}

extension Message {
    /// The checks that no schema can express and that need no state but `context` (stage 14).
    public func check(_ context: MeaningContext) throws(Rejection) {
        switch body {
        case .answer(let answer):
            guard answer.sealed == nil, let offer = context.offer else { return }
            guard offer.contains(media: answer.media, transports: answer.transports) else {
                throw rejection(.selectionNotSubset, "the selection goes beyond the offer")
            }
        case .subscribe(let subscribe):
            guard subscribe.expiresIn <= subscribe.lifetimeCap else {
                throw rejection(
                    .subscriptionLifetimeExceeded,
                    reason: .policySubscriptionLifetime,
                    "a subscription for more than \(subscribe.lifetimeCap) s"
                )
            }
        case .introduction(let introduction): try check(introduction, context)
        case .grant:
            guard let known = context.knownIntroductions, let session else { return }
            guard known.contains(session) else {
                throw rejection(.grantUnknownIntroduction, "a grant for an introduction that was not made")
            }
        case .hello(let hello):
            guard let sent = context.sentHello else { return }
            guard hello.inReplyTo == sent else {
                throw rejection(.helloInReplyToMismatch, "a hello that replies to another")
            }
        case .keyRotation(let rotation): try check(rotation, context)
        case .delegationRevocation(let revocation):
            guard from == revocation.subject else {
                throw rejection(.revocationSubjectMismatch, "a revocation of somebody else's delegation")
            }
            guard context.signer.map({ $0.did == revocation.subject }) ?? true else {
                throw rejection(.revocationSignerNotSubject, "a revocation not signed by its subject")
            }
        case .reachabilityHint(let hint):
            guard context.identity.map({ $0 == hint.subject }) ?? true else {
                throw rejection(.hintSubjectMismatch, "a hint about somebody else")
            }
        default: return
        }
    }

    private func check(_ introduction: Introduction, _ context: MeaningContext) throws(Rejection) {
        guard context.encodedSize ?? 0 <= ProtocolLimits.introduction else {
            throw rejection(.introductionTooLarge, "an introduction of more than \(ProtocolLimits.introduction) bytes")
        }
        guard introduction.purpose == nil || introduction.sealed == nil else {
            throw rejection(.introductionPurposeAndSealed, "a purpose both sealed and in clear")
        }
    }

    private func check(_ rotation: KeyRotationStatement, _ context: MeaningContext) throws(Rejection) {
        guard from == rotation.subject else {
            throw rejection(.rotationSubjectMismatch, "a rotation of somebody else's key")
        }
        guard rotation.next != rotation.previous else {
            throw rejection(.rotationNextSameAsPrevious, "a rotation to the same key")
        }
        guard let signer = context.signer, signer != rotation.previous else { return }
        guard rotation.recovery == true, signer.did == rotation.subject, context.recovery?.contains(signer) ?? true
        else {
            throw rejection(.rotationSignerNotPrevious, "a rotation signed neither by the old key nor for recovery")
        }
    }

    private func rejection(_ code: VerdictCode, reason: Reason? = nil, _ detail: String) -> Rejection {
        Rejection(code, reason: reason, detail, type: type, id: id, session: session, from: from)
    }
}
