import Encoding
import Libp2p

/// Multibase, multihash, multicodec and unsigned varints.
enum MultiformatsArea {
    static func varints(_ vector: JSONValue) -> [ConformanceResult] {
        let valid = (vector["valid"]?.array ?? []).map { pair in
            StandardVectors.result(
                "unsigned-varint/\(pair.array?.first?.int ?? 0)",
                area: "multiformats",
                expected: ["value": pair.array?.first ?? .null, "bytes": pair.array?.last ?? .null]
            ) {
                guard let bytes = pair.array?.last?.string.flatMap({ Hex.decode($0) }),
                    let (value, length) = Varint.decode(bytes), length == bytes.count
                else { throw VectorFault("no varint") }
                return ["value": .int(Int64(clamping: value)), "bytes": .string(Hex.encode(Varint.encode(value)))]
            }
        }
        // What the file says in words: not minimal, over nine bytes, cut short.
        let refused = ["8000", "ffffffffffffffffff01", "80", ""].map { text in
            StandardVectors.result("unsigned-varint/refused-\(text)", area: "multiformats", expected: "refused") {
                Varint.decode(Hex.decode(text) ?? []) == nil ? "refused" : "accepted"
            }
        }
        return valid + refused
    }

    /// The first line holds the text, each other one a base and the text in it.
    static func bases(_ lines: [[String]], file: String) -> [ConformanceResult] {
        guard let text = lines.first?.last.map(unquoted) else { return [] }
        let plain = Array(text.utf8)
        return lines.dropFirst().compactMap { line in
            guard line.count == 2 else { return nil }
            let (base, encoded) = (line[0], unquoted(line[1]))
            let id = "\(file.dropLast(4))/\(base)"
            let ours: String
            switch base {
            case "base16": ours = "f" + Hex.encode(plain)
            case "base32": ours = "b" + Base32.encode(plain)
            case "base58btc": ours = Multibase.encode(plain)
            case "base64url": ours = "u" + Base64URL.encode(plain)
            default:
                return PeerToPeerVectors.skipped(id, "multiformats", "\(base) is not read")
            }
            return StandardVectors.result(
                id,
                area: "multiformats",
                expected: ["written": .string(encoded), "read": .string(Hex.encode(plain))]
            ) {
                ["written": .string(ours), "read": .string(Hex.encode(Multibase.decode(encoded) ?? []))]
            }
        }
    }

    private static func unquoted(_ cell: String) -> String {
        var text = cell
        if text.hasPrefix("\"") { text.removeFirst() }
        if text.hasSuffix("\"") { text.removeLast() }
        return text.hasPrefix("\\x00") ? "\0" + text.dropFirst(4) : text
    }

    private static let functions: [String: Multihash.Function] = [
        "identity": .identity, "sha1": .sha1, "sha2-256": .sha256, "sha2-512": .sha512, "dbl-sha2-256": .doubleSHA256,
    ]

    /// Function, bits kept, text, multihash.
    static func hashes(_ lines: [[String]]) -> [ConformanceResult] {
        lines.dropFirst().enumerated().compactMap { index, line in
            guard line.count == 4, let bits = Int(line[1]) else { return nil }
            let id = "multihash/\(line[0])-\(bits)-\(index)"
            guard let function = functions[line[0]] else {
                return PeerToPeerVectors.skipped(id, "multiformats", "\(line[0]) is not computed")
            }
            return StandardVectors.result(
                id,
                area: "multiformats",
                expected: ["hash": .string(line[3]), "again": .string(line[3])]
            ) {
                let hash = Multihash(function, of: Array(line[2].utf8), length: bits / 8)
                let again = try Multihash(bytes: Hex.decode(line[3]) ?? [])
                return ["hash": .string(Hex.encode(hash.bytes)), "again": .string(Hex.encode(again.bytes))]
            }
        }
    }

    /// The registry's code of each address protocol that is read here.
    static func addressCodes(_ lines: [[String]]) -> [ConformanceResult] {
        MultiaddrProtocol.allCases.map { kind in
            // The registry has one under another name than addresses write.
            let (name, tag) = kind == .memory ? ("memorytransport", "libp2p") : (kind.name, "multiaddr")
            let row = lines.first { $0.count > 2 && $0[0] == name && $0[1] == tag }
            let code = row.flatMap { UInt64($0[2].dropFirst(2), radix: 16) }
            return StandardVectors.result(
                "multicodec/\(kind.name)",
                area: "multiformats",
                expected: code.map { .int(Int64($0)) } ?? .null
            ) { .int(Int64(kind.rawValue)) }
        }
    }
}
