/// Reads any text that RFC 8259 allows, for documents of others that `JSONDocument` is too strict for.
///
/// I-JSON (RFC 7493) refuses an object that names a member twice; here the last one stands, as in ECMAScript. All else is as strict: UTF-8
/// without lone surrogates, no number beyond what a double holds, bounded size, depth and members. No signature is ever checked over what
/// comes out of here: two readers may see two values in one text.
struct JSONReader {
    private let text: UnsafeBufferPointer<UInt8>
    private let limits: JSONDocument.Limits
    private var at = 0

    init(_ text: UnsafeBufferPointer<UInt8>, limits: JSONDocument.Limits) {
        self.text = text
        self.limits = limits
    }

    /// A container that is open, and what it holds so far.
    private enum Open {
        case array([JSONValue])
        /// With the place of each name, and the name whose value comes next. Names are told apart by their bytes.
        case object([(name: String, value: JSONValue)], index: [[UInt8]: Int], next: String)

        var count: Int {
            switch self {
            case .array(let elements): elements.count
            case .object(let members, _, _): members.count
            }
        }
    }

    mutating func document() throws(EncodingError) -> JSONValue {
        var stack: [Open] = []
        skipSpace()
        while true {
            var value: JSONValue
            if let opened = try openContainer() {
                guard stack.count < limits.depth else { throw fail(.limit, "nesting deeper than \(limits.depth)") }
                switch opened {
                case .array where !take("]"), .object where !take("}"):
                    stack.append(opened)
                    if case .object = opened { try readName(into: &stack[stack.count - 1]) }
                    continue
                case .array: value = .array([])
                case .object: value = .object([:])
                }
            } else {
                value = try scalar()
            }
            // A value ended: it joins its container, which may end with it.
            while true {
                skipSpace()
                guard !stack.isEmpty else {
                    guard at == text.count else { throw fail(.syntax, "text after the value") }
                    return value
                }
                guard stack[stack.count - 1].count < limits.members else {
                    throw fail(.limit, "more than \(limits.members) members")
                }
                add(value, to: &stack[stack.count - 1])
                if take(",") {
                    skipSpace()
                    if case .object = stack[stack.count - 1] { try readName(into: &stack[stack.count - 1]) }
                    break
                }
                switch stack[stack.count - 1] {
                case .array(let elements):
                    guard take("]") else { throw fail(.syntax, "expected ',' or ']'") }
                    value = .array(elements)
                case .object(let list, _, _):
                    guard take("}") else { throw fail(.syntax, "expected ',' or '}'") }
                    value = .object(JSONObject(members: list))
                }
                stack.removeLast()
            }
        }
    }

    private mutating func openContainer() throws(EncodingError) -> Open? {
        if take("[") {
            skipSpace()
            return .array([])
        }
        if take("{") {
            skipSpace()
            return .object([], index: [:], next: "")
        }
        return nil
    }

    private func add(_ value: JSONValue, to container: inout Open) {
        switch container {
        case .array(var elements):
            container = .array([])
            elements.append(value)
            container = .array(elements)
        case .object(var members, var index, let name):
            // Emptied first, so that the arrays are changed in place.
            container = .array([])
            let key = Array(name.utf8)
            if let earlier = index[key] {
                members[earlier].value = value
            } else {
                index[key] = members.count
                members.append((name: name, value: value))
            }
            container = .object(members, index: index, next: "")
        }
    }

    private mutating func readName(into container: inout Open) throws(EncodingError) {
        guard at < text.count, text[at] == UInt8(ascii: "\"") else { throw fail(.syntax, "expected a member name") }
        let name = try string()
        skipSpace()
        guard take(":") else { throw fail(.syntax, "expected ':'") }
        skipSpace()
        if case .object(let members, let index, _) = container {
            container = .object(members, index: index, next: name)
        }
    }

    // MARK: Tokens

    private mutating func scalar() throws(EncodingError) -> JSONValue {
        guard at < text.count else { throw fail(.syntax, "expected a value") }
        switch text[at] {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t") where word("true"): return .bool(true)
        case UInt8(ascii: "f") where word("false"): return .bool(false)
        case UInt8(ascii: "n") where word("null"): return .null
        default: return try number()
        }
    }

    private mutating func word(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard at + length <= text.count else { return false }
        for i in 0..<length where text[at + i] != word.utf8Start[i] { return false }
        at += length
        return true
    }

    private mutating func number() throws(EncodingError) -> JSONValue {
        let start = at
        _ = take("-")
        let first = at
        let digits = skipDigits()
        guard digits > 0 else { throw fail(.syntax, "expected a value") }
        guard digits == 1 || text[first] != UInt8(ascii: "0") else {
            throw fail(.syntax, "a number with a leading zero")
        }
        var integer = true
        if take(".") {
            integer = false
            guard skipDigits() > 0 else { throw fail(.syntax, "a number without digits after its point") }
        }
        if take("e") || take("E") {
            integer = false
            _ = take("+") || take("-")
            guard skipDigits() > 0 else { throw fail(.syntax, "a number without digits in its exponent") }
        }
        if integer, let value = JSONText.integer(text, start, at) { return .int(value) }
        let token = String(decoding: UnsafeBufferPointer(rebasing: text[start..<at]), as: UTF8.self)
        guard let value = Double(token), value.isFinite else {
            throw EncodingError(.range, at: start, "a number beyond what a double holds")
        }
        return .double(value)
    }

    private mutating func skipDigits() -> Int {
        let start = at
        while at < text.count, text[at] &- 0x30 < 10 { at += 1 }
        return at - start
    }

    private mutating func string() throws(EncodingError) -> String {
        at += 1
        let start = at
        var escaped = false
        while true {
            guard at < text.count else { throw fail(.syntax, "unterminated string") }
            switch text[at] {
            case UInt8(ascii: "\""):
                let node = JSONNode(
                    start: UInt32(start),
                    end: UInt32(at),
                    next: 0,
                    count: 0,
                    kind: .string,
                    escaped: escaped
                )
                at += 1
                return JSONText.decode(text, node)
            case UInt8(ascii: "\\"):
                escaped = true
                try skipEscape()
            case 0..<0x20: throw fail(.syntax, "a control character in a string")
            case 0x80...:
                guard let length = UTF8Check.sequenceLength(text, at: at) else {
                    throw fail(.notUTF8, "the text is not UTF-8")
                }
                at += length
            default: at += 1
            }
        }
    }

    private mutating func skipEscape() throws(EncodingError) {
        guard at + 1 < text.count else { throw fail(.syntax, "unterminated escape") }
        switch text[at + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at += 2
        case UInt8(ascii: "u"):
            guard let unit = JSONText.hex4(text, at: at + 2) else { throw fail(.syntax, "a malformed \\u escape") }
            at += 6
            guard unit & 0xf800 == 0xd800 else { return }
            guard unit < 0xdc00, word("\\u"), let low = JSONText.hex4(text, at: at), low & 0xfc00 == 0xdc00 else {
                throw fail(.syntax, "a lone surrogate")
            }
            at += 4
        default: throw fail(.syntax, "an unknown escape")
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard at < text.count, text[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while at < text.count {
            switch text[at] {
            case 0x20, 0x0a, 0x0d, 0x09: at += 1
            default: return
            }
        }
    }

    private func fail(_ code: EncodingError.Code, _ reason: String) -> EncodingError {
        EncodingError(code, at: at, reason)
    }
}

extension JSONValue {
    /// Any text of RFC 8259, a member named twice included: the last one stands. Not for anything that is signed or routed by.
    ///
    /// - Throws: `EncodingError`; `.range` for a number that no double comes near to.
    public init(
        tolerating bytes: [UInt8],
        limits: JSONDocument.Limits = JSONDocument.Limits()
    ) throws(EncodingError) {
        guard bytes.count <= limits.bytes else {
            throw EncodingError(.limit, "JSON text of \(bytes.count) bytes exceeds the limit of \(limits.bytes)")
        }
        self = try bytes.withUnsafeBufferPointer { (text) throws(EncodingError) -> JSONValue in
            var reader = JSONReader(text, limits: limits)
            return try reader.document()
        }
    }
}
