/// A COSE message (RFC 9052 §2): an array that begins with the header buckets, and the tag that says which one it is.
///
/// Reading checks shape and header rules, never a signature: what comes out is untrusted until its `verify` or `open` has been asked.
public protocol COSEStructure: Hashable, Sendable {
    static var tag: COSETag { get }
    var headers: COSEHeaders { get }
    /// The array as CBOR, untagged.
    var elements: [CBORValue] { get }
    init(elements: [CBORValue], _ context: COSEContext) throws(EncodingError)
}

/// CBOR tags of the six messages (RFC 9052 §2, table 1).
public enum COSETag: UInt64, Hashable, Sendable {
    case encrypt0 = 16
    case mac0 = 17
    case sign1 = 18
    case encrypt = 96
    case mac = 97
    case sign = 98
}

/// Whether a message carries its tag.
public enum COSETagging: Hashable, Sendable {
    case tagged, untagged, either
}

extension COSEStructure {
    /// - Throws: `EncodingError`: what `CBORReader` throws, `.structure` for another tag or a broken shape, `.duplicateKey` for a parameter in
    ///   both buckets.
    public init(
        decoding bytes: [UInt8],
        tagging: COSETagging = .either,
        as mode: CBORReader.Mode = .valid,
        limits: CBORReader.Limits = CBORReader.Limits()
    ) throws(EncodingError) {
        var value = try CBORValue(decoding: bytes, as: mode, limits: limits)
        if case .tagged(let number, let content) = value, tagging != .untagged {
            guard number == Self.tag.rawValue else { throw EncodingError(.structure, "another CBOR tag") }
            value = content
        } else if tagging == .tagged {
            throw EncodingError(.structure, "no CBOR tag")
        }
        guard case .array(let elements) = value else { throw EncodingError(.structure, "no COSE structure") }
        try self.init(elements: elements, COSEContext(mode: mode, limits: limits))
    }

    /// Deterministic CBOR; only the protected bucket stays as it was read.
    public func encoded(tagged: Bool = true) -> [UInt8] {
        let array = CBORValue.array(elements)
        return (tagged ? .tagged(Self.tag.rawValue, array) : array).encoded
    }
}

/// Any of the six messages, told apart by its tag.
public enum COSEMessage: Hashable, Sendable {
    case sign1(COSESign1)
    case sign(COSESign)
    case mac0(COSEMac0)
    case mac(COSEMac)
    case encrypt0(COSEEncrypt0)
    case encrypt(COSEEncrypt)

    public init(
        decoding bytes: [UInt8],
        as mode: CBORReader.Mode = .valid,
        limits: CBORReader.Limits = CBORReader.Limits()
    ) throws(EncodingError) {
        guard case .tagged(let number, .array(let elements)) = try CBORValue(decoding: bytes, as: mode, limits: limits),
            let tag = COSETag(rawValue: number)
        else { throw EncodingError(.structure, "no COSE message") }
        let context = COSEContext(mode: mode, limits: limits)
        switch tag {
        case .sign1: self = .sign1(try COSESign1(elements: elements, context))
        case .sign: self = .sign(try COSESign(elements: elements, context))
        case .mac0: self = .mac0(try COSEMac0(elements: elements, context))
        case .mac: self = .mac(try COSEMac(elements: elements, context))
        case .encrypt0: self = .encrypt0(try COSEEncrypt0(elements: elements, context))
        case .encrypt: self = .encrypt(try COSEEncrypt(elements: elements, context))
        }
    }

    public var structure: any COSEStructure {
        switch self {
        case .sign1(let value): value
        case .sign(let value): value
        case .mac0(let value): value
        case .mac(let value): value
        case .encrypt0(let value): value
        case .encrypt(let value): value
        }
    }
}

/// Reads the elements of a COSE array by type.
struct COSEFields {
    let elements: [CBORValue]

    init(_ elements: [CBORValue], count: ClosedRange<Int>) throws(EncodingError) {
        guard count.contains(elements.count) else {
            throw EncodingError(.structure, "a COSE array of \(elements.count) elements")
        }
        self.elements = elements
    }

    init(_ elements: [CBORValue], count: Int) throws(EncodingError) { try self.init(elements, count: count...count) }

    func headers(_ context: COSEContext) throws(EncodingError) -> COSEHeaders {
        try COSEHeaders(elements[0], elements[1], context)
    }

    func bytes(_ index: Int) throws(EncodingError) -> [UInt8] {
        guard let bytes = elements[index].bytes else { throw EncodingError(.structure, "expected a byte string") }
        return bytes
    }

    /// nil for `null`: the content travels elsewhere.
    func detachable(_ index: Int) throws(EncodingError) -> [UInt8]? {
        if elements[index].isNull { return nil }
        return try bytes(index)
    }

    /// A list of arrays, with at least one.
    func arrays(_ index: Int) throws(EncodingError) -> [[CBORValue]] {
        guard let list = elements[index].array, !list.isEmpty else {
            throw EncodingError(.structure, "expected a list that is not empty")
        }
        var arrays: [[CBORValue]] = []
        for element in list {
            guard let array = element.array else { throw EncodingError(.structure, "expected an array") }
            arrays.append(array)
        }
        return arrays
    }
}
