import DoubleRatchet
import Foundation
import Testing

@Suite("The article")
struct ArticleTests {
    @Test("The first program of the article is this one, has fewer than 15 lines, and runs")
    func firstProgram() throws {
        // begin
        var random = SystemRandomNumberGenerator()
        let profile = SessionProfile.standard("example")
        let (alice, bob) = (IdentityKeyPair(using: &random), IdentityKeyPair(using: &random))
        var preKeys = PreKeyRing(identity: bob, profile: profile.agreement, at: 0, using: &random)
        preKeys.replenish(to: 10, using: &random)

        var toBob = Correspondent(identity: alice, profile: profile)
        let bundle = try preKeys.takeBundle().verified(as: bob.publicKey, profile: profile.agreement)
        try toBob.begin(with: "phone", bundle, using: &random)
        let message = try toBob.encrypt("Hello".utf8, to: "phone", using: &random)

        var toAlice = Correspondent(identity: bob, profile: profile)
        let received = try toAlice.decrypt(message, from: "laptop", known: alice.publicKey, preKeys: &preKeys)
        // end
        #expect(received.content == .message(Array("Hello".utf8)))

        let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
        let article = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent().appending(
                path: "../../../Sources/Standards/DoubleRatchet/DoubleRatchet.docc/DoubleRatchet.md"
            ),
            encoding: .utf8
        )
        func lines(_ text: String, after start: String, before end: String) -> [String] {
            text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
                .drop { $0 != start }.dropFirst().prefix { $0 != end }.map { $0 }
        }
        let program = lines(source, after: "// begin", before: "// end")
        #expect(program == lines(article, after: "```swift", before: "```"))
        #expect(program.count < 15)
    }
}
