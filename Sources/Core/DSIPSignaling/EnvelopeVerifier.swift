import DSIPIdentity
import Encoding

/// The one way in: turns a received frame into a `Verified<Message>`, or says which rule it broke.
///
/// The stages are those of the conformance vectors, in their order, over the received bytes; of several faults the first stage
/// decides (DSIP §7.4, §10, §11, §12.9, §13.2, §20.6). Nothing is fetched and no clock is read: documents, time and the replay
/// window are passed in, and a document that is missing is a verdict of its own.
///
/// A verifier remembers protected headers and the delegations whose signature it has checked, both bounded, so that a device pays
/// for its delegation once. Give one to each thread that verifies, such as an event loop, rather than one to each connection.
public struct EnvelopeVerifier: Sendable {
    public let policy: VerificationPolicy
    /// For frames that are no DSIP-JOSE; each is asked in turn.
    public let codecs: [any WireCodec]
    /// Opens sealed bodies; nil where none is addressed to.
    public let opener: SealOpener?
    private var headers: GenerationalCache<ByteKey, ProtectedHeader>
    var bindings: BindingVerifier

    /// - Parameter cacheBytes: about as much memory as protected headers may take: 1 KiB for a device, 4 KiB for one that presents
    ///   its delegation with every message. The outcome of a delegation's signature, which is dear and small, outlives its header.
    public init(
        policy: VerificationPolicy = VerificationPolicy(),
        codecs: [any WireCodec] = [],
        opener: SealOpener? = nil,
        cacheBytes: Int = 4 << 20
    ) {
        self.policy = policy
        self.codecs = codecs
        self.opener = opener
        self.headers = GenerationalCache(capacity: cacheBytes)
        self.bindings = BindingVerifier(
            allowES256: policy.allowES256,
            cacheCapacity: cacheBytes / EnvelopeVerifier.bytesPerSignature
        )
    }

    /// Of `cacheBytes`, what goes with one remembered signature, which takes about as much again.
    private static let bytesPerSignature = 256

    /// Verifies one frame.
    ///
    /// - Parameters:
    ///   - frame: the text frame as received.
    ///   - now: Unix seconds.
    ///   - replay: gains the message's id when it is accepted.
    ///   - helloVerified: whether the connection has had its `hello`; without one only a `hello` passes.
    ///   - sentHello: the id of the `hello` sent, where a relay's is awaited (DSIP §20.5).
    ///   - documents: what is known of a DID now; not asked for `did:key`.
    ///   - delegations: held by the receiver.
    ///   - revocations: held by the receiver, verified.
    public mutating func verify(
        _ frame: [UInt8],
        at now: Int64,
        replay: inout some ReplayGuard,
        helloVerified: Bool = true,
        sentHello: ULID? = nil,
        documents: (DID) -> DocumentLookup,
        delegations: DelegationStore = [],
        revocations: Revocations = Revocations()
    ) -> Verdict {
        do {
            let context = BindingContext(now: now, held: delegations, revocations: revocations)
            return .accepted(
                try check(
                    frame,
                    context,
                    replay: &replay,
                    helloVerified: helloVerified,
                    sentHello: sentHello,
                    documents: documents
                )
            )
        } catch {
            switch error {
            case .rejected(let rejection): return .rejected(rejection)
            case .needs(let did): return .needs(did)
            }
        }
    }

    private mutating func check(
        _ frame: [UInt8],
        _ context: BindingContext,
        replay: inout some ReplayGuard,
        helloVerified: Bool,
        sentHello: ULID?,
        documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Verified<Message> {
        try check(
            try open(frame, at: context.now, documents),
            of: frame.count,
            context,
            replay: &replay,
            helloVerified: helloVerified,
            sentHello: sentHello,
            documents: documents
        )
    }

    /// Stages 7 to 14 of an envelope that came in a frame of `size` bytes.
    mutating func check(
        _ opened: Opened,
        of size: Int,
        _ context: BindingContext,
        replay: inout some ReplayGuard,
        helloVerified: Bool,
        sentHello: ULID?,
        documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Verified<Message> {
        let (header, payload) = (opened.header, opened.payload)
        let bound = try bindings.bind(payload, header, context, documents)
        try payload.checkTimes(at: context.now)
        if payload.isDeduplicated, replay.contains(payload.id) {
            throw payload.stop(.duplicateID, "the id was accepted before")
        }
        if opened.identifierTellsTime { try payload.checkIdentifier() }
        guard helloVerified || payload.type == .hello else {
            throw payload.stop(.helloRequired, reason: .transportHelloRequired, "no hello on this connection yet")
        }
        let message = try PayloadRules.checked(
            payload,
            policy,
            opener,
            opened.mayLackRecipient,
            MeaningContext(
                sentHello: sentHello,
                encodedSize: size,
                signer: header.kid,
                identity: bound.identity,
                recovery: opened.recovery
            )
        )
        if payload.isDeduplicated, !replay.remember(payload.id, until: payload.replayableUntil, at: context.now) {
            throw payload.stop(.duplicateID, "the id was accepted before")
        }
        return Verified(
            message,
            envelope: opened.envelope,
            signer: header.kid,
            identity: bound.identity,
            principal: bound.principal,
            delegation: bound.delegation,
            unresolved: bound.unresolved
        )
    }

    /// An envelope whose signature is right, its payload decoded.
    struct Opened {
        let envelope: Envelope
        let header: ProtectedHeader
        let payload: PayloadHead
        /// Methods that the signer's document designates for recovery; nil when there is no document.
        let recovery: [DIDURL]?
        var identifierTellsTime = true
        var mayLackRecipient = false
    }

    /// Stages 1 to 6.
    mutating func open(
        _ frame: [UInt8],
        at now: Int64,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Opened {
        guard frame.count <= ProtocolLimits.frame else {
            throw .rejected(
                Rejection(.frameTooLarge, reason: .transportEnvelopeTooLarge, "a frame of \(frame.count) bytes")
            )
        }
        guard let envelope = Envelope(frame) else {
            if let statement = try statement(frame, at: now) { return try open(statement, frame, documents) }
            throw .rejected(Rejection(.envelopeShape, "not an object of protected, payload and signature"))
        }
        let (header, newKey) = try header(of: envelope)
        let (key, recovery) = try EnvelopeVerifier.key(header, documents)
        guard key.isValidSignature(envelope.decodedSignature(), for: envelope.signingInput) else {
            throw .rejected(Rejection(.signatureInvalid, "the signature does not verify"))
        }
        // Only now: what nobody signed pushes nothing out of the cache.
        if let newKey { headers.insert(header, for: newKey, weight: header.weight + newKey.bytes.count) }
        return Opened(
            envelope: envelope,
            header: header,
            payload: try PayloadHead(envelope.decodedPayload()),
            recovery: recovery
        )
    }

    /// - Returns: nil when no codec knows the form.
    private func statement(_ frame: [UInt8], at now: Int64) throws(Stop) -> WireStatement? {
        for codec in codecs {
            do throws(Rejection) {
                if let statement = try codec.open(frame, at: now) { return statement }
            } catch {
                throw .rejected(error)
            }
        }
        return nil
    }

    private func open(
        _ statement: WireStatement,
        _ frame: [UInt8],
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> Opened {
        let header = ProtectedHeader(statement)
        let (key, recovery) = try EnvelopeVerifier.key(header, documents)
        guard key.isValidSignature(statement.signature, for: statement.covered) else {
            throw .rejected(Rejection(.signatureInvalid, "the signature does not verify"))
        }
        let payload: [UInt8]
        do throws(Rejection) {
            payload = try statement.payload()
        } catch {
            throw .rejected(error)
        }
        return Opened(
            envelope: Envelope(frame, form: statement.form),
            header: header,
            payload: try PayloadHead(payload),
            recovery: recovery,
            identifierTellsTime: statement.identifierTellsTime,
            mayLackRecipient: statement.mayLackRecipient
        )
    }

    /// Stage 4: the key that `kid` names, and what its document designates for recovery.
    private static func key(
        _ header: ProtectedHeader,
        _ documents: (DID) -> DocumentLookup
    ) throws(Stop) -> (key: PublicKey, recovery: [DIDURL]?) {
        if header.isSelfCertifying {
            guard let own = header.selfCertifyingKey else {
                throw .rejected(Rejection(.kidUnresolvable, "kid names no key of its did:key"))
            }
            return (own, nil)
        }
        switch documents(header.kid.did) {
        case .unknown: throw .needs(header.kid.did)
        case .unresolvable: throw .rejected(Rejection(.kidUnresolvable, "the DID of kid cannot be resolved"))
        case .found(let document):
            guard let method = document.verificationMethod(header.kid),
                method.publicKey.algorithm == header.algorithm
            else { throw .rejected(Rejection(.kidUnresolvable, "kid names no verification method")) }
            return (method.publicKey, document.recovery)
        }
    }

    /// The header of `envelope`, from memory or read anew.
    ///
    /// - Returns: under which key it is to be remembered once the signature is known to be right; nil when it is.
    private mutating func header(of envelope: Envelope) throws(Stop) -> (ProtectedHeader, new: ByteKey?) {
        let key = ByteKey(envelope.bytes[envelope.protectedRange])
        if let header = headers.value(for: key) { return (header, nil) }
        do {
            return (try ProtectedHeader(envelope.decodedProtected(), allowES256: policy.allowES256), key)
        } catch {
            throw .rejected(error)
        }
    }
}

/// Why verification ended early.
enum Stop: Error {
    case rejected(Rejection)
    case needs(DID)
}

extension PayloadRules {
    fileprivate static func checked(
        _ payload: PayloadHead,
        _ policy: VerificationPolicy,
        _ opener: SealOpener?,
        _ mayLackRecipient: Bool,
        _ context: MeaningContext
    ) throws(Stop) -> Message {
        do throws(Rejection) {
            return try check(
                payload.root,
                as: payload.type,
                policy: policy,
                opener: opener,
                mayLackRecipient: mayLackRecipient,
                context: context
            )
        } catch {
            throw .rejected(error)
        }
    }
}
