/// The recogniser behind `JSONDocument`: one pass, no recursion, a stack bounded by the depth limit.
///
/// A scanner lives in one call of `scan`, where everything that is met in ordinary text is inlined, so that its few words stay in
/// registers. What is rare (escapes, characters beyond ASCII, fractions, faults) is called by value, which keeps them there.
struct JSONScanner {
    private let text: UnsafeBufferPointer<UInt8>
    private let base: UnsafePointer<UInt8>
    private let end: Int
    private var at = 0
    private var nodes: JSONNodes
    private var firstNonInteger: Int?

    /// Checks and indexes `text`.
    ///
    /// - Returns: the index, which is the caller's to free, and where the first number stands that is no integer of 64 bits.
    static func scan(
        _ text: UnsafeBufferPointer<UInt8>,
        _ limits: JSONDocument.Limits
    ) throws(EncodingError) -> (nodes: JSONNodes, firstNonInteger: Int?) {
        guard let base = text.baseAddress, text.count > 0 else {
            throw EncodingError(.syntax, at: 0, "expected a value")
        }
        var scanner = JSONScanner(text, base)
        do {
            try scanner.scanDocument(limits)
        } catch {
            scanner.nodes.deallocate()
            throw error
        }
        return (scanner.nodes, scanner.firstNonInteger)
    }

    private init(_ text: UnsafeBufferPointer<UInt8>, _ base: UnsafePointer<UInt8>) {
        self.text = text
        self.base = base
        self.end = text.count
        self.nodes = JSONNodes(capacity: text.count / 12 + 8)
    }

    @inline(__always)
    private mutating func scanDocument(_ limits: JSONDocument.Limits) throws(EncodingError) {
        // The innermost open container. While one is open its `next` holds the container around it, so that no stack is needed, and
        // its `end` the filter of its names.
        var container = Self.none
        var isObject = false
        var depth = 0
        let members = min(limits.members, Int(UInt16.max))
        skipSpace()
        while true {
            // A value is expected here.
            let start = at
            let byte = peek
            if byte == Byte.quote {
                let escaped = try scanString()
                append(.string, start + 1, at - 1, escaped)
            } else if byte == Byte.openBrace || byte == Byte.openBracket {
                at += 1
                let opensObject = byte == Byte.openBrace
                let index = nodes.count
                append(opensObject ? .object : .array, start, 0, false)
                guard depth < limits.depth else { throw fail(.limit, "nesting deeper than \(limits.depth)") }
                skipSpace()
                if peek == (opensObject ? Byte.closeBrace : Byte.closeBracket) {
                    at += 1
                    nodes[index].end = UInt32(truncatingIfNeeded: at)
                    nodes[index].next = UInt32(truncatingIfNeeded: nodes.count)
                } else {
                    nodes[index].next = container
                    container = UInt32(truncatingIfNeeded: index)
                    isObject = opensObject
                    depth += 1
                    if opensObject { try scanName(of: index) }
                    nodes[index].count = 1
                    continue
                }
            } else {
                try scanPlain(byte)
            }
            // A value ended: close what closes, or step to the next element.
            while true {
                skipSpace()
                guard container != Self.none else {
                    guard at == end else { throw fail(.syntax, "text after the value") }
                    return
                }
                let index = Int(container)
                if peek == Byte.comma {
                    at += 1
                    skipSpace()
                    let count = nodes[index].count
                    guard Int(count) < members else { throw fail(.limit, "more than \(members) members") }
                    if isObject { try scanName(of: index) }
                    nodes[index].count = count &+ 1
                    break
                }
                guard peek == (isObject ? Byte.closeBrace : Byte.closeBracket) else {
                    throw fail(.syntax, isObject ? "expected ',' or '}'" : "expected ',' or ']'")
                }
                at += 1
                container = nodes[index].next
                depth -= 1
                nodes[index].end = UInt32(truncatingIfNeeded: at)
                nodes[index].next = UInt32(truncatingIfNeeded: nodes.count)
                isObject = container != Self.none && nodes[Int(container)].kind == .object
            }
        }
    }

    /// No container: an index that no node has, since the text is shorter.
    private static let none = UInt32.max

    // MARK: Names

    /// Scans `"name":` and checks that `object` has no such member yet.
    @inline(__always)
    private mutating func scanName(of object: Int) throws(EncodingError) {
        guard peek == Byte.quote else { throw fail(.syntax, "expected a member name") }
        let start = at + 1
        let escaped = try scanString()
        let new = nodes.count
        append(.string, start, at - 1, escaped)
        // A name whose bit is not set yet differs from all before it. One with an escape can equal any, and sets every bit.
        let seen = nodes[object].end
        let bit = escaped ? UInt32.max : filterBit(start, at - 1)
        nodes[object].end = seen | bit
        if seen & bit != 0, isNamedTwice(object, new) {
            throw EncodingError(.duplicateKey, at: start, "a member is named twice")
        }
        skipSpace()
        guard peek == Byte.colon else { throw fail(.syntax, "expected ':'") }
        at += 1
        skipSpace()
    }

    /// One of 32 bits by length, first and last byte.
    @inline(__always)
    private func filterBit(_ start: Int, _ end: Int) -> UInt32 {
        guard end > start else { return 1 }
        let hash = UInt32(truncatingIfNeeded: end - start) &+ UInt32(base[start]) &* 3 &+ UInt32(base[end - 1]) &* 7
        return 1 << (hash & 31)
    }

    @inline(never)
    private func isNamedTwice(_ object: Int, _ new: Int) -> Bool {
        var earlier = object + 1
        while earlier < new {
            if sameName(nodes[earlier], nodes[new]) { return true }
            earlier = Int(nodes[earlier + 1].next)
        }
        return false
    }

    private func sameName(_ a: JSONNode, _ b: JSONNode) -> Bool {
        if a.escaped || b.escaped {
            return JSONObject.isSame(JSONText.decode(text, a), JSONText.decode(text, b))
        }
        guard a.end - a.start == b.end - b.start else { return false }
        for i in 0..<Int(a.end - a.start) where text[Int(a.start) + i] != text[Int(b.start) + i] { return false }
        return true
    }

    // MARK: Strings

    /// Leaves `at` one past the closing quote. - Returns: whether the string holds an escape.
    @inline(__always)
    private mutating func scanString() throws(EncodingError) -> Bool {
        at = plainEnd(from: at + 1)
        if at < end, base[at] == Byte.quote {
            at += 1
            return false
        }
        let rest = try stringEnd(from: at)
        at = rest.end
        return rest.escaped
    }

    /// The end of a string that holds more than plain ASCII, one past its closing quote.
    @inline(never)
    private func stringEnd(from start: Int) throws(EncodingError) -> (end: Int, escaped: Bool) {
        var at = start
        var escaped = false
        while true {
            at = plainEnd(from: at)
            guard at < end else { throw EncodingError(.syntax, at: at, "unterminated string") }
            switch base[at] {
            case Byte.quote: return (at + 1, escaped)
            case Byte.backslash:
                escaped = true
                at = try escapeEnd(from: at)
            case 0x80...:
                guard let length = UTF8Check.sequenceLength(text, at: at) else {
                    throw EncodingError(.notUTF8, at: at, "the text is not UTF-8")
                }
                at += length
            default: throw EncodingError(.syntax, at: at, "a control character in a string")
            }
        }
    }

    /// The first byte from `start` on that needs attention: quote, backslash, a control or beyond ASCII. Eight at a time.
    ///
    /// In each lane of the word the top bit ends up set for a byte that needs attention. A borrow can set it in a later lane too,
    /// never in an earlier one, so the lowest set bit tells the truth.
    @inline(__always)
    private func plainEnd(from start: Int) -> Int {
        let raw = UnsafeRawPointer(base)
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones &* 0x80
        var at = start
        while at &+ 8 <= end {
            let word = UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let quotes = (word ^ (ones &* UInt64(Byte.quote))) &- ones
            let backslashes = (word ^ (ones &* UInt64(Byte.backslash))) &- ones
            let controls = word &- ones &* 0x20
            let special = (quotes | backslashes | controls | word) & tops
            if special != 0 { return at &+ special.trailingZeroBitCount / 8 }
            at = at &+ 8
        }
        while at < end {
            let byte = base[at]
            if byte == Byte.quote || byte == Byte.backslash || byte < 0x20 || byte >= 0x80 { break }
            at = at &+ 1
        }
        return at
    }

    private func escapeEnd(from start: Int) throws(EncodingError) -> Int {
        guard start + 1 < end else { throw EncodingError(.syntax, at: start, "unterminated escape") }
        switch text[start + 1] {
        case Byte.quote, Byte.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            return start + 2
        case UInt8(ascii: "u"):
            guard let unit = JSONText.hex4(text, at: start + 2) else {
                throw EncodingError(.syntax, at: start, "a malformed \\u escape")
            }
            let next = start + 6
            if unit & 0xfc00 == 0xd800 {
                guard next + 1 < end, text[next] == Byte.backslash, text[next + 1] == UInt8(ascii: "u"),
                    let low = JSONText.hex4(text, at: next + 2), low & 0xfc00 == 0xdc00
                else { throw EncodingError(.syntax, at: next, "a lone surrogate") }
                return next + 6
            }
            guard unit & 0xfc00 != 0xdc00 else { throw EncodingError(.syntax, at: next, "a lone surrogate") }
            return next
        default: throw EncodingError(.syntax, at: start, "an unknown escape")
        }
    }

    // MARK: Numbers and words

    /// A number, `true`, `false` or `null`.
    @inline(__always)
    private mutating func scanPlain(_ first: UInt8) throws(EncodingError) {
        let start = at
        // An integer of few digits, as nearly every number is.
        if first &- 0x31 < 9 {
            var i = at &+ 1
            while i < end, base[i] &- 0x30 < 10 { i = i &+ 1 }
            if i &- start <= 18, i == end || !isFractionMark(base[i]) {
                at = i
                append(.integer, start, at, false)
                return
            }
        }
        let token = try plainToken(first)
        at = token.end
        append(token.kind, start, at, false)
        if token.kind == .number, firstNonInteger == nil { firstNonInteger = start }
    }

    @inline(__always)
    private func isFractionMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
    }

    @inline(never)
    private func plainToken(_ first: UInt8) throws(EncodingError) -> (end: Int, kind: JSONNode.Kind) {
        switch first {
        case UInt8(ascii: "t"): (try wordEnd("true"), .true)
        case UInt8(ascii: "f"): (try wordEnd("false"), .false)
        case UInt8(ascii: "n"): (try wordEnd("null"), .null)
        default: try number()
        }
    }

    private func wordEnd(_ word: StaticString) throws(EncodingError) -> Int {
        let length = word.utf8CodeUnitCount
        guard at + length <= end else { throw fail(.syntax, "expected a value") }
        for i in 0..<length where text[at + i] != word.utf8Start[i] { throw fail(.syntax, "expected a value") }
        return at + length
    }

    /// An integer is one that fits 64 bits.
    private func number() throws(EncodingError) -> (end: Int, kind: JSONNode.Kind) {
        let start = at
        let first = at < end && text[at] == UInt8(ascii: "-") ? at + 1 : at
        var i = digitsEnd(from: first)
        let digits = i - first
        guard digits > 0 else { throw EncodingError(.syntax, at: i, "expected a value") }
        guard digits == 1 || text[first] != UInt8(ascii: "0") else {
            throw EncodingError(.syntax, at: i, "a number with a leading zero")
        }
        var isInteger = true
        if i < end, text[i] == UInt8(ascii: ".") {
            isInteger = false
            let fraction = i + 1
            i = digitsEnd(from: fraction)
            guard i > fraction else { throw EncodingError(.syntax, at: i, "a number without digits after its point") }
        }
        if i < end, text[i] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            i += 1
            if i < end, text[i] == UInt8(ascii: "+") || text[i] == UInt8(ascii: "-") { i += 1 }
            let exponent = i
            i = digitsEnd(from: exponent)
            guard i > exponent else { throw EncodingError(.syntax, at: i, "a number without digits in its exponent") }
        }
        isInteger = isInteger && (digits < 19 || JSONText.integer(text, start, i) != nil)
        return (i, isInteger ? .integer : .number)
    }

    private func digitsEnd(from start: Int) -> Int {
        var i = start
        while i < end, text[i] &- 0x30 < 10 { i += 1 }
        return i
    }

    // MARK: Bytes

    @inline(__always)
    private mutating func skipSpace() {
        while at < end, base[at] <= 0x20 {
            switch base[at] {
            case 0x20, 0x0a, 0x0d, 0x09: at = at &+ 1
            default: return
            }
        }
    }

    /// The byte under the cursor; NUL, which begins no token, at the end.
    @inline(__always)
    private var peek: UInt8 { at < end ? base[at] : 0 }

    @inline(__always)
    private mutating func append(_ kind: JSONNode.Kind, _ start: Int, _ end: Int, _ escaped: Bool) {
        // Offsets fit 32 bits: `JSONDocument.Limits` sees to that.
        nodes.append(
            JSONNode(
                start: UInt32(truncatingIfNeeded: start),
                end: UInt32(truncatingIfNeeded: end),
                next: UInt32(truncatingIfNeeded: nodes.count &+ 1),
                count: 0,
                kind: kind,
                escaped: escaped
            )
        )
    }

    @inline(never)
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
