import Encoding
import Foundation
import Support
import Testing

@testable import DSIPConformance

@Suite("Published media-binding vectors") struct MediaBindingVectorTests {
    @Test("every vector gives exactly what it expects")
    func vectors() throws {
        let files = Vectors.files("dsip/media-binding")
        for file in files {
            let vector = try Vectors.json(file)
            let actual = try MediaBindingArea.run(vector)
            let expected = try #require(vector["expect"])
            #expect(actual == expected, "\(file.lastPathComponent): \(actual.text) is not \(expected.text)")
        }
        if Vectors.root != nil { #expect(files.count == 29) }
    }
}
