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
// Sendable unchecked for the pointer: nothing writes through it once `init` has returned.
public final class JSONDocument: @unchecked Sendable {
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
    /// The index; `nodeCount` of them, written once by the scanner and freed with the document.
    @usableFromInline let nodes: UnsafePointer<JSONNode>
    let nodeCount: Int
    /// Where the first number with a fraction or an exponent, or outside 64 bits, stands; nil when all are integers (DSIP §10.3).
    public let firstNonInteger: Int?

    /// - Throws: `EncodingError`; `.notUTF8` takes precedence over every other fault, so that a verdict does not depend on
    ///   where in the text two faults stand.
    public init(scanning bytes: [UInt8], limits: Limits = Limits()) throws(EncodingError) {
        guard bytes.count <= limits.bytes else {
            throw EncodingError(.limit, "JSON text of \(bytes.count) bytes exceeds the limit of \(limits.bytes)")
        }
        let nodes: JSONNodes
        do {
            (nodes, self.firstNonInteger) = try bytes.withUnsafeBufferPointer { (text) throws(EncodingError) in
                try JSONScanner.scan(text, limits)
            }
        } catch {
            if error.code != .notUTF8, let bad = UTF8Check.firstInvalid(in: bytes) {
                throw EncodingError(.notUTF8, at: bad, "the text is not UTF-8")
            }
            throw error
        }
        self.bytes = bytes
        self.nodes = UnsafePointer(nodes.base)
        self.nodeCount = nodes.count
    }

    deinit { UnsafeMutablePointer(mutating: nodes).deallocate() }

    public convenience init(scanning text: String, limits: Limits = Limits()) throws(EncodingError) {
        try self.init(scanning: Array(text.utf8), limits: limits)
    }

    public var root: JSONView { JSONView(document: self, index: 0) }
}

/// One value or member name of the index.
@usableFromInline
struct JSONNode: Sendable {
    @usableFromInline
    enum Kind: UInt8, Sendable { case null, `true`, `false`, integer, number, string, array, object }

    /// First byte of the token; for a string, the byte after its quote.
    @usableFromInline var start: UInt32
    /// One past the last byte; for a string, its closing quote.
    @usableFromInline var end: UInt32
    /// Index of the node after this value and all it holds; while the scanner is inside a container, the container around it.
    @usableFromInline var next: UInt32
    /// Elements of an array, members of an object.
    @usableFromInline var count: UInt16
    @usableFromInline var kind: Kind
    /// A string holds at least one backslash.
    @usableFromInline var escaped: Bool

    @usableFromInline
    init(start: UInt32, end: UInt32, next: UInt32, count: UInt16, kind: Kind, escaped: Bool) {
        self.start = start
        self.end = end
        self.next = next
        self.count = count
        self.kind = kind
        self.escaped = escaped
    }
}

/// The growing index. A plain buffer: the scanner appends some node for every ten bytes, and pays for nothing but the store.
struct JSONNodes {
    private(set) var base: UnsafeMutablePointer<JSONNode>
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int) {
        self.base = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    @inline(__always)
    mutating func append(_ node: JSONNode) {
        if count == capacity { grow() }
        (base + count).initialize(to: node)
        count += 1
    }

    subscript(_ index: Int) -> JSONNode {
        @inline(__always) get { base[index] }
        @inline(__always) nonmutating _modify { yield &base[index] }
    }

    func deallocate() { base.deallocate() }

    @inline(never)
    private mutating func grow() {
        let larger = UnsafeMutablePointer<JSONNode>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }
}
