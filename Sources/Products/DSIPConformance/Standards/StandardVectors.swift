import Encoding
import FoundationEssentials

/// Vectors that others published for the formats DSIP is written in, each in the shape its authors chose: recognised by folder or members.
enum StandardVectors {
    /// Names of the lines, in their order.
    static let areas = ["cbor", "jcs", "json-parsing", "cose", "jose", "webpush"] + ListedVectors.areas

    /// - Returns: nil when the file is none of these; nothing for a file that belongs to another's case.
    static func run(_ bytes: [UInt8], path: String) -> [ConformanceResult]? {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count > 1 else { return nil }
        let (folder, name) = (parts[parts.count - 2], parts[parts.count - 1])
        switch folder {
        case "test_parsing" where ["y_", "n_", "i_"].contains(name.prefix(2)):
            return [JSONParsingArea.parsing(bytes, name: name)]
        case "test_transform": return [JSONParsingArea.transform(bytes, name: name)]
        case "input", "output":
            let base = path.dropLast(folder.count + name.count + 2)
            guard FileManager.default.fileExists(atPath: "\(base)/outhex") else { break }
            if folder == "output" { return [] }
            guard let output = FileManager.default.contents(atPath: "\(base)/output/\(name)") else { break }
            return [CanonicalArea.run(bytes, expected: Array(output), name: name)]
        default: break
        }
        guard let document = try? JSONDocument(scanning: bytes, limits: limits) else { return nil }
        if CBORArea.recognises(document.root) { return CBORArea.run(document) }
        if let results = ListedVectors.run(document, name: name) { return results }
        if let results = WebPushArea.run(document.root, name: name) { return results }
        guard document.root.isObject else { return nil }
        let id = "\(folder)/\(name.dropLast(".json".count))"
        let vector = document.root.value
        if vector["vector"] != nil { return nil }
        if vector["input"] != nil, vector["output"]?["cbor"] != nil {
            return [COSEArea.run(vector, id: id)]
        }
        if vector["sign1::sign"] != nil || vector["sign1::verify"] != nil {
            return [COSESign1Area.run(vector, id: id)]
        }
        if vector["encrypting_content"] != nil {
            return [ConformanceResult(id: id, area: "jose", outcome: .skipped("JWE is not implemented"))]
        }
        if vector["signing"] != nil, vector["output"] != nil { return [JOSEArea.run(vector, id: id)] }
        if let signed = vector["sign"], signed["signing"] != nil, vector["encrypt"] != nil {
            return [JOSEArea.run(signed, id: id)]
        }
        if folder == "jwk", vector["kty"] != nil { return [JOSEArea.key(vector, id: id)] }
        return nil
    }

    private static let limits = JSONDocument.Limits(bytes: 64 << 20, depth: 64, members: 65_000)

    /// Compares and makes the result of one case.
    static func result(
        _ id: String,
        area: String,
        expected: JSONValue,
        superseded clause: String? = nil,
        _ run: () throws -> JSONValue
    ) -> ConformanceResult {
        do {
            let actual = try run()
            let outcome: ConformanceResult.Outcome =
                if actual == expected { .passed } else if let clause { .superseded(clause) } else { .failed("") }
            return ConformanceResult(id: id, area: area, outcome: outcome, expected: expected, actual: actual)
        } catch let error as Unimplemented {
            return ConformanceResult(id: id, area: area, outcome: .skipped("not implemented: \(error)"))
        } catch {
            return ConformanceResult(
                id: id,
                area: area,
                outcome: clause.map { .superseded($0) } ?? .failed("\(error)"),
                expected: expected
            )
        }
    }
}
