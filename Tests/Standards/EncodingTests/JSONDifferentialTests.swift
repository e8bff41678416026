import Encoding
import Foundation
import Support
import Testing

/// The scanner, the tolerant reader and Foundation's parser over the same bytes.
///
/// What the scanner accepts, the two others accept and understand alike. What Foundation accepts and the scanner does not must break a rule that only
/// I-JSON or this project has: a member named twice, a number beyond a double, UTF-16, a byte order mark, or a bound. Foundation also passes over a comma
/// before a closing bracket, which RFC 8259 does not.
@Suite("JSON against Foundation") struct JSONDifferentialTests {
    private static let limits = JSONDocument.Limits(depth: 400)

    @Test("every case of JSONTestSuite")
    func suite() throws {
        for file in Vectors.files("json-parsing") {
            let bytes = Array(try Data(contentsOf: file))
            // Foundation gives up at 512 levels, by trapping the stack in none of its versions, but slowly.
            guard bytes.count < 50_000 else { continue }
            compare(bytes, file.lastPathComponent)
        }
    }

    @Test("random mutations of texts of every kind")
    func mutations() throws {
        let seed: UInt64 = 0x15_0e
        var random = SeededRandom(seed: seed)
        for round in 0..<2500 {
            var bytes = Array(Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &random)].utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0...bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where at < bytes.count: bytes.remove(at: at)
                case 1 where at < bytes.count: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 2: bytes.insert(contentsOf: Self.tokens.randomElement(using: &random)!.utf8, at: at)
                default: bytes.insert(bytes.randomElement(using: &random) ?? 0x20, at: at)
                }
            }
            compare(bytes, "seed \(seed), round \(round)")
        }
    }

    private static let seeds = [
        #"{"a":[1,-2,{"b":"\u00e9\ud83d\ude00"}],"c":null,"d":true,"e":false}"#, "[0,0.5,1e9,-1.25E-3,123456789012]",
        #"["", "\"\\\/\b\f\n\r\t", "é水𐅑", {"": {}}, [], [[]]]"#, " { \"k\" : [ 1 , 2 ] }\n", "\"text\"", "-0", "null",
    ]

    private static let tokens = [
        "\"", "\\", "\\u", "\\ud800", "\\udc00", "[", "]", "{", "}", ",", ":", "e", "E", ".", "-", "+", "0", "00",
        "1e400", "null",
        "true", " ", "\t", "\n", "\u{0}", "\u{7f}", "\u{feff}", "\"a\":1,", "18446744073709551616",
    ]

    private func compare(_ bytes: [UInt8], _ what: String) {
        let strict = Result { () throws -> JSONValue in try JSONValue(parsing: bytes, limits: Self.limits) }
        let tolerant = try? JSONValue(tolerating: bytes, limits: Self.limits)
        let foundation = try? JSONDecoder().decode(Tree.self, from: Data(bytes)).value
        switch strict {
        case .success(let value):
            #expect(tolerant == value, "the readers differ: \(what)")
            guard let foundation else {
                Issue.record("Foundation refuses what the scanner accepts: \(what): \(value.text)")
                return
            }
            // Foundation takes names that are canonically equivalent for one.
            guard !Self.hasEquivalentNames(value) else { return }
            #expect(Self.same(value, foundation), "the values differ: \(what): \(value.text) \(foundation.text)")
        case .failure(let error as EncodingError):
            // The tolerant reader goes further in one point alone.
            if error.code != .duplicateKey { #expect(tolerant == nil, "the readers differ: \(what)") }
            guard foundation != nil else { return }
            let known =
                [.duplicateKey, .range, .limit].contains(error.code) || Self.isOtherEncoding(bytes)
                || Self.isTrailingComma(bytes, error.offset)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(known, "Foundation accepts what the scanner refuses, \(error): \(what): \(text)")
        case .failure(let error): Issue.record("\(error)")
        }
    }

    /// What Foundation takes for UTF-16 or UTF-32, or for a byte order mark.
    private static func isOtherEncoding(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0xef, 0xbb, 0xbf]) || bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff])
            || bytes.prefix(4).contains(0)
    }

    private static func isTrailingComma(_ bytes: [UInt8], _ offset: Int?) -> Bool {
        guard let offset, offset < bytes.count, [0x5d, 0x7d].contains(bytes[offset]) else { return false }
        return bytes[..<offset].last { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } == 0x2c
    }

    private static func hasEquivalentNames(_ value: JSONValue) -> Bool {
        switch value {
        case .array(let elements): elements.contains(where: hasEquivalentNames)
        case .object(let object):
            Set(object.members.map(\.name)).count < object.count
                || object.members.contains { hasEquivalentNames($0.value) }
        default: false
        }
    }

    /// Numbers by value: 1.0 may be read as an integer, and one beyond 64 bits as a double.
    private static func same(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a, b) {
        case (.int(let x), .double(let y)), (.double(let y), .int(let x)): Double(x) == y
        case (.array(let x), .array(let y)): x.count == y.count && zip(x, y).allSatisfy(same)
        case (.object(let x), .object(let y)):
            x.count == y.count
                && x.members.allSatisfy { member in y[member.name].map { same(member.value, $0) } ?? false }
        default: a == b
        }
    }
}

/// Any JSON, decoded by Foundation.
private struct Tree: Decodable {
    let value: JSONValue

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: Name.self) {
            value = .object(
                JSONObject(
                    try container.allKeys.map { ($0.stringValue, try container.decode(Tree.self, forKey: $0).value) }
                )
            )
        } else if var container = try? decoder.unkeyedContainer() {
            var elements: [JSONValue] = []
            while !container.isAtEnd { elements.append(try container.decode(Tree.self).value) }
            value = .array(elements)
        } else {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                value = .null
            } else if let text = try? container.decode(String.self) {
                value = .string(text)
            } else if let flag = try? container.decode(Bool.self) {
                value = .bool(flag)
            } else if let number = try? container.decode(Int64.self) {
                value = .int(number)
            } else {
                value = .double(try container.decode(Double.self))
            }
        }
    }
}
