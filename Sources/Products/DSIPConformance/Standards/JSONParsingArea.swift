import Encoding

/// JSONTestSuite: texts that a parser must accept (`y_`), must refuse (`n_`), or may do either with (`i_`), and texts whose meaning is open.
///
/// Both readers are held against it. The scanner is stricter than RFC 8259 in one point only: an object names no member twice (RFC 7493 §2.3).
enum JSONParsingArea {
    /// 500 arrays in one another are among the open cases.
    private static let limits = JSONDocument.Limits(depth: 512)

    static func parsing(_ bytes: [UInt8], name: String) -> ConformanceResult {
        let id = "test_parsing/\(name.dropLast(5))"
        let actual = verdicts(bytes)
        let accepted = actual["rfc8259"] == "accepted"
        let expected: JSONValue
        switch name.prefix(2) {
        case "y_":
            let strict: JSONValue = name.hasPrefix("y_object_duplicated_key") ? "duplicate-key" : "accepted"
            expected = ["rfc8259": "accepted", "i-json": strict, "rewritten": "same"]
        case "n_": expected = ["rfc8259": "refused", "i-json": "refused", "rewritten": nil]
        // Either, but the two readers agree where I-JSON asks no more than RFC 8259, and what was read survives.
        default:
            expected = [
                "rfc8259": accepted ? "accepted" : "refused", "i-json": accepted ? "accepted" : "refused",
                "rewritten": accepted ? "same" : nil,
            ]
        }
        return StandardVectors.result(id, area: "json-parsing", expected: expected) { actual }
    }

    /// What a transformed text becomes is open; that both readers give one answer, and that it survives, is not.
    static func transform(_ bytes: [UInt8], name: String) -> ConformanceResult {
        let actual = verdicts(bytes)
        let accepted = actual["rfc8259"] == "accepted"
        let strict: JSONValue =
            name.hasPrefix("object_same_key") ? "duplicate-key" : accepted ? "accepted" : "refused"
        let expected: JSONValue = [
            "rfc8259": accepted ? "accepted" : "refused", "i-json": strict, "rewritten": accepted ? "same" : nil,
        ]
        return StandardVectors.result(
            "test_transform/\(name.dropLast(5))",
            area: "json-parsing",
            expected: expected
        ) { actual }
    }

    private static func verdicts(_ bytes: [UInt8]) -> JSONValue {
        var strict: JSONValue = "accepted"
        do {
            _ = try JSONValue(parsing: bytes, limits: limits)
        } catch {
            strict = error.code == .duplicateKey ? "duplicate-key" : "refused"
        }
        guard let value = try? JSONValue(tolerating: bytes, limits: limits) else {
            return ["rfc8259": "refused", "i-json": strict, "rewritten": nil]
        }
        // By canonical form: 1e6 is written as an integer and read as one.
        let canonical = value.canonical
        let same = [value.utf8, Array(value.pretty.utf8), canonical].allSatisfy {
            (try? JSONValue(parsing: $0, limits: limits))?.canonical == canonical
        }
        return ["rfc8259": "accepted", "i-json": strict, "rewritten": same ? "same" : "different"]
    }
}

/// RFC 8785: the canonical form, byte for byte.
enum CanonicalArea {
    static func run(_ bytes: [UInt8], expected: [UInt8], name: String) -> ConformanceResult {
        var expected = expected
        while expected.last == UInt8(ascii: "\n") { expected.removeLast() }
        return StandardVectors.result(
            "jcs/\(name.dropLast(5))",
            area: "jcs",
            expected: .string(String(decoding: expected, as: UTF8.self))
        ) {
            .string(String(decoding: try JSONValue(parsing: bytes).canonical, as: UTF8.self))
        }
    }
}
