/// Diagnostic notation (RFC 8949 §8): CBOR for people to read, indefinite lengths shown as they stand.
public enum CBORDiagnostic {
    /// - Throws: `EncodingError` as `CBORReader` does for what is not well-formed.
    public static func text(
        of bytes: [UInt8],
        limits: CBORReader.Limits = CBORReader.Limits()
    ) throws(EncodingError) -> String {
        var reader = try CBORReader(bytes, as: .valid, limits: limits)
        let text = try item(&reader, depth: 0)
        guard reader.isAtEnd else { throw EncodingError(.syntax, at: reader.offset, "bytes after the item") }
        return text
    }

    private static func item(_ reader: inout CBORReader, depth: Int) throws(EncodingError) -> String {
        guard depth <= reader.limits.depth else { throw reader.tooDeep }
        let head = try reader.readHead()
        switch head.type {
        case .unsigned: return String(head.argument)
        case .negative: return head.argument == .max ? "-18446744073709551616" : "-\(head.argument + 1)"
        case .bytes, .text:
            guard head.isIndefinite else { return try string(&reader, head) }
            var chunks: [String] = []
            while try !reader.takeBreak() { chunks.append(try string(&reader, reader.chunk(of: head))) }
            return "(_ " + chunks.joined(separator: ", ") + ")"
        case .array:
            var elements: [String] = []
            if head.isIndefinite {
                while try !reader.takeBreak() { elements.append(try item(&reader, depth: depth + 1)) }
            } else {
                for _ in 0..<(try reader.count(head, bytesEach: 1)) {
                    elements.append(try item(&reader, depth: depth + 1))
                }
            }
            return (head.isIndefinite ? "[_ " : "[") + elements.joined(separator: ", ") + "]"
        case .map:
            var entries: [String] = []
            if head.isIndefinite {
                while try !reader.takeBreak() { entries.append(try entry(&reader, depth: depth)) }
            } else {
                for _ in 0..<(try reader.count(head, bytesEach: 2)) {
                    entries.append(try entry(&reader, depth: depth))
                }
            }
            return (head.isIndefinite ? "{_ " : "{") + entries.joined(separator: ", ") + "}"
        case .tag: return "\(head.argument)(\(try item(&reader, depth: depth + 1)))"
        case .simple: return simple(try reader.simple(head))
        }
    }

    private static func entry(_ reader: inout CBORReader, depth: Int) throws(EncodingError) -> String {
        let key = try item(&reader, depth: depth + 1)
        return "\(key): \(try item(&reader, depth: depth + 1))"
    }

    private static func string(_ reader: inout CBORReader, _ head: CBORHead) throws(EncodingError) -> String {
        let range = try reader.range(head)
        if head.type == .bytes { return "h'\(Hex.encode(reader.bytes[range]))'" }
        return JSONValue.string(try reader.text(in: range)).text
    }

    private static func simple(_ value: CBORValue) -> String {
        switch value {
        case .simple(20): return "false"
        case .simple(21): return "true"
        case .simple(22): return "null"
        case .simple(23): return "undefined"
        case .simple(let number): return "simple(\(number))"
        case .float(let number):
            if number.isNaN { return "NaN" }
            if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
            return number.description
        default: return ""
        }
    }
}

extension CBORValue: CustomStringConvertible {
    /// Diagnostic notation of the deterministic encoding.
    public var description: String {
        let bytes = encoded
        let limits = CBORReader.Limits(bytes: bytes.count, depth: 256, items: bytes.count)
        return (try? CBORDiagnostic.text(of: bytes, limits: limits)) ?? "\(bytes.count) bytes of CBOR"
    }
}
