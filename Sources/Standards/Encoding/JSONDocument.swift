/// JSON text that has been checked and indexed, without one value being built.
///
/// `JSONDocument` is the reader of every byte a peer sends. It is stricter than RFC 8259, as RFC 7493 (I-JSON) asks: UTF-8 only, no
/// lone surrogates, no member named twice, nothing after the value; depth, members and size are bounded. The result is a flat
/// index over the received bytes; strings are decoded only when asked for.
///
/// ```swift
/// let document = try JSONDocument(scanning: bytes)
/// let type = document.root["type"]?.string
/// ```
public final class JSONDocument: Sendable {
    public struct Limits: Sendable {
        public var bytes: Int
        public var depth: Int
        public var members: Int

        public init(bytes: Int = 1 << 20, depth: Int = 32, members: Int = 1024) {
            self.bytes = min(bytes, Int(UInt32.max) - 1)
            self.depth = depth
            self.members = members
        }
    }

    /// The scanned text.
    public let bytes: [UInt8]
    let nodes: ContiguousArray<JSONNode>
    /// Where the first number with a fraction or an exponent, or outside 64 bits, stands; nil when all are integers (DSIP §10.3).
    public let firstNonInteger: Int?

    /// - Throws: `EncodingError`; `.notUTF8` takes precedence over every other fault, so that a verdict does not depend on
    ///   where in the text two faults stand.
    public init(scanning bytes: [UInt8], limits: Limits = Limits()) throws(EncodingError) {
        guard bytes.count <= limits.bytes else {
            throw EncodingError(.limit, "JSON text of \(bytes.count) bytes exceeds the limit of \(limits.bytes)")
        }
        var nodes = ContiguousArray<JSONNode>()
        nodes.reserveCapacity(bytes.count / 12 + 8)
        var firstNonInteger: Int?
        do {
            firstNonInteger = try bytes.withUnsafeBufferPointer { (text) throws(EncodingError) -> Int? in
                var scanner = JSONScanner(text: text, limits: limits)
                try scanner.scanDocument(into: &nodes)
                return scanner.firstNonInteger
            }
        } catch {
            if error.code != .notUTF8, let bad = UTF8Check.firstInvalid(in: bytes) {
                throw EncodingError(.notUTF8, at: bad, "the text is not UTF-8")
            }
            throw error
        }
        self.bytes = bytes
        self.nodes = nodes
        self.firstNonInteger = firstNonInteger
    }

    public convenience init(scanning text: String, limits: Limits = Limits()) throws(EncodingError) {
        try self.init(scanning: Array(text.utf8), limits: limits)
    }

    public var root: JSONView { JSONView(document: self, index: 0) }
}

/// One value or member name of the index.
struct JSONNode {
    enum Kind: UInt8 { case null, `true`, `false`, integer, number, string, array, object }

    /// First byte of the token; for a string, the byte after its quote.
    var start: UInt32
    /// One past the last byte; for a string, its closing quote.
    var end: UInt32
    /// Index of the node after this value and all it holds.
    var next: UInt32
    /// Elements of an array, members of an object.
    var count: UInt16
    var kind: Kind
    /// A string holds at least one backslash.
    var escaped: Bool
}
