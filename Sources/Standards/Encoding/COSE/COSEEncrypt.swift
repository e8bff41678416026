/// COSE_Encrypt0: a ciphertext under a key both sides know already (RFC 9052 §5.2).
public struct COSEEncrypt0: COSEStructure {
    public static let tag = COSETag.encrypt0

    public let headers: COSEHeaders
    /// Ciphertext and tag; nil when they travel apart.
    public let ciphertext: [UInt8]?

    /// - Parameter seal: given the associated data; returns ciphertext and tag.
    public init(
        headers: COSEHeaders,
        external: [UInt8] = [],
        seal: (_ associatedData: [UInt8]) throws -> [UInt8]
    ) rethrows {
        self.headers = headers
        self.ciphertext = try seal(COSECovered.encryption(.encrypt0, body: headers, external: external))
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 3)
        self.headers = try fields.headers(context)
        self.ciphertext = try fields.detachable(2)
    }

    public var elements: [CBORValue] { headers.elements + [ciphertext.map { .bytes($0) } ?? .null] }

    /// What the cipher authenticates beside the content.
    public func associatedData(external: [UInt8] = []) -> [UInt8] {
        COSECovered.encryption(.encrypt0, body: headers, external: external)
    }
}

/// COSE_Encrypt: the same with the key wrapped, agreed or named for each recipient (RFC 9052 §5.1).
public struct COSEEncrypt: COSEStructure {
    public static let tag = COSETag.encrypt

    public let headers: COSEHeaders
    public let ciphertext: [UInt8]?
    public let recipients: [COSERecipient]

    public init(
        headers: COSEHeaders,
        recipients: [COSERecipient],
        external: [UInt8] = [],
        seal: (_ associatedData: [UInt8]) throws -> [UInt8]
    ) rethrows {
        self.headers = headers
        self.recipients = recipients
        self.ciphertext = try seal(COSECovered.encryption(.encrypt, body: headers, external: external))
    }

    public init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 4)
        self.headers = try fields.headers(context)
        self.ciphertext = try fields.detachable(2)
        self.recipients = try COSERecipient.list(fields, 3, context)
    }

    public var elements: [CBORValue] {
        headers.elements + [
            ciphertext.map { .bytes($0) } ?? .null, .array(recipients.map { .array($0.elements) }),
        ]
    }

    /// What the cipher authenticates beside the content.
    public func associatedData(external: [UInt8] = []) -> [UInt8] {
        COSECovered.encryption(.encrypt, body: headers, external: external)
    }
}

/// How one recipient comes by the content key (RFC 9052 §5.1); its own recipients are a layer further down.
public struct COSERecipient: Hashable, Sendable {
    public let headers: COSEHeaders
    /// The wrapped key; empty for a key that is named or agreed.
    public let ciphertext: [UInt8]?
    public let recipients: [COSERecipient]

    public init(headers: COSEHeaders, ciphertext: [UInt8]? = [], recipients: [COSERecipient] = []) {
        self.headers = headers
        self.ciphertext = ciphertext
        self.recipients = recipients
    }

    /// Depth is bounded by the reader's.
    init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError) {
        let fields = try COSEFields(elements, count: 3...4)
        self.headers = try fields.headers(context)
        self.ciphertext = try fields.detachable(2)
        self.recipients = elements.count == 4 ? try COSERecipient.list(fields, 3, context) : []
    }

    public var elements: [CBORValue] {
        headers.elements + [ciphertext.map { .bytes($0) } ?? .null]
            + (recipients.isEmpty ? [] : [.array(recipients.map { .array($0.elements) })])
    }

    static func list(_ fields: COSEFields, _ index: Int, _ context: COSEContext) throws(EncodingError) -> [Self] {
        var list: [COSERecipient] = []
        for array in try fields.arrays(index) { list.append(try COSERecipient(elements: array, context)) }
        return list
    }
}
