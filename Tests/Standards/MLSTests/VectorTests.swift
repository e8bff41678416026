import DSIPConformance
import Foundation
import Support
import Testing

@Suite("Published vectors of MLS and HPKE", .enabled(if: Vectors.root != nil))
struct MLSVectorTests {
    @Test("every vector passes, but those that need X448", arguments: [("mls", 510, 78), ("hpke", 65, 21)])
    func all(_ folder: String, _ passed: Int, _ skipped: Int) throws {
        let path = try #require(Vectors.root).appending(path: folder).path
        let report = try ConformanceRunner().run(folder: path)
        #expect(report.total.failed == 0, "\(report.text(verbose: true))")
        #expect(report.total.passed >= passed && report.total.skipped <= skipped)
    }
}
