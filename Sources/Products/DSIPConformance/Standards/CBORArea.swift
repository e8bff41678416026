import Encoding

/// Examples of RFC 8949 Appendix A: what each encoding means, and whether writing it again gives the same bytes.
enum CBORArea {
    static func recognises(_ root: JSONView) -> Bool {
        guard root.isArray, let first = root.elements.first(where: { _ in true }) else { return false }
        return first["hex"]?.string != nil && first["roundtrip"]?.boolean != nil
    }

    static func run(_ document: JSONDocument) -> [ConformanceResult] {
        document.root.elements.map { run($0, document) }
    }

    private static func run(_ vector: JSONView, _ document: JSONDocument) -> ConformanceResult {
        let hex = vector["hex"]?.string ?? ""
        let roundTrip = vector["roundtrip"]?.boolean ?? false
        let meaning = vector["diagnostic"]?.value ?? .null
        var expected: JSONObject = ["encoded-again": .string(roundTrip ? "same" : "different"), "meaning": meaning]
        if let decoded = vector["decoded"] { expected["meaning"] = .string(text(decoded, document)) }
        return StandardVectors.result(
            "cbor/\(hex)",
            area: "cbor",
            expected: .object(expected),
            superseded: clauses[hex]
        ) {
            guard let bytes = Hex.decode(hex) else { throw VectorFault("not base16") }
            let value = try CBORValue(decoding: bytes, as: .valid)
            // What deterministic reading takes is exactly what writing gives.
            let deterministic = (try? CBORValue(decoding: bytes, as: .deterministic)) == value
            guard deterministic == (value.encoded == bytes) else {
                throw VectorFault("reader and writer differ on which encodings are deterministic")
            }
            let meaning =
                vector["decoded"] == nil ? try CBORDiagnostic.text(of: bytes) : try text(value)
            return [
                "encoded-again": .string(value.encoded == bytes ? "same" : "different"), "meaning": .string(meaning),
            ]
        }
    }

    /// Examples of RFC 7049 that RFC 8949 took back.
    private static let clauses = [
        "f818": "RFC 8949 §3.3: a simple value below 32 in two bytes is not well-formed"
    ]

    /// A value as text that tells all values apart: numbers as decimal digits of any size.
    private static func text(_ view: JSONView, _ document: JSONDocument) -> String {
        switch view.kind {
        case .integer, .number:
            let token = String(decoding: document.bytes[view.range], as: UTF8.self)
            if token.contains(where: { ".eE".contains($0) }) { return "float \(Double(token)?.bitPattern ?? 0)" }
            return token
        case .array: return "[" + view.elements.map { text($0, document) }.joined(separator: ",") + "]"
        case .object:
            return "{"
                + view.memberViews.map { "\($0.name.value.text):\(text($0.value, document))" }.sorted()
                .joined(separator: ",")
                + "}"
        default: return view.value.text
        }
    }

    private static func text(_ value: CBORValue) throws -> String {
        switch value {
        case .unsigned(let number): return String(number)
        case .negative(let number): return number == .max ? "-18446744073709551616" : "-\(number + 1)"
        case .tagged(2, .bytes(let magnitude)): return decimal(magnitude)
        // -1 - n: the digits of n + 1.
        case .tagged(3, .bytes(let magnitude)): return "-" + decimal(increment(magnitude))
        case .float(let number): return "float \(number.bitPattern)"
        case .text(let text): return JSONValue.string(text).text
        case .simple(20): return "false"
        case .simple(21): return "true"
        case .simple(22): return "null"
        case .array(let elements): return "[" + (try elements.map(text)).joined(separator: ",") + "]"
        case .map(let map):
            return "{"
                + (try map.entries.map { "\(try text($0.key)):\(try text($0.value))" }).sorted()
                .joined(separator: ",") + "}"
        default: throw VectorFault("a value that JSON has no counterpart of")
        }
    }

    private static func increment(_ magnitude: [UInt8]) -> [UInt8] {
        var out = magnitude
        for i in out.indices.reversed() {
            out[i] &+= 1
            if out[i] != 0 { return out }
        }
        return [1] + out
    }

    private static func decimal(_ magnitude: [UInt8]) -> String {
        var digits: [Int] = [0]
        for byte in magnitude {
            var carry = Int(byte)
            for i in digits.indices {
                carry += digits[i] * 256
                digits[i] = carry % 10
                carry /= 10
            }
            while carry > 0 {
                digits.append(carry % 10)
                carry /= 10
            }
        }
        return digits.reversed().map(String.init).joined()
    }
}
