import Encoding

/// An envelope whose signature has been checked under one document: the step that delegations, revocations and rotations
/// share.
struct SignedRecord {
    let kid: DIDURL
    let payload: JSONView

    /// - Returns: nil unless the header names EdDSA (or ES256, where allowed) and a method of `document`, the signature
    ///   is right (DSIP §10.2) and the payload is a JSON object of integers only (DSIP §10.3).
    init?(_ envelope: Envelope, under document: DIDDocument, allowES256: Bool) {
        guard let (kid, algorithm) = SignedRecord.header(of: envelope), kid.did == document.id,
            let method = document.verificationMethod(kid), method.publicKey.algorithm == algorithm,
            algorithm == .edDSA || allowES256,
            method.publicKey.isValidSignature(envelope.decodedSignature(), for: envelope.signingInput),
            let payload = SignedRecord.payload(of: envelope)
        else { return nil }
        self.kid = kid
        self.payload = payload
    }

    /// The header without any trust in it. - Returns: nil also for `crit`, of which nothing is understood (RFC 7515
    /// §4.1.11).
    static func header(of envelope: Envelope) -> (kid: DIDURL, algorithm: SignatureAlgorithm)? {
        guard let header = try? JSONDocument(scanning: envelope.decodedProtected(), limits: .record).root,
            header.isObject,
            header["crit"] == nil, let algorithm = header["alg"]?.string.flatMap(SignatureAlgorithm.init(rawValue:)),
            let kid = header["kid"]?.string.flatMap({ DIDURL($0) })
        else { return nil }
        return (kid, algorithm)
    }

    static func payload(of envelope: Envelope) -> JSONView? {
        guard let document = try? JSONDocument(scanning: envelope.decodedPayload(), limits: .record),
            document.root.isObject,
            document.firstNonInteger == nil
        else { return nil }
        return document.root
    }
}

extension JSONDocument.Limits {
    /// A record is small; an envelope is at most 64 KiB (DSIP §13.2).
    fileprivate static let record = JSONDocument.Limits(bytes: 1 << 16, depth: 16, members: 256)
}

extension JSONView {
    func did(_ name: StaticString) -> DID? { self[name]?.string.flatMap { DID($0) } }

    /// Unix seconds, not before 1970.
    func timestamp(_ name: StaticString) -> Int64? { self[name]?.integer.flatMap { $0 >= 0 ? $0 : nil } }
}
