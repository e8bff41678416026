/// One map of header parameters (RFC 9052 §3), with the common ones by name (§3.1).
public struct COSEHeaderMap: Hashable, Sendable {
    /// Labels of the common parameters.
    public enum Label {
        public static let algorithm: CBORValue = 1
        public static let critical: CBORValue = 2
        public static let contentType: CBORValue = 3
        public static let keyIdentifier: CBORValue = 4
        public static let initializationVector: CBORValue = 5
        public static let partialInitializationVector: CBORValue = 6
    }

    public var parameters: CBORMap

    public init(_ parameters: CBORMap = [:]) { self.parameters = parameters }

    /// The most parameters that are read in one bucket.
    public static let maximumCount = 64

    /// The map of a message somebody else made.
    ///
    /// - Throws: `.limit` for more than `maximumCount` parameters; `.structure` for a label that is neither integer nor text, or a common parameter of the wrong type.
    init(checking parameters: CBORMap) throws(EncodingError) {
        guard parameters.count <= Self.maximumCount else {
            throw EncodingError(.limit, "more than \(Self.maximumCount) header parameters")
        }
        self.parameters = parameters
        for (key, value) in parameters.entries {
            let valid =
                switch (key, value) {
                case (Label.algorithm, .unsigned), (Label.algorithm, .negative), (Label.algorithm, .text): true
                case (Label.critical, .array(let labels)): !labels.isEmpty && labels.allSatisfy(\.isLabel)
                case (Label.contentType, .unsigned), (Label.contentType, .text): true
                case (Label.keyIdentifier, .bytes), (Label.initializationVector, .bytes),
                    (Label.partialInitializationVector, .bytes):
                    true
                case (.unsigned(1...6), _): false
                default: key.isLabel
                }
            guard valid else { throw EncodingError(.structure, "a malformed header parameter") }
        }
    }

    public subscript(_ label: CBORValue) -> CBORValue? {
        get { parameters[label] }
        set { parameters[label] = newValue }
    }

    public var isEmpty: Bool { parameters.isEmpty }

    /// The algorithm, when the parameter is there and names one of the table here.
    public var algorithm: COSEAlgorithm? {
        get { self[Label.algorithm]?.int.flatMap(COSEAlgorithm.init(rawValue:)) }
        set { self[Label.algorithm] = newValue.map { .int($0.rawValue) } }
    }

    /// `kid`: a hint which key to try, never proof of whose it is.
    public var keyIdentifier: [UInt8]? {
        get { self[Label.keyIdentifier]?.bytes }
        set { self[Label.keyIdentifier] = newValue.map { .bytes($0) } }
    }

    /// A media type, when the parameter is text.
    public var contentType: String? {
        get { self[Label.contentType]?.text }
        set { self[Label.contentType] = newValue.map { .text($0) } }
    }

    public var critical: [CBORValue] {
        get { self[Label.critical]?.array ?? [] }
        set { self[Label.critical] = newValue.isEmpty ? nil : .array(newValue) }
    }

    public var initializationVector: [UInt8]? { self[Label.initializationVector]?.bytes }
    public var partialInitializationVector: [UInt8]? { self[Label.partialInitializationVector]?.bytes }
}

extension CBORValue {
    // RFC 9052 §1.5: label = int / tstr.
    fileprivate var isLabel: Bool {
        switch self {
        case .unsigned, .negative, .text: true
        default: false
        }
    }
}

extension COSEHeaderMap: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (CBORValue, CBORValue)...) { parameters = CBORMap(elements) }
}
