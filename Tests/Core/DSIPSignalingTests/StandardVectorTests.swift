import DSIPConformance
import Foundation
import Support
import Testing

@Suite("Published vectors of the formats beneath", .enabled(if: Vectors.root != nil))
struct StandardVectorTests {
    @Test(
        "every case passes, is superseded by a named clause, or needs an algorithm that is not here",
        arguments: [
            ("cbor", 81, 0, 1), ("jcs", 4, 0, 0), ("json-parsing", 227, 0, 0), ("cose", 85, 36, 1),
            ("jose", 14, 10, 1), ("webpush", 4, 0, 0),
        ]
    )
    func area(_ name: String, _ passed: Int, _ skipped: Int, _ superseded: Int) throws {
        let folder = try #require(Vectors.root).appending(path: name).path
        let report = try ConformanceRunner().run(folder: folder)
        #expect(report.total.failed == 0, "\(report.text(verbose: true))")
        #expect(report.total.passed >= passed && report.total.skipped <= skipped)
        #expect(report.total.superseded == superseded)
    }
}
