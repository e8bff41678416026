import Encoding
import FoundationEssentials

/// Runs published vectors and compares what was computed with what they expect, for deep equality.
///
/// ```swift
/// let report = try ConformanceRunner().run(folder: "vectors")
/// print(report.text(verbose: false))
/// ```
public struct ConformanceRunner: Sendable {
    private let areas: [String: ConformanceArea]

    public init(areas: [ConformanceArea] = ConformanceArea.all) {
        self.areas = Dictionary(areas.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Runs every vector under `folder`, in the order of their paths. A file that is no vector is counted and passed over.
    ///
    /// - Throws: when the folder cannot be read.
    public func run(folder: String) throws -> ConformanceReport {
        var report = ConformanceReport()
        for path in try Self.files(under: folder) {
            guard let data = FileManager.default.contents(atPath: path) else {
                report.add(.unreadable(path, "the file cannot be read"))
                continue
            }
            let bytes = Array(data)
            if let results = PeerToPeerVectors.run(bytes, path: path) ?? StandardVectors.run(bytes, path: path) {
                for result in results { report.add(result) }
            } else if path.hasSuffix(".json") {
                report.add(run(file: bytes, path: path))
            }
        }
        return report
    }

    /// Runs the vector in one file.
    ///
    /// - Returns: nil when the file is JSON but no vector of a format known here.
    public func run(file bytes: [UInt8], path: String) -> ConformanceResult? {
        var vector: JSONValue
        do {
            vector = try JSONValue(parsing: bytes, limits: .init(bytes: 64 << 20, depth: 64, members: 65_000))
        } catch {
            return .unreadable(path, "the file is no JSON: \(error)")
        }
        if let wrapped = RatchetArea.wrap(vector, path: path) { vector = wrapped }
        guard let id = vector["vector"]?.string, let kind = vector["kind"]?.string, vector["input"] != nil else {
            return nil
        }
        guard let area = areas[kind] else {
            return ConformanceResult(id: id, area: kind, outcome: .skipped("the kind \(kind) is not implemented"))
        }
        return run(vector, id: id, area)
    }

    private func run(_ vector: JSONValue, id: String, _ area: ConformanceArea) -> ConformanceResult {
        let expected = area.expectation(vector)
        do {
            let actual = try area.run(vector)
            let outcome: ConformanceResult.Outcome =
                if actual == expected {
                    .passed
                } else if let clause = Superseded.clauses[id] {
                    .superseded(clause)
                } else {
                    .failed("")
                }
            return ConformanceResult(
                id: id,
                area: area.name,
                outcome: outcome,
                expected: expected,
                actual: actual,
                member: area.member
            )
        } catch let error as Unimplemented {
            return ConformanceResult(id: id, area: area.name, outcome: .skipped("not implemented: \(error)"))
        } catch {
            return ConformanceResult(id: id, area: area.name, outcome: .failed("\(error)"), expected: expected)
        }
    }

    private static func files(under folder: String, depth: Int = 0) throws -> [String] {
        guard depth < 16 else { return [] }
        var files: [String] = []
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where !name.hasPrefix(".") {
            let path = folder.hasSuffix("/") ? folder + name : folder + "/" + name
            var isFolder = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else { continue }
            if isFolder {
                files += try Self.files(under: path, depth: depth + 1)
            } else if name.hasSuffix(".json") || PeerToPeerVectors.isVector(folder: folder, name: name) {
                files.append(path)
            }
        }
        return files
    }
}
