import DoubleRatchet
import Encoding
import FoundationEssentials

/// X3DH, XEdDSA and Double Ratchet samples that others published. Their files have formats of their own, known by their members;
/// each becomes one vector of kind `ratchet`.
enum RatchetArea {
    /// - Returns: the file as a vector, or nil when it is none of these formats.
    static func wrap(_ json: JSONValue, path: String) -> JSONValue? {
        let (folder, name) = split(path)
        func vector(_ format: String, _ expect: JSONValue, _ more: JSONObject = [:]) -> JSONValue {
            var input = more
            input["format"] = .string(format)
            input["file"] = json
            return ["vector": .string("ratchet/\(name)"), "kind": "ratchet", "input": .object(input), "expect": expect]
        }
        func sibling(_ name: String) -> JSONValue {
            FileManager.default.contents(atPath: folder + name).flatMap {
                try? JSONValue(parsing: Array($0), limits: .init(bytes: 1 << 20, depth: 16, members: 10_000))
            } ?? .null
        }
        if json["x25519_agreement"] != nil, json["xeddsa_signature"] != nil {
            return vector("xeddsa", XEdDSASample.expectation(json))
        }
        if json["aliceSendingCipherKey"] != nil { return vector("session", SessionSample.expectation(json)) }
        if json["to_other"] != nil, json["sk"] != nil {
            return vector(
                "x3dh-secret",
                ["sk": json["sk"] ?? .null, "ad": json["ad"] ?? .null],
                ["alice": sibling("state-alice-pre-stable.json"), "bob": sibling("state-bob-pre-stable.json")]
            )
        }
        if json["spk"] != nil, json["otpks"] != nil {
            return vector(
                "x3dh-state",
                ["signature": true, "pairs": .int(Int64(2 + (json["otpks"]?.array?.count ?? 0)))]
            )
        }
        if json["super"] != nil, json["skr"] != nil {
            if json["skr"]?["schain"]?.isNull ?? true { return vector("ratchet-state", ["refused": true]) }
            let isAlice = name.contains("alice")
            return vector(
                "ratchet-state",
                ["sent": .int(3), "received": .int(3)],
                ["other": sibling(isAlice ? "dr-bob-pre-stable.json" : "dr-alice-pre-stable.json")]
            )
        }
        if let first = json[0]?[0], first["header"]?["ratchet_pub"] != nil {
            // Those of one side are the other's to open.
            let holder = name.contains("alice") ? "dr-bob-pre-stable.json" : "dr-alice-pre-stable.json"
            return vector(
                "skipped-messages",
                .array((json.array ?? []).map { $0[1] ?? .null }),
                ["holder": sibling(holder)]
            )
        }
        return nil
    }

    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let file = input["file"], let format = input["format"]?.string else {
            throw VectorFault("no input")
        }
        switch format {
        case "xeddsa": return try XEdDSASample.run(file)
        case "session": return try SessionSample.run(file)
        case "x3dh-secret":
            return try X3DHSample.secret(file, alice: input["alice"] ?? .null, bob: input["bob"] ?? .null)
        case "x3dh-state": return try X3DHSample.state(file)
        case "ratchet-state": return try RatchetSample.state(file, other: input["other"] ?? .null)
        case "skipped-messages": return try RatchetSample.skipped(file, holder: input["holder"] ?? .null)
        default: throw VectorFault("an unknown format")
        }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        let name = String(path[path.index(after: slash)...])
        return (String(path[...slash]), name.hasSuffix(".json") ? String(name.dropLast(5)) : name)
    }

    // MARK: Members

    static func hex(_ json: JSONValue, _ name: String) throws -> [UInt8] {
        guard let text = json[name]?.string else { throw VectorFault("no \(name)") }
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count % 2 == 0 else { throw VectorFault("\(name) is not hexadecimal") }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }

    static func hex(_ bytes: [UInt8]) -> JSONValue {
        .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }

    static func base64(_ json: JSONValue?) throws -> [UInt8] {
        guard let text = json?.string, let data = Data(base64Encoded: text) else { throw VectorFault("not base64") }
        return Array(data)
    }

    static func base64(_ bytes: [UInt8]) -> JSONValue { .string(Data(bytes).base64EncodedString()) }

    static func secret(_ bytes: [UInt8]) throws -> Secret {
        guard let secret = Secret(bytes) else { throw VectorFault("not 32 bytes") }
        return secret
    }
}
