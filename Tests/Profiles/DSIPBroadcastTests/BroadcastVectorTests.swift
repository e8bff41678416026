import Encoding
import Foundation
import Support
import Testing

@testable import DSIPConformance

@Suite("Published broadcast vectors") struct BroadcastVectorTests {
    /// The edition at hand still writes the mode of every statement that v0.12 §22.3 took away (spec-gap 77).
    private func brought(_ expected: JSONValue) -> JSONValue {
        guard case .object(var object) = expected, let statements = object["provenance"]?.array else { return expected }
        object["provenance"] = .array(
            statements.map { statement in
                guard case .object(let members) = statement else { return statement }
                return .object(
                    JSONObject(members.members.filter { $0.name != "integrity_mode" }.map { ($0.name, $0.value) })
                )
            }
        )
        return .object(object)
    }

    @Test(
        "every vector gives exactly what it expects, but for a statement’s own integrity mode, which there is none of"
    )
    func vectors() throws {
        let files = Vectors.files("dsip/broadcast")
        var superseded = 0
        for file in files {
            let vector = try Vectors.json(file)
            let actual = try BroadcastArea.run(vector)
            let expected = try #require(vector["expect"])
            if actual != expected { superseded += 1 }
            #expect(actual == brought(expected), "\(file.lastPathComponent): \(actual.text) is not \(expected.text)")
        }
        if Vectors.root != nil { #expect(files.count == 17 && superseded == 3) }
    }
}
