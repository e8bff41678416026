/// COSE_Mac0: a payload and its tag under a key both sides know already (RFC 9052 §6.2).
public struct COSEMac0: COSEStructure {
    public static let tag = COSETag.mac0

    public let headers: COSEHeaders
    public let payload: [UInt8]?
    /// The authentication tag, whole or truncated as the algorithm says. Compare it in constant time.
    public let tag: [UInt8]

    public init(
        authenticating payload: [UInt8],
        headers: COSEHeaders,
        detached: Bool = false,
        external: [UInt8] = [],
        by authenticate: ([UInt8]) throws -> [UInt8]
    ) rethrows {
        self.headers = headers
        self.payload = detached ? nil : payload
        self.tag = try authenticate(COSECovered.mac(.mac0, body: headers, external: external, payload: payload))
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 4)
        self.headers = try fields.headers(context)
        self.payload = try fields.detachable(2)
        self.tag = try fields.bytes(3)
    }

    public var elements: [CBORValue] { headers.elements + [payload.map { .bytes($0) } ?? .null, .bytes(tag)] }

    /// The bytes that the tag is over.
    public func authenticatedInput(
        detached: [UInt8]? = nil,
        external: [UInt8] = []
    ) throws(EncodingError) -> [UInt8] {
        COSECovered.mac(
            .mac0,
            body: headers,
            external: external,
            payload: try COSECovered.payload(payload, detached)
        )
    }
}

/// COSE_Mac: the same with the key wrapped, agreed or named for each recipient (RFC 9052 §6.1).
public struct COSEMac: COSEStructure {
    public static let tag = COSETag.mac

    public let headers: COSEHeaders
    public let payload: [UInt8]?
    public let tag: [UInt8]
    public let recipients: [COSERecipient]

    public init(
        authenticating payload: [UInt8],
        headers: COSEHeaders,
        recipients: [COSERecipient],
        detached: Bool = false,
        external: [UInt8] = [],
        by authenticate: ([UInt8]) throws -> [UInt8]
    ) rethrows {
        self.headers = headers
        self.payload = detached ? nil : payload
        self.recipients = recipients
        self.tag = try authenticate(COSECovered.mac(.mac, body: headers, external: external, payload: payload))
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 5)
        self.headers = try fields.headers(context)
        self.payload = try fields.detachable(2)
        self.tag = try fields.bytes(3)
        self.recipients = try COSERecipient.list(fields, 4, context)
    }

    public var elements: [CBORValue] {
        headers.elements + [
            payload.map { .bytes($0) } ?? .null, .bytes(tag), .array(recipients.map { .array($0.elements) }),
        ]
    }

    /// The bytes that the tag is over.
    public func authenticatedInput(
        detached: [UInt8]? = nil,
        external: [UInt8] = []
    ) throws(EncodingError) -> [UInt8] {
        COSECovered.mac(
            .mac,
            body: headers,
            external: external,
            payload: try COSECovered.payload(payload, detached)
        )
    }
}
