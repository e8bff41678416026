import DSIPConformance
import Encoding
import Foundation
import Support
import Testing

@Suite("Published vectors", .enabled(if: Vectors.root != nil))
struct VectorTests {
    @Test(
        "every vector of the area passes by deep equality",
        arguments: [("envelope", 28), ("payload", 49), ("semantic", 29), ("transport", 11), ("trust", 7), ("dht", 7)]
    )
    func area(_ name: String, _ count: Int) throws {
        let folder = try #require(Vectors.root).appending(path: "dsip/\(name)").path
        let report = try ConformanceRunner().run(folder: folder)
        #expect(report.total.failed == 0, "\(report.text(verbose: true))")
        #expect(report.count(area: name).passed >= count)
        #expect(report.total.skipped == 0)
    }

    @Test("kinds of later work are skipped and named")
    func unknownKinds() throws {
        let report = try ConformanceRunner().run(
            folder: try #require(Vectors.root).appending(path: "dsip/gateway").path
        )
        #expect(report.total.passed == 0 && report.total.failed == 0 && report.total.skipped > 0)
        #expect(report.text(verbose: false).contains("gateway is not implemented"))
    }
}

@Suite("The runner")
struct RunnerTests {
    private func result(_ vector: JSONValue) -> ConformanceResult? {
        ConformanceRunner().run(file: vector.utf8, path: "x.json")
    }

    private func trust(_ expect: JSONValue) -> JSONValue {
        [
            "vector": "trust/own", "kind": "trust", "expect": expect,
            "input": ["check": "basis", "identity": "did:web:example.com", "claims": []],
        ]
    }

    @Test("a result that differs anywhere fails and says where")
    func difference() throws {
        #expect(result(trust("Domain verified (did:web:example.com)"))?.outcome == .passed)
        let wrong = try #require(result(trust("Domain verified")))
        #expect(wrong.outcome == .failed(""))
        #expect(wrong.actual == "Domain verified (did:web:example.com)")
    }

    @Test("a file of another format is no result; broken JSON is a failure")
    func formats() {
        #expect(result(["$id": "a schema"]) == nil)
        #expect(ConformanceRunner().run(file: Array("{".utf8), path: "x.json")?.outcome != nil)
    }

    @Test("an unknown kind or check is skipped, never passed")
    func skipping() {
        guard case .skipped = result(["vector": "a", "kind": "future", "input": [:]])?.outcome else {
            Issue.record("an unknown kind must be skipped")
            return
        }
        guard case .skipped = result(["vector": "a", "kind": "trust", "input": ["check": "future"]])?.outcome else {
            Issue.record("an unknown check must be skipped")
            return
        }
    }
}
