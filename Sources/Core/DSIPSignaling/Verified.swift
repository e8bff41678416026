import DSIPIdentity
import Encoding

/// Something a known signer said, with who that is and for whom it acts. Only `EnvelopeVerifier` makes one.
public struct Verified<Body: Sendable>: Sendable {
    public let body: Body
    /// As received, to be forwarded unchanged.
    public let envelope: Envelope
    /// The `kid`.
    public let signer: DIDURL
    /// Whom the envelope speaks as: `from`, or `on_behalf_of` of a `hello`.
    public let identity: DID
    /// The identity that the signing device acts for: the subject of a valid delegation of the signer, else `identity`.
    public let principal: DID
    /// The delegation by which the signer speaks for `principal`; nil when the identity signed itself.
    public let delegation: Delegation?
    /// Set when `principal` is only the signer because the document of this identity, which a delegation presented by the signer
    /// names, could not be had: for whom the signer acts will be known when it can.
    public let unresolved: DID?

    init(
        _ body: Body,
        envelope: Envelope,
        signer: DIDURL,
        identity: DID,
        principal: DID,
        delegation: Delegation?,
        unresolved: DID?
    ) {
        self.body = body
        self.envelope = envelope
        self.signer = signer
        self.identity = identity
        self.principal = principal
        self.delegation = delegation
        self.unresolved = unresolved
    }

    /// The device, or the identity itself, whose key signed.
    public var device: DID { signer.did }
}

extension Verified<Message> {
    /// The same statement with its body as one message type, or nil when it is of another.
    public func narrowed<Content: MessageBody>(to type: Content.Type) -> Verified<Content>? {
        guard let content = body.body(as: type) else { return nil }
        return Verified<Content>(
            content,
            envelope: envelope,
            signer: signer,
            identity: identity,
            principal: principal,
            delegation: delegation,
            unresolved: unresolved
        )
    }
}

/// What became of a frame.
public enum Verdict: Sendable {
    case accepted(Verified<Message>)
    case rejected(Rejection)
    /// The document of this DID is not known yet: resolve it, then verify the same frame again. Nothing was remembered.
    case needs(DID)
}
