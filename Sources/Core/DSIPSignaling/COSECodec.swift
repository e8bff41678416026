import DSIPIdentity
import Encoding

/// DSIP-COSE (DSIP §10.1): a payload of the core as deterministic CBOR (RFC 8949 §4.2) under COSE_Sign1 (RFC 9052).
///
/// ```
/// 18([ << {1: -8, 3: "application/dsip+cbor", 4: h'…kid…', ? "delegations": [h'…envelope…']} >>, {}, h'…payload…', h'…signature…' ])
/// ```
///
/// The payload is the same object as in JSON, member by member. The content type is signed with it, so that no statement of
/// another protocol under the same key passes for one of this. Delegations are DSIP-JOSE envelopes, as their issuer signed them.
public struct COSECodec: WireCodec {
    public static let contentType = "application/dsip+cbor"

    public init() {}

    public var form: WireForm { .cose }

    public func open(_ frame: [UInt8], at now: Int64) throws(Rejection) -> WireStatement? {
        guard let message = try COSEStatement(frame, contentType: Self.contentType) else { return nil }
        return WireStatement(
            form: form,
            kid: message.kid,
            algorithm: .edDSA,
            delegations: message.delegations,
            covered: message.covered,
            signature: message.signature,
            payload: { () throws(Rejection) in try message.json().utf8 }
        )
    }

    public func sign(
        _ message: Message,
        by key: SigningKey,
        delegations: [Envelope]
    ) throws(IdentityError) -> Envelope {
        try sign(payload: message.json, by: key, delegations: delegations)
    }

    public func sign(
        payload: JSONValue,
        by key: SigningKey,
        delegations: [Envelope]
    ) throws(IdentityError) -> Envelope {
        let frame = try COSEStatement.signed(
            payload,
            contentType: Self.contentType,
            by: key,
            delegations: delegations
        )
        return Envelope(frame, form: form)
    }
}

/// One signed statement in COSE_Sign1 whose payload is JSON's data model in CBOR; shared by the forms that differ in the content type.
package struct COSEStatement: Sendable {
    package let kid: DIDURL
    package let delegations: [Envelope]
    package let covered: [UInt8]
    package let signature: [UInt8]
    private let payload: [UInt8]

    private static let delegationsLabel: CBORValue = "delegations"
    private static let limits = CBORReader.Limits(bytes: ProtocolLimits.frame, depth: 32, items: 1 << 13)

    /// - Returns: nil for a frame that is no COSE_Sign1, or of another content type.
    package init?(_ frame: [UInt8], contentType: String) throws(Rejection) {
        // The one spelling of the tag; JSON never begins so.
        guard frame.first == 0xd2 else { return nil }
        let message: COSESign1
        do throws(EncodingError) {
            message = try COSESign1(decoding: frame, tagging: .tagged, as: .deterministic, limits: Self.limits)
            try message.headers.checkCritical()
        } catch {
            throw Rejection(.envelopeShape, "no COSE_Sign1 in deterministic CBOR: \(error.reason)")
        }
        let protected = message.headers.protected
        guard protected.contentType == contentType else { return nil }
        guard message.headers.unprotected.isEmpty, let payload = message.payload,
            let covered = try? message.signingInput()
        else { throw Rejection(.headerInvalid, "an unprotected header or a detached payload") }
        guard protected.algorithm == .edDSA || protected.algorithm == .ed25519 else {
            throw Rejection(.algUnsupported, "the algorithm is not supported")
        }
        guard
            let kid = protected.keyIdentifier.flatMap({ String(validating: $0, as: UTF8.self) }).flatMap({ DIDURL($0) })
        else { throw Rejection(.kidInvalid, "kid is no DID URL with a fragment") }
        let presented = protected[Self.delegationsLabel]?.array ?? []
        let delegations = presented.compactMap { $0.bytes.flatMap { Envelope($0) } }
        guard delegations.count == presented.count, presented.count <= ProtectedHeader.delegationLimit else {
            throw Rejection(.headerInvalid, "delegations that cannot be read")
        }
        self.kid = kid
        self.delegations = delegations
        self.covered = covered
        self.signature = message.signature
        self.payload = payload
    }

    /// The payload as JSON.
    ///
    /// - Throws: `payload-not-json` for what is not deterministic, or has no counterpart in JSON.
    package func json() throws(Rejection) -> JSONValue {
        do throws(EncodingError) {
            return try JSONValue(CBORValue(decoding: payload, as: .deterministic, limits: Self.limits))
        } catch {
            throw Rejection(.payloadNotJSON, "the payload cannot be read: \(error.reason)")
        }
    }

    package static func signed(
        _ payload: JSONValue,
        contentType: String,
        by key: SigningKey,
        delegations: [Envelope]
    ) throws(IdentityError) -> [UInt8] {
        var protected = COSEHeaderMap()
        protected.algorithm = .edDSA
        protected.contentType = contentType
        protected.keyIdentifier = Array(key.kid.description.utf8)
        if !delegations.isEmpty { protected[delegationsLabel] = .array(delegations.map { .bytes($0.bytes) }) }
        do {
            return try COSESign1(signing: CBORValue(payload).encoded, headers: COSEHeaders(protected: protected)) {
                try key.sign($0)
            }.encoded()
        } catch {
            throw IdentityError(.signing, "the signing key could not be used")
        }
    }
}
