import Encoding
import Foundation
import Support
import Testing

@Suite("JSON documents") struct JSONDocumentTests {
    @Test("every published parsing case is accepted or refused as its name says")
    func parsingSuite() throws {
        let files = Vectors.files("json-parsing/test_parsing")
        // I-JSON refuses what RFC 8259 leaves open; these must-accept cases break RFC 7493 §2.3 on purpose.
        let duplicates: Set = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]
        for file in files {
            let name = file.lastPathComponent
            let accepted =
                (try? JSONDocument(scanning: Array(Data(contentsOf: file)), limits: .init(depth: 1000))) != nil
            if name.hasPrefix("y_") { #expect(accepted == !duplicates.contains(name), "\(name)") }
            if name.hasPrefix("n_") { #expect(!accepted, "\(name)") }
        }
        if Vectors.root != nil { #expect(files.count > 200) }
    }

    @Test("canonical form matches RFC 8785's vectors")
    func canonical() throws {
        for file in Vectors.files("jcs/input") {
            let expected = try Data(
                contentsOf: file.deletingLastPathComponent().deletingLastPathComponent()
                    .appending(path: "output").appending(path: file.lastPathComponent)
            )
            let actual = try JSONValue(parsing: Array(Data(contentsOf: file))).canonical
            #expect(
                String(decoding: actual, as: UTF8.self)
                    == String(decoding: expected, as: UTF8.self).trimmingCharacters(in: .newlines)
            )
        }
    }

    @Test("members are found, nested values skipped, escapes decoded")
    func access() throws {
        let document = try JSONDocument(scanning: #"{"a":{"b":[1,2,{"c":"\u00e9\n\ud83d\ude00"}]},"d":-42,"e":"x"}"#)
        let root = document.root
        #expect(root["d"]?.integer == -42)
        #expect(root["e"]?.equals("x") == true)
        let inner = try #require(root["a"]?["b"])
        #expect(Array(inner.elements).count == 3)
        #expect(Array(inner.elements)[2]["c"]?.string == "é\n😀")
        #expect(root["missing"] == nil)
    }

    @Test("a name spelt with an escape is still the same name")
    func duplicateByEscape() {
        #expect(throws: EncodingError(.duplicateKey, "")) { try JSONDocument(scanning: #"{"a":1,"\u0061":2}"#) }
    }

    @Test("names that look alike are told apart by their code points")
    func equivalentNames() throws {
        for text in [#"{"\u00e9":1,"e\u0301":2}"#, #"{"K":1,"\u212a":2}"#] {
            let value = try JSONValue(parsing: text)
            #expect(try JSONValue(tolerating: Array(text.utf8)) == value)
            let names = (value.object?.members ?? []).map(\.name)
            #expect(names.count == 2 && value[names[0]] == 1 && value[names[1]] == 2)
            #expect(value["\u{212a}"] != 1 && value["e\u{301}"] != 1)
        }
    }

    @Test("the tolerant reader keeps the last of two members, in the place of the first")
    func tolerant() throws {
        #expect(try JSONValue(tolerating: Array(#"{"a":1,"b":2,"\u0061":3}"#.utf8)).text == #"{"a":3,"b":2}"#)
        let deep = String(repeating: "[", count: 33) + String(repeating: "]", count: 33)
        #expect(throws: EncodingError(.limit, "")) { try JSONValue(tolerating: Array(deep.utf8)) }
        #expect(throws: EncodingError(.limit, "")) {
            try JSONValue(tolerating: Array("[1,2,3]".utf8), limits: .init(members: 2))
        }
        #expect(throws: EncodingError(.notUTF8, "")) { try JSONValue(tolerating: [0x22, 0xc0, 0xaf, 0x22]) }
    }

    @Test("a number with a fraction or an exponent is reported, not refused")
    func floats() throws {
        #expect(try JSONDocument(scanning: "[1,2]").firstNonInteger == nil)
        #expect(try JSONDocument(scanning: "[1,2.0]").firstNonInteger == 3)
        #expect(try JSONDocument(scanning: "[1e3]").firstNonInteger == 1)
        #expect(try JSONDocument(scanning: "[9223372036854775808]").firstNonInteger == 1)
        #expect(try JSONDocument(scanning: "[-9223372036854775808]").firstNonInteger == nil)
    }

    @Test("bytes that are no UTF-8 are reported as that, even behind a syntax error")
    func utf8First() {
        #expect(throws: EncodingError(.notUTF8, "")) { try JSONDocument(scanning: Array("{,".utf8) + [0xff]) }
        #expect(throws: EncodingError(.notUTF8, "")) { try JSONDocument(scanning: [0x22, 0xc0, 0xaf, 0x22]) }
    }

    @Test("depth, size and members are bounded")
    func bounds() {
        let deep = String(repeating: "[", count: 33) + String(repeating: "]", count: 33)
        #expect(throws: EncodingError(.limit, "")) { try JSONDocument(scanning: deep) }
        #expect(throws: EncodingError(.limit, "")) { try JSONDocument(scanning: "[1,2,3]", limits: .init(members: 2)) }
        #expect(throws: EncodingError(.limit, "")) { try JSONDocument(scanning: "[1,2,3]", limits: .init(bytes: 3)) }
    }

    @Test("random trees survive writing and reading")
    func roundTrip() throws {
        let seed: UInt64 = 0x5eed
        var random = SeededRandom(seed: seed)
        func tree(_ depth: Int) -> JSONValue {
            switch Int.random(in: 0..<(depth > 3 ? 4 : 6), using: &random) {
            case 0: .null
            case 1: .bool(Bool.random(using: &random))
            case 2: .int(Int64.random(in: .min ... .max, using: &random))
            case 3:
                .string(
                    String(
                        (0..<Int.random(in: 0..<9, using: &random)).map { _ in
                            Character(Unicode.Scalar(UInt32.random(in: 0..<0xd800, using: &random)) ?? "x")
                        }
                    )
                )
            case 4: .array((0..<3).map { _ in tree(depth + 1) })
            default: .object(JSONObject((0..<3).map { ("k\($0)", tree(depth + 1)) }))
            }
        }
        for _ in 0..<300 {
            let value = tree(0)
            #expect(try JSONValue(parsing: value.text) == value, "seed \(seed)")
            #expect(try JSONValue(parsing: value.pretty) == value, "seed \(seed)")
            // Canonical numbers are doubles (RFC 8785 §3.2.2.3), so beyond 2^53 only a second writing is the same.
            #expect(try JSONValue(parsing: value.canonical).canonical == value.canonical, "seed \(seed)")
        }
    }
}
