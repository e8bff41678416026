/// Reads CBOR items from bytes that nobody has checked.
///
/// Bounded in size, depth and number of items, so that memory and time are linear in the input; strict in what RFC 8949 §5.3.1 calls
/// validity: text is UTF-8 and no map names a key twice. Tags are kept and not interpreted.
///
/// ```
///   7 6 5   4 3 2 1 0
/// ┌───────┬───────────┐
/// │ major │ 0–23 the argument, 24–27 it follows in 1, 2, 4, 8 bytes, 31 indefinite │ argument │ content
/// └───────┴───────────┘
/// ```
public struct CBORReader: Sendable {
    /// Which encodings of a value are read.
    public enum Mode: Hashable, Sendable {
        /// Every valid one: long arguments, indefinite lengths, keys in any order.
        case valid
        /// Only the one of RFC 8949 §4.2, so that bytes may stand for the value, as under a signature.
        case deterministic
    }

    public struct Limits: Hashable, Sendable {
        public var bytes: Int
        public var depth: Int
        /// Data items in all, tags and chunks included.
        public var items: Int

        /// - Parameter depth: at most 256: the reader uses the stack.
        public init(bytes: Int = 1 << 20, depth: Int = 32, items: Int = 1 << 16) {
            self.bytes = bytes
            self.depth = min(depth, 256)
            self.items = items
        }
    }

    let bytes: [UInt8]
    let mode: Mode
    let limits: Limits
    /// Offset of the next byte.
    public internal(set) var offset = 0
    private var items = 0

    /// - Throws: `.limit` when there are more bytes than allowed.
    public init(
        _ bytes: [UInt8],
        as mode: Mode = .deterministic,
        limits: Limits = Limits()
    ) throws(EncodingError) {
        guard bytes.count <= limits.bytes else {
            throw EncodingError(.limit, "CBOR of \(bytes.count) bytes exceeds the limit of \(limits.bytes)")
        }
        self.bytes = bytes
        self.mode = mode
        self.limits = limits
    }

    public var isAtEnd: Bool { offset == bytes.count }

    /// The next item of a sequence (RFC 8742).
    public mutating func next() throws(EncodingError) -> CBORValue { try value(depth: 0) }

    private mutating func value(depth: Int) throws(EncodingError) -> CBORValue {
        let head = try readHead()
        switch head.type {
        case .unsigned: return .unsigned(head.argument)
        case .negative: return .negative(head.argument)
        case .bytes: return .bytes(try string(head))
        case .text: return .text(try text(head))
        case .array: return .array(try array(head, depth: depth))
        case .map: return .map(try map(head, depth: depth))
        case .tag:
            guard depth < limits.depth else { throw tooDeep }
            let content = try value(depth: depth + 1)
            if mode == .deterministic { try checkBignum(tag: head.argument, content, at: head.offset) }
            return .tagged(head.argument, content)
        case .simple: return try simple(head)
        }
    }

    // MARK: Heads

    mutating func readHead() throws(EncodingError) -> CBORHead {
        let start = offset
        items += 1
        guard items <= limits.items else { throw fail(.limit, "more than \(limits.items) items") }
        guard start < bytes.count else { throw fail(.syntax, "the input ends where an item should begin") }
        let initial = bytes[start]
        guard let type = CBORHead.MajorType(rawValue: initial >> 5) else { throw fail(.syntax, "no major type") }
        offset += 1
        let info = initial & 31
        var head = CBORHead(type: type, info: info, argument: UInt64(info), offset: start)
        switch info {
        case 0..<24: break
        case 24...27:
            let width = 1 << Int(info - 24)
            guard bytes.count - offset >= width else { throw fail(.syntax, "the input ends in an argument") }
            head.argument = bytes[offset..<offset + width].reduce(0) { $0 << 8 | UInt64($1) }
            offset += width
            // RFC 8949 §4.2.1: preferred serialization. Floats have a rule of their own.
            if mode == .deterministic, type != .simple, !head.isShortest {
                throw EncodingError(.notDeterministic, at: start, "an argument is longer than it needs to be")
            }
        case 31:
            switch type {
            case .bytes, .text, .array, .map: break
            case .simple: throw EncodingError(.syntax, at: start, "a break where an item should begin")
            default: throw EncodingError(.syntax, at: start, "an indefinite length where none can be")
            }
            if mode == .deterministic {
                throw EncodingError(.notDeterministic, at: start, "an item of indefinite length")
            }
        default: throw EncodingError(.syntax, at: start, "reserved additional information")
        }
        return head
    }

    /// Consumes a break, when one is next.
    mutating func takeBreak() throws(EncodingError) -> Bool {
        guard offset < bytes.count else { throw fail(.syntax, "an item of indefinite length does not end") }
        guard bytes[offset] == 0xff else { return false }
        offset += 1
        return true
    }

    // MARK: Strings

    /// The bytes of a string, chunks joined.
    private mutating func string(_ head: CBORHead) throws(EncodingError) -> [UInt8] {
        guard head.isIndefinite else { return Array(bytes[try range(head)]) }
        var out: [UInt8] = []
        while try !takeBreak() { out += bytes[try range(chunk(of: head))] }
        return out
    }

    private mutating func text(_ head: CBORHead) throws(EncodingError) -> String {
        guard head.isIndefinite else { return try text(in: range(head)) }
        var out = ""
        // Each chunk is text by itself (RFC 8949 §3.2.3).
        while try !takeBreak() { out += try text(in: range(chunk(of: head))) }
        return out
    }

    mutating func chunk(of head: CBORHead) throws(EncodingError) -> CBORHead {
        let chunk = try readHead()
        guard chunk.type == head.type, !chunk.isIndefinite else {
            throw EncodingError(.syntax, at: chunk.offset, "a chunk of another type, or of indefinite length")
        }
        return chunk
    }

    /// Where the content of a string stands, passed over.
    mutating func range(_ head: CBORHead) throws(EncodingError) -> Range<Int> {
        guard let length = Int(exactly: head.argument), length <= bytes.count - offset else {
            throw EncodingError(.syntax, at: head.offset, "a string is longer than the input")
        }
        defer { offset += length }
        return offset..<offset + length
    }

    func text(in range: Range<Int>) throws(EncodingError) -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw EncodingError(.notUTF8, at: range.lowerBound, "a text string is not UTF-8")
        }
        return text
    }

    // MARK: Containers

    private mutating func array(_ head: CBORHead, depth: Int) throws(EncodingError) -> [CBORValue] {
        guard depth < limits.depth else { throw tooDeep }
        var elements: [CBORValue] = []
        if head.isIndefinite {
            while try !takeBreak() { elements.append(try value(depth: depth + 1)) }
            return elements
        }
        let count = try self.count(head, bytesEach: 1)
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try value(depth: depth + 1)) }
        return elements
    }

    private mutating func map(_ head: CBORHead, depth: Int) throws(EncodingError) -> CBORMap {
        guard depth < limits.depth else { throw tooDeep }
        var entries: [(key: CBORValue, value: CBORValue)] = []
        var seen = Set<CBORValue>()
        var previous: Range<Int>?
        var remaining = head.isIndefinite ? 0 : try count(head, bytesEach: 2)
        entries.reserveCapacity(remaining)
        while true {
            if head.isIndefinite {
                if try takeBreak() { break }
            } else {
                if remaining == 0 { break }
                remaining -= 1
            }
            let start = offset
            let key = try value(depth: depth + 1)
            switch mode {
            case .deterministic:
                try checkOrder(previous, start..<offset)
                previous = start..<offset
            case .valid:
                // A small map is searched, a large one indexed.
                if entries.count == Self.indexed { seen = Set(entries.map(\.key)) }
                let repeated =
                    entries.count < Self.indexed
                    ? entries.contains { $0.key == key } : !seen.insert(key).inserted
                if repeated { throw EncodingError(.duplicateKey, at: start, "a map names a key twice") }
            }
            entries.append((key: key, value: try value(depth: depth + 1)))
        }
        return CBORMap(distinct: entries)
    }

    /// From this many entries a map is searched by hash.
    private static let indexed = 8

    // RFC 8949 §4.2.1: keys in the bytewise order of their encodings. Equal ones are a duplicate.
    private func checkOrder(_ previous: Range<Int>?, _ key: Range<Int>) throws(EncodingError) {
        guard let previous, !bytes[previous].lexicographicallyPrecedes(bytes[key]) else { return }
        if bytes[previous].elementsEqual(bytes[key]) {
            throw EncodingError(.duplicateKey, at: key.lowerBound, "a map names a key twice")
        }
        throw EncodingError(.notDeterministic, at: key.lowerBound, "the keys of a map are out of order")
    }

    /// The number of items, which the input must be long enough to hold: nothing is reserved on the word of a head alone.
    func count(_ head: CBORHead, bytesEach: Int) throws(EncodingError) -> Int {
        guard let count = Int(exactly: head.argument), count <= (bytes.count - offset) / bytesEach else {
            throw EncodingError(.syntax, at: head.offset, "a container holds more than the input")
        }
        guard count <= limits.items else { throw fail(.limit, "more than \(limits.items) items") }
        return count
    }

    // MARK: Major type 7

    func simple(_ head: CBORHead) throws(EncodingError) -> CBORValue {
        let value: Double
        switch head.info {
        case 0..<24: return .simple(head.info)
        case 24:
            // RFC 8949 §3.3: below 32 the two-byte form is not well-formed.
            guard head.argument >= 32 else {
                throw EncodingError(.syntax, at: head.offset, "a simple value in two bytes that has one")
            }
            return .simple(UInt8(head.argument))
        case 25: value = CBORHalf.value(UInt16(head.argument))
        case 26: value = Double(Float(bitPattern: UInt32(head.argument)))
        default: value = Double(bitPattern: head.argument)
        }
        if mode == .deterministic {
            var writer = CBORWriter()
            writer.float(value)
            guard writer.bytes.elementsEqual(bytes[head.offset..<offset]) else {
                throw EncodingError(.notDeterministic, at: head.offset, "a float is longer than it needs to be")
            }
        }
        return .float(value)
    }

    // RFC 8949 §3.4.3: an integer that fits major types 0 and 1 is written so, and no bignum begins with zeros.
    private func checkBignum(tag: UInt64, _ content: CBORValue, at start: Int) throws(EncodingError) {
        guard tag == 2 || tag == 3, case .bytes(let magnitude) = content else { return }
        if magnitude.count <= 8 || magnitude[0] == 0 {
            throw EncodingError(.notDeterministic, at: start, "a bignum that is longer than it needs to be")
        }
    }

    var tooDeep: EncodingError { fail(.limit, "nesting deeper than \(limits.depth)") }

    private func fail(_ code: EncodingError.Code, _ reason: String) -> EncodingError {
        EncodingError(code, at: offset, reason)
    }
}

/// The first bytes of an item: its type and argument.
struct CBORHead {
    enum MajorType: UInt8 {
        case unsigned, negative, bytes, text, array, map, tag, simple
    }

    let type: MajorType
    /// The low five bits of the initial byte.
    let info: UInt8
    var argument: UInt64
    let offset: Int

    var isIndefinite: Bool { info == 31 }

    var isShortest: Bool {
        switch info {
        case 24: argument >= 24
        case 25: argument > 0xff
        case 26: argument > 0xffff
        case 27: argument > 0xffff_ffff
        default: true
        }
    }
}

extension CBORValue {
    /// The one item that `bytes` hold.
    ///
    /// - Throws: `EncodingError`: `.syntax` for what is not well-formed and for bytes behind the item, `.notUTF8`, `.duplicateKey`, `.limit`, and
    ///   `.notDeterministic` in that mode.
    public init(
        decoding bytes: [UInt8],
        as mode: CBORReader.Mode = .deterministic,
        limits: CBORReader.Limits = CBORReader.Limits()
    ) throws(EncodingError) {
        var reader = try CBORReader(bytes, as: mode, limits: limits)
        self = try reader.next()
        guard reader.isAtEnd else { throw EncodingError(.syntax, at: reader.offset, "bytes after the item") }
    }
}
