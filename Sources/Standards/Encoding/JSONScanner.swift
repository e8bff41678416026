/// The recogniser behind `JSONDocument`: one pass, no recursion, a stack bounded by the depth limit.
struct JSONScanner {
    private let text: UnsafeBufferPointer<UInt8>
    private let limits: JSONDocument.Limits
    private var at = 0
    private(set) var firstNonInteger: Int?

    init(text: UnsafeBufferPointer<UInt8>, limits: JSONDocument.Limits) {
        self.text = text
        self.limits = limits
    }

    mutating func scanDocument(into nodes: inout JSONNodes) throws(EncodingError) {
        // The innermost open container. While one is open its `next` holds the container around it, so that no stack is needed.
        var container = Self.none
        var depth = 0
        let members = min(limits.members, Int(UInt16.max))
        skipSpace()
        while true {
            // A value is expected here.
            let opened = try scanValue(into: &nodes)
            if opened {
                guard depth < limits.depth else { throw fail(.limit, "nesting deeper than \(limits.depth)") }
                let index = nodes.count - 1
                skipSpace()
                if peek == (nodes[index].kind == .object ? Byte.closeBrace : Byte.closeBracket) {
                    at += 1
                    nodes[index].end = UInt32(at)
                    nodes[index].next = UInt32(nodes.count)
                } else {
                    nodes[index].next = container
                    container = UInt32(index)
                    depth += 1
                    if nodes[index].kind == .object { try scanName(of: index, into: &nodes) }
                    nodes[index].count = 1
                    continue
                }
            }
            // A value ended: close what closes, or step to the next element.
            while true {
                skipSpace()
                guard container != Self.none else {
                    guard at == text.count else { throw fail(.syntax, "text after the value") }
                    return
                }
                let index = Int(container)
                let isObject = nodes[index].kind == .object
                if peek == Byte.comma {
                    at += 1
                    skipSpace()
                    guard Int(nodes[index].count) < members else {
                        throw fail(.limit, "more than \(limits.members) members")
                    }
                    if isObject { try scanName(of: index, into: &nodes) }
                    nodes[index].count += 1
                    break
                }
                guard peek == (isObject ? Byte.closeBrace : Byte.closeBracket) else {
                    throw fail(.syntax, isObject ? "expected ',' or '}'" : "expected ',' or ']'")
                }
                at += 1
                container = nodes[index].next
                depth -= 1
                nodes[index].end = UInt32(at)
                nodes[index].next = UInt32(nodes.count)
            }
        }
    }

    /// No container: an index that no node has, since the text is shorter.
    private static let none = UInt32.max

    // MARK: Tokens

    /// - Returns: whether the value is a container that is now open.
    private mutating func scanValue(into nodes: inout JSONNodes) throws(EncodingError) -> Bool {
        let start = at
        switch peek {
        case Byte.quote:
            let escaped = try scanString()
            append(.string, start + 1, at - 1, escaped, into: &nodes)
        case Byte.openBrace:
            at += 1
            append(.object, start, at, false, into: &nodes)
            return true
        case Byte.openBracket:
            at += 1
            append(.array, start, at, false, into: &nodes)
            return true
        case UInt8(ascii: "t"):
            try scanWord("true")
            append(.true, start, at, false, into: &nodes)
        case UInt8(ascii: "f"):
            try scanWord("false")
            append(.false, start, at, false, into: &nodes)
        case UInt8(ascii: "n"):
            try scanWord("null")
            append(.null, start, at, false, into: &nodes)
        default:
            let integer = try scanNumber()
            if !integer && firstNonInteger == nil { firstNonInteger = start }
            append(integer ? .integer : .number, start, at, false, into: &nodes)
        }
        return false
    }

    /// Scans `"name":` and checks that `object` has no such member yet.
    private mutating func scanName(of object: Int, into nodes: inout JSONNodes) throws(EncodingError) {
        guard peek == Byte.quote else { throw fail(.syntax, "expected a member name") }
        let start = at + 1
        let escaped = try scanString()
        append(.string, start, at - 1, escaped, into: &nodes)
        let new = nodes.count - 1
        var earlier = object + 1
        while earlier < new {
            if sameName(nodes[earlier], nodes[new]) {
                throw EncodingError(.duplicateKey, at: start, "a member is named twice")
            }
            earlier = Int(nodes[earlier + 1].next)
        }
        skipSpace()
        guard peek == Byte.colon else { throw fail(.syntax, "expected ':'") }
        at += 1
        skipSpace()
    }

    private func sameName(_ a: JSONNode, _ b: JSONNode) -> Bool {
        if a.escaped || b.escaped {
            return JSONObject.isSame(JSONText.decode(text, a), JSONText.decode(text, b))
        }
        guard a.end - a.start == b.end - b.start else { return false }
        for i in 0..<Int(a.end - a.start) where text[Int(a.start) + i] != text[Int(b.start) + i] { return false }
        return true
    }

    /// Leaves `at` one past the closing quote. - Returns: whether the string holds an escape.
    private mutating func scanString() throws(EncodingError) -> Bool {
        at += 1
        var escaped = false
        while true {
            skipPlain()
            guard at < text.count else { throw fail(.syntax, "unterminated string") }
            switch text[at] {
            case Byte.quote:
                at += 1
                return escaped
            case Byte.backslash:
                escaped = true
                try scanEscape()
            case 0x80...:
                guard let length = UTF8Check.sequenceLength(text, at: at) else {
                    throw fail(.notUTF8, "the text is not UTF-8")
                }
                at += length
            default: throw fail(.syntax, "a control character in a string")
            }
        }
    }

    /// Advances over bytes that need no attention: ASCII but quote, backslash and controls. Eight at a time.
    ///
    /// In each lane of the word the top bit ends up set for a byte that needs attention. A borrow can set it in a later lane too,
    /// never in an earlier one, so the lowest set bit tells the truth.
    @inline(__always)
    private mutating func skipPlain() {
        let base = UnsafeRawPointer(text.baseAddress!)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones &* 0x80
        while at + 8 <= text.count {
            let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let quotes = (word ^ (ones &* UInt64(Byte.quote))) &- ones
            let backslashes = (word ^ (ones &* UInt64(Byte.backslash))) &- ones
            let controls = word &- ones &* 0x20
            let special = (quotes | backslashes | controls | word) & tops
            if special != 0 {
                at += special.trailingZeroBitCount / 8
                return
            }
            at += 8
        }
        while at < text.count {
            let byte = text[at]
            if byte == Byte.quote || byte == Byte.backslash || byte < 0x20 || byte >= 0x80 { return }
            at += 1
        }
    }

    private mutating func scanEscape() throws(EncodingError) {
        guard at + 1 < text.count else { throw fail(.syntax, "unterminated escape") }
        switch text[at + 1] {
        case Byte.quote, Byte.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            guard let unit = JSONText.hex4(text, at: at + 2) else { throw fail(.syntax, "a malformed \\u escape") }
            at += 6
            if unit & 0xfc00 == 0xd800 {
                guard at + 1 < text.count, text[at] == Byte.backslash, text[at + 1] == UInt8(ascii: "u"),
                    let low = JSONText.hex4(text, at: at + 2), low & 0xfc00 == 0xdc00
                else { throw fail(.syntax, "a lone surrogate") }
                at += 6
            } else if unit & 0xfc00 == 0xdc00 {
                throw fail(.syntax, "a lone surrogate")
            }
        default: throw fail(.syntax, "an unknown escape")
        }
    }

    /// - Returns: whether the number is an integer that fits 64 bits.
    private mutating func scanNumber() throws(EncodingError) -> Bool {
        let start = at
        let negative = peek == UInt8(ascii: "-")
        if negative { at += 1 }
        let first = at
        scanDigits()
        let digits = at - first
        guard digits > 0 else { throw fail(.syntax, "expected a value") }
        guard digits == 1 || text[first] != UInt8(ascii: "0") else {
            throw fail(.syntax, "a number with a leading zero")
        }
        var integer = true
        if peek == UInt8(ascii: ".") {
            integer = false
            at += 1
            let fraction = at
            scanDigits()
            guard at > fraction else { throw fail(.syntax, "a number without digits after its point") }
        }
        if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
            integer = false
            at += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { at += 1 }
            let exponent = at
            scanDigits()
            guard at > exponent else { throw fail(.syntax, "a number without digits in its exponent") }
        }
        return integer && (digits < 19 || JSONText.integer(text, start, at) != nil)
    }

    private mutating func scanDigits() {
        while at < text.count, text[at] &- 0x30 < 10 { at += 1 }
    }

    private mutating func scanWord(_ word: StaticString) throws(EncodingError) {
        let length = word.utf8CodeUnitCount
        guard at + length <= text.count else { throw fail(.syntax, "expected a value") }
        for i in 0..<length where text[at + i] != word.utf8Start[i] { throw fail(.syntax, "expected a value") }
        at += length
    }

    private mutating func skipSpace() {
        while at < text.count {
            switch text[at] {
            case 0x20, 0x0a, 0x0d, 0x09: at += 1
            default: return
            }
        }
    }

    /// The byte under the cursor; NUL, which begins no token, at the end.
    private var peek: UInt8 { at < text.count ? text[at] : 0 }

    private func append(
        _ kind: JSONNode.Kind,
        _ start: Int,
        _ end: Int,
        _ escaped: Bool,
        into nodes: inout JSONNodes
    ) {
        nodes.append(
            JSONNode(
                start: UInt32(start),
                end: UInt32(end),
                next: UInt32(nodes.count + 1),
                count: 0,
                kind: kind,
                escaped: escaped
            )
        )
    }

    private func fail(_ code: EncodingError.Code, _ reason: String) -> EncodingError {
        EncodingError(code, at: at, reason)
    }

    private enum Byte {
        static let quote = UInt8(ascii: "\"")
        static let backslash = UInt8(ascii: "\\")
        static let comma = UInt8(ascii: ",")
        static let colon = UInt8(ascii: ":")
        static let openBrace = UInt8(ascii: "{")
        static let closeBrace = UInt8(ascii: "}")
        static let openBracket = UInt8(ascii: "[")
        static let closeBracket = UInt8(ascii: "]")
    }
}
