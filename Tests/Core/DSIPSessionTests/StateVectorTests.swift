import Encoding
import Foundation
import Support
import Testing

@testable import DSIPConformance

@Suite("Published state traces")
struct StateVectorTests {
    /// A trace of the v0.7 edition in which v0.12 decides one step otherwise.
    ///
    /// DSIP §12.7 rule 3: a relay never withholds an answer, here from a leg it has cancelled.
    static func decidedSince(_ file: URL, _ step: Int, _ event: JSONValue, _ expected: JSONValue) -> JSONValue {
        guard file.lastPathComponent == "relay-user-cancel-all-legs.json", step == 3,
            var object = expected.object, let leg = event["recv"]?["from"]
        else { return expected }
        object["emit"] = [["forward": ["type": "answer", "from": leg]]]
        return .object(object)
    }

    @Test("Every step emits what its trace says, by deep equality", arguments: Vectors.files("dsip/state"))
    func trace(_ file: URL) throws {
        let vector = try Vectors.json(file)
        let actual = try #require(try StateArea.run(vector).array)
        let steps = vector["input"]?["steps"]?.array ?? []
        try #require(actual.count == steps.count)
        for (index, step) in steps.enumerated() {
            let expected = Self.decidedSince(file, index, step["event"] ?? .null, step["expect"] ?? .null)
            #expect(actual[index] == expected, "step \(index) of \(file.lastPathComponent)")
        }
    }

    @Test("The conformance runner knows the area", .enabled(if: Vectors.root != nil))
    func runner() throws {
        let folder = try #require(Vectors.root).appending(path: "dsip/state").path
        let report = try ConformanceRunner().run(folder: folder)
        #expect(report.results.allSatisfy { $0.area == "state" })
        let failed = report.results.filter { if case .failed = $0.outcome { true } else { false } }.map(\.id)
        #expect(failed.isEmpty)
    }
}
