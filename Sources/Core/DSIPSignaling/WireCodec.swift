import DSIPIdentity
import Encoding

/// A way to write messages other than DSIP-JOSE: two pure functions between frames and the payloads of the core.
///
/// A codec takes a frame apart and says what its signature covers; ``EnvelopeVerifier`` checks that signature, the binding of the
/// signer, time and repetition, versions and shape as for every other message, so that nothing but it makes a ``Verified``.
public protocol WireCodec: Sendable {
    var form: WireForm { get }

    /// Takes a frame apart.
    ///
    /// - Parameter now: Unix seconds, for a form whose messages need not say when they were written.
    /// - Returns: nil when the frame is of another form.
    /// - Throws: what is wrong with a frame of this form; of the stages before the signature, or of its payload.
    func open(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement?

    /// Writes and signs a message.
    ///
    /// - Throws: `.unsupported` for what the form has no word for, `.signing`.
    func sign(_ message: Message, by key: SigningKey, delegations: [Envelope]) throws(IdentityError) -> Envelope

    /// Writes and signs a message of a profile.
    ///
    /// - Parameter payload: as DSIP-JOSE would have it.
    /// - Throws: `.unsupported` for what the form has no word for, `.signing`.
    func sign(payload: JSONValue, by key: SigningKey, delegations: [Envelope]) throws(IdentityError) -> Envelope

    /// What a relay that keeps a frame calls it, where the message in it has an id that the relay does not see.
    func name(of frame: [UInt8]) -> ULID?
}

extension WireCodec {
    public func name(of frame: [UInt8]) -> ULID? { nil }
}

/// A frame of another form, taken apart and not yet verified.
public struct WireStatement: Sendable {
    public var form: WireForm
    /// The key that is said to have signed; of a `did:key`, with the fragment that its method gives it.
    public var kid: DIDURL
    public var algorithm: SignatureAlgorithm
    /// Presented by the signer (DSIP §7.4).
    public var delegations: [Envelope]
    /// The bytes under the signature.
    public var covered: [UInt8]
    public var signature: [UInt8]
    /// What is said, as a payload of the core in JSON; asked for once the signature is known to be right.
    public var payload: @Sendable () throws(Rejection) -> [UInt8]
    /// Whether its id tells the time, as a ULID does (DSIP §20.6).
    public var identifierTellsTime: Bool
    /// Whether a message of the core that is addressed may come without `to`: it belongs to its session.
    public var mayLackRecipient: Bool

    public init(
        form: WireForm,
        kid: DIDURL,
        algorithm: SignatureAlgorithm,
        delegations: [Envelope],
        covered: [UInt8],
        signature: [UInt8],
        payload: @escaping @Sendable () throws(Rejection) -> [UInt8],
        identifierTellsTime: Bool = true,
        mayLackRecipient: Bool = false
    ) {
        self.form = form
        self.kid = kid
        self.algorithm = algorithm
        self.delegations = delegations
        self.covered = covered
        self.signature = signature
        self.payload = payload
        self.identifierTellsTime = identifierTellsTime
        self.mayLackRecipient = mayLackRecipient
    }
}

extension Message {
    /// Signs the message in DSIP-JOSE, or in the form of `codec`.
    ///
    /// - Throws: as ``WireCodec/sign(_:by:delegations:)``.
    public func signed(
        by key: SigningKey,
        delegations: [Envelope] = [],
        with codec: (any WireCodec)?
    ) throws(IdentityError) -> Envelope {
        guard let codec else { return try signed(by: key, delegations: delegations) }
        return try codec.sign(self, by: key, delegations: delegations)
    }
}

extension Envelope {
    /// Signs a message of a profile in DSIP-JOSE, or in the form of `codec`.
    ///
    /// - Throws: as ``WireCodec/sign(payload:by:delegations:)``.
    public init(
        signing payload: JSONValue,
        by key: SigningKey,
        delegations: [Envelope] = [],
        with codec: (any WireCodec)?
    ) throws(IdentityError) {
        if let codec {
            self = try codec.sign(payload: payload, by: key, delegations: delegations)
        } else {
            try self.init(signing: payload.utf8, by: key, delegations: delegations)
        }
    }
}
