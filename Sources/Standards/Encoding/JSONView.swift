/// A value inside a `JSONDocument`: two words, no copy of the text.
public struct JSONView: Sendable {
    public enum Kind: Sendable { case null, boolean, integer, number, string, array, object }

    @usableFromInline let document: JSONDocument
    @usableFromInline let index: Int

    @usableFromInline
    init(document: JSONDocument, index: Int) {
        self.document = document
        self.index = index
    }

    @inlinable
    var node: JSONNode { document.nodes[index] }

    public var kind: Kind {
        switch node.kind {
        case .null: .null
        case .true, .false: .boolean
        case .integer: .integer
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    @inlinable public var isNull: Bool { node.kind == .null }
    @inlinable public var isObject: Bool { node.kind == .object }
    @inlinable public var isArray: Bool { node.kind == .array }

    /// Elements of an array, members of an object, else 0.
    @inlinable public var count: Int { Int(node.count) }

    public var boolean: Bool? {
        switch node.kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    public var integer: Int64? {
        guard node.kind == .integer else { return nil }
        return document.bytes.withUnsafeBufferPointer { JSONText.integer($0, Int(node.start), Int(node.end)) }
    }

    public var string: String? {
        guard node.kind == .string else { return nil }
        return document.bytes.withUnsafeBufferPointer { JSONText.decode($0, node) }
    }

    /// The bytes between the quotes as they stand, for a string without escapes; nil for anything else.
    @inlinable
    public func withPlainString<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R? {
        guard node.kind == .string, !node.escaped else { return nil }
        return try document.bytes.withUnsafeBytes {
            try body(UnsafeRawBufferPointer(rebasing: $0[Int(node.start)..<Int(node.end)]))
        }
    }

    /// Where the value stands in `document.bytes`: the token, or the text between the quotes of a string.
    public var range: Range<Int> { Int(node.start)..<Int(node.end) }

    /// Whether the text of the value is just `text`.
    public func isWritten(_ text: [UInt8]) -> Bool {
        let range = range
        guard range.count == text.count else { return false }
        return document.bytes.withUnsafeBytes { bytes in
            text.withUnsafeBytes { text in
                var i = 0
                while i + 8 <= text.count {
                    let ours = bytes.loadUnaligned(fromByteOffset: range.lowerBound + i, as: UInt64.self)
                    if ours != text.loadUnaligned(fromByteOffset: i, as: UInt64.self) { return false }
                    i += 8
                }
                while i < text.count {
                    if bytes[range.lowerBound + i] != text[i] { return false }
                    i += 1
                }
                return true
            }
        }
    }

    /// Whether this is the string `text`; nothing is allocated.
    public func equals(_ text: StaticString) -> Bool {
        let node = node
        guard node.kind == .string else { return false }
        return document.bytes.withUnsafeBufferPointer { JSONView.matches($0, node, text) }
    }

    /// The member called `name`, or nil when there is none or this is no object.
    public subscript(_ name: StaticString) -> JSONView? {
        guard node.kind == .object else { return nil }
        let found = document.bytes.withUnsafeBufferPointer { text -> Int? in
            let nodes = document.nodes
            var i = index + 1
            let end = Int(nodes[index].next)
            while i < end {
                if JSONView.matches(text, nodes[i], name) { return i + 1 }
                i = Int(nodes[i + 1].next)
            }
            return nil
        }
        return found.map { JSONView(document: document, index: $0) }
    }

    /// The same for a reader that knows the usual order: the search begins behind the member found last, and goes round.
    ///
    /// - Parameter cursor: 0 at first.
    public func member(_ name: StaticString, from cursor: inout Int) -> JSONView? {
        let nodes = document.nodes
        guard nodes[index].kind == .object else { return nil }
        let (first, end) = (index + 1, Int(nodes[index].next))
        let start = cursor == 0 ? first : cursor
        return document.bytes.withUnsafeBufferPointer { text -> JSONView? in
            var i = start
            while i < end {
                if JSONView.matches(text, nodes[i], name) {
                    cursor = Int(nodes[i + 1].next)
                    return JSONView(document: document, index: i + 1)
                }
                i = Int(nodes[i + 1].next)
            }
            i = first
            while i < start {
                if JSONView.matches(text, nodes[i], name) {
                    cursor = Int(nodes[i + 1].next)
                    return JSONView(document: document, index: i + 1)
                }
                i = Int(nodes[i + 1].next)
            }
            return nil
        }
    }

    /// The same for a name known only at run time.
    public func member(_ name: String) -> JSONView? {
        members.first { JSONObject.isSame($0.name, name) }?.value
    }

    /// Elements of an array in order; empty for anything else.
    public var elements: Elements {
        Elements(
            document: document,
            cursor: node.kind == .array ? index + 1 : 0,
            end: node.kind == .array ? Int(node.next) : 0
        )
    }

    /// Members of an object in order; empty for anything else.
    public var members: some Sequence<(name: String, value: JSONView)> {
        memberViews.lazy.map { (name: $0.name.string ?? "", value: $0.value) }
    }

    /// Members with their names still undecoded, for loops that must not allocate.
    public var memberViews: Members {
        Members(
            document: document,
            cursor: node.kind == .object ? index + 1 : 0,
            end: node.kind == .object ? Int(node.next) : 0
        )
    }

    /// The value as a tree of its own.
    public var value: JSONValue {
        switch node.kind {
        case .null: return .null
        case .true: return .bool(true)
        case .false: return .bool(false)
        case .integer: return .int(integer ?? 0)
        case .number: return .double(Double(String(decoding: document.bytes[range], as: UTF8.self)) ?? .nan)
        case .string: return .string(string ?? "")
        case .array:
            var list: [JSONValue] = []
            list.reserveCapacity(count)
            for element in elements { list.append(element.value) }
            return .array(list)
        case .object:
            var list: [(name: String, value: JSONValue)] = []
            list.reserveCapacity(count)
            for (name, value) in memberViews { list.append((name: name.string ?? "", value: value.value)) }
            return .object(JSONObject(members: list))
        }
    }

    private static func matches(_ text: UnsafeBufferPointer<UInt8>, _ node: JSONNode, _ name: StaticString) -> Bool {
        if node.escaped { return JSONObject.isSame(JSONText.decode(text, node), name.description) }
        let length = Int(node.end - node.start)
        guard length == name.utf8CodeUnitCount else { return false }
        for i in 0..<length where text[Int(node.start) + i] != name.utf8Start[i] { return false }
        return true
    }

    /// Elements of an array, in order.
    public struct Elements: Sequence, IteratorProtocol {
        let document: JSONDocument
        var cursor: Int
        let end: Int

        public mutating func next() -> JSONView? {
            guard cursor < end else { return nil }
            defer { cursor = Int(document.nodes[cursor].next) }
            return JSONView(document: document, index: cursor)
        }
    }

    /// Members of an object, in order, names undecoded.
    public struct Members: Sequence, IteratorProtocol {
        let document: JSONDocument
        var cursor: Int
        let end: Int

        public mutating func next() -> (name: JSONView, value: JSONView)? {
            guard cursor < end else { return nil }
            defer { cursor = Int(document.nodes[cursor + 1].next) }
            return (JSONView(document: document, index: cursor), JSONView(document: document, index: cursor + 1))
        }
    }
}
