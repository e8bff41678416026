/// COSE_Sign1: a payload and one signature (RFC 9052 §4.2).
///
/// ```swift
/// let headers = COSEHeaders(protected: [1: -8, 4: .bytes(kid)])
/// let message = try COSESign1(signing: payload, headers: headers) { try Array(key.signature(for: $0)) }
/// let bytes = message.encoded()
///
/// let received = try COSESign1(decoding: bytes)
/// let valid = key.isValidSignature(received.signature, for: try received.signingInput())
/// ```
public struct COSESign1: COSEStructure {
    public static let tag = COSETag.sign1

    public let headers: COSEHeaders
    /// nil when it travels apart.
    public let payload: [UInt8]?
    public let signature: [UInt8]

    /// - Parameters:
    ///   - detached: the payload is signed and not carried.
    ///   - external: signed too, and known to both sides.
    ///   - sign: given the bytes to sign.
    public init(
        signing payload: [UInt8],
        headers: COSEHeaders,
        detached: Bool = false,
        external: [UInt8] = [],
        by sign: ([UInt8]) throws -> [UInt8]
    ) rethrows {
        self.headers = headers
        self.payload = detached ? nil : payload
        self.signature = try sign(
            COSECovered.signature(.signature1, body: headers, external: external, payload: payload)
        )
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 4)
        self.headers = try fields.headers(context)
        self.payload = try fields.detachable(2)
        self.signature = try fields.bytes(3)
    }

    public var elements: [CBORValue] {
        headers.elements + [payload.map { .bytes($0) } ?? .null, .bytes(signature)]
    }

    /// The bytes that were signed.
    ///
    /// - Throws: `.structure` when the payload is missing, or given twice.
    public func signingInput(detached: [UInt8]? = nil, external: [UInt8] = []) throws(EncodingError) -> [UInt8] {
        COSECovered.signature(
            .signature1,
            body: headers,
            external: external,
            payload: try COSECovered.payload(payload, detached)
        )
    }
}

/// COSE_Sign: a payload and the signatures of one or more signers (RFC 9052 §4.1).
public struct COSESign: COSEStructure {
    public static let tag = COSETag.sign

    public let headers: COSEHeaders
    public let payload: [UInt8]?
    public private(set) var signatures: [COSESignature]

    /// A message that nobody has signed yet.
    public init(_ payload: [UInt8], headers: COSEHeaders = COSEHeaders()) {
        self.headers = headers
        self.payload = payload
        self.signatures = []
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 4)
        self.headers = try fields.headers(context)
        self.payload = try fields.detachable(2)
        var signatures: [COSESignature] = []
        for array in try fields.arrays(3) { signatures.append(try COSESignature(elements: array, context)) }
        self.signatures = signatures
    }

    public var elements: [CBORValue] {
        headers.elements + [
            payload.map { .bytes($0) } ?? .null, .array(signatures.map { .array($0.elements) }),
        ]
    }

    /// Adds the signature of one more signer.
    public mutating func sign(
        headers signer: COSEHeaders,
        external: [UInt8] = [],
        by sign: ([UInt8]) throws -> [UInt8]
    ) throws {
        let input = try signingInput(of: signer, external: external)
        signatures.append(COSESignature(headers: signer, signature: try sign(input)))
    }

    /// The bytes that the signer with these headers signs.
    public func signingInput(
        of signer: COSEHeaders,
        detached: [UInt8]? = nil,
        external: [UInt8] = []
    ) throws(EncodingError) -> [UInt8] {
        COSECovered.signature(
            .signature,
            body: headers,
            signer: signer,
            external: external,
            payload: try COSECovered.payload(payload, detached)
        )
    }
}

/// One signer's part of a COSE_Sign, or a countersignature: headers and signature.
public struct COSESignature: Hashable, Sendable {
    public let headers: COSEHeaders
    public let signature: [UInt8]

    public init(headers: COSEHeaders, signature: [UInt8]) {
        self.headers = headers
        self.signature = signature
    }

    /// A countersignature out of a header parameter (RFC 8152 §4.5).
    public init(_ value: CBORValue) throws(EncodingError) {
        guard case .array(let elements) = value else { throw EncodingError(.structure, "no COSE_Signature") }
        try self.init(elements: elements, COSEContext(mode: .valid, limits: CBORReader.Limits()))
    }

    init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 3)
        self.headers = try fields.headers(context)
        self.signature = try fields.bytes(2)
    }

    public var elements: [CBORValue] { headers.elements + [.bytes(signature)] }
}
