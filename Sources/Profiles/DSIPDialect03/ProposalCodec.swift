import DSIPIdentity
import DSIPSignaling
import Encoding

/// The 0.3 dialect: messages as the proposal writes them, in JSON or in CBOR, between the wire and the types of the core.
///
/// ```swift
/// let envelope = try ProposalCodec.json.sign(message, by: key, delegations: [])
/// var verifier = EnvelopeVerifier(codecs: [ProposalCodec.json])
/// verifier.verify(envelope.bytes, …)          // .accepted(Verified<Message>), its envelope's form .proposal
/// ```
///
/// It holds no state and knows no session: what one word of the proposal means in one (`dsip.bye` before an answer, `dsip.error` in
/// place of one) is for the session machines to say. It never trusts: what it reads counts only once ``EnvelopeVerifier`` has
/// checked the signature over the bytes it names.
public struct ProposalCodec: WireCodec {
    public let form: WireForm
    /// Of whom this end is: what is sealed to one of them is read as the message inside.
    private let keys: [SigningKey]

    /// `dsip.v0.3+json`: text frames.
    public static let json = ProposalCodec(form: .proposal)
    /// `dsip.v0.3+cbor`: binary frames, the same message under COSE_Sign1 in place of `sig`.
    public static let cbor = ProposalCodec(form: .proposalCOSE)

    public static let contentType = "application/dsip-0.3+cbor"
    private static let limits = JSONDocument.Limits(bytes: ProtocolLimits.frame, depth: 32)

    /// JSON, and the messages inside stored envelopes (proposal 0.3 §21.B) that are sealed to `keys`. Others see of one where it goes.
    public static func json(opening keys: [SigningKey]) -> ProposalCodec {
        ProposalCodec(form: .proposal, opening: keys)
    }

    private init(form: WireForm, opening keys: [SigningKey] = []) {
        self.form = form
        self.keys = keys
    }

    // MARK: Reading

    public func open(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement? {
        form == .proposal ? try openJSON(frame, at: now) : try openCBOR(frame, at: now)
    }

    private func openJSON(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement? {
        guard let message = ProposalCodec.message(frame) else { return try openStored(frame, at: now) }
        let signature = try ProposalSignature(of: message)
        return WireStatement(
            form: form,
            kid: signature.kid,
            algorithm: .edDSA,
            delegations: signature.delegations,
            covered: signature.covered,
            signature: signature.signature,
            payload: { () throws(Rejection) in
                var unsigned = message
                unsigned["sig"] = nil
                return try ProposalCodec.payload(unsigned, signedBy: signature.kid, at: now)
            },
            identifierTellsTime: false,
            mayLackRecipient: true
        )
    }

    /// A stored envelope: for whom it is sealed to, what is inside; for others, where it goes.
    private func openStored(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement? {
        guard let stored = try StoredEnvelope(reading: frame) else { return nil }
        guard let key = keys.first(where: { $0.did == stored.to }) else {
            try stored.checkTime(at: now)
            return WireStatement(
                form: form,
                kid: DIDURL(did: stored.from, fragment: String(stored.from.identifier)),
                algorithm: .edDSA,
                delegations: [],
                covered: stored.covered,
                signature: stored.signature,
                payload: { JSONValue.object(stored.payload(at: now)).utf8 },
                identifierTellsTime: false
            )
        }
        _ = try StoredEnvelope(frame, at: now)
        let inner = try stored.opened(by: key)
        guard ProposalCodec.message(inner) != nil, var statement = try openJSON(inner, at: now) else {
            throw Rejection(.sealedPlaintextInvalid, "no message of the proposal in it", from: stored.from)
        }
        let payload = statement.payload
        statement.payload = { () throws(Rejection) in
            let said = try payload()
            // Sealed anew for somebody else, by whom it was meant for.
            guard (try? JSONValue(parsing: said))?["to"]?.string == stored.to.string else {
                throw Rejection(.sealedPlaintextInvalid, "the message inside is for another", from: stored.from)
            }
            return said
        }
        return statement
    }

    private func openCBOR(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement? {
        guard let statement = try COSEStatement(frame, contentType: Self.contentType) else { return nil }
        return WireStatement(
            form: form,
            kid: ProposalSignature.canonical(statement.kid),
            algorithm: .edDSA,
            delegations: statement.delegations,
            covered: statement.covered,
            signature: statement.signature,
            payload: { () throws(Rejection) in
                guard let message = try statement.json().object, message["sig"] == nil else {
                    throw Rejection(.payloadShape, "no message of the proposal without sig")
                }
                return try ProposalCodec.payload(message, signedBy: statement.kid, at: now)
            },
            identifierTellsTime: false,
            mayLackRecipient: true
        )
    }

    private static func payload(
        _ message: JSONObject,
        signedBy kid: DIDURL,
        at now: Int64
    ) throws(Rejection) -> [UInt8] {
        let reading = ProposalReading(message, signedBy: kid, at: now)
        do throws(Rejection) {
            return JSONValue.object(try reading.payload()).utf8
        } catch {
            throw reading.addressing(error)
        }
    }

    /// A frame that can be a message of the dialect: an object with a `type` and a `sig`.
    private static func message(_ frame: [UInt8]) -> JSONObject? {
        guard frame.first == UInt8(ascii: "{"), let document = try? JSONDocument(scanning: frame, limits: limits),
            document.root["sig"]?.isObject == true, document.root["type"] != nil
        else { return nil }
        return document.root.value.object
    }

    public func name(of frame: [UInt8]) -> ULID? {
        guard form == .proposal, ProposalCodec.message(frame) == nil else { return nil }
        return (try? StoredEnvelope(reading: frame))?.id
    }

    /// The whole message of a verified envelope, for members that the core has no place for, such as `economics`.
    ///
    /// - Returns: nil for an envelope of another form.
    public static func message(in envelope: Envelope) -> JSONValue? {
        switch envelope.form {
        case .proposal: message(envelope.bytes).map { .object($0) }
        case .proposalCOSE: try? COSEStatement(envelope.bytes, contentType: contentType)?.json()
        case .jose, .cose: nil
        }
    }

    // MARK: Writing

    public func sign(
        _ message: Message,
        by key: SigningKey,
        delegations: [Envelope]
    ) throws(IdentityError) -> Envelope {
        var writing = ProposalWriting(message)
        return try sign(writing.object(), by: key, delegations: delegations)
    }

    public func sign(
        payload: JSONValue,
        by key: SigningKey,
        delegations: [Envelope]
    ) throws(IdentityError) -> Envelope {
        try sign(ProposalWriting.object(of: payload), by: key, delegations: delegations)
    }

    /// Signs a message as it is to be written, such as a `dsip.receipt`, or one with members of one's own.
    public func sign(
        _ message: JSONObject,
        by key: SigningKey,
        delegations: [Envelope] = []
    ) throws(IdentityError) -> Envelope {
        switch form {
        case .proposalCOSE:
            let frame = try COSEStatement.signed(
                .object(message),
                contentType: Self.contentType,
                by: key,
                delegations: delegations
            )
            return Envelope(frame, form: form)
        default:
            let signed = try ProposalSignature.sign(message, by: key, delegations: delegations)
            return Envelope(JSONValue.object(signed).utf8, form: form)
        }
    }
}
