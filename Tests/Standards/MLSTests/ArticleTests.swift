import Foundation
import MLS
import Support
import Testing

// The article's first program, letter by letter: the test below compares them.
// swift-format-ignore
func firstGroup(using random: inout some RandomNumberGenerator, at now: UInt64) throws -> [UInt8]? {
    let keys = [try SignaturePrivateKey(.x25519AES128, using: &random), try SignaturePrivateKey(.x25519AES128, using: &random)]
    let (alice, bob) = (LeafNode.Contents(credential: .basic(identity: [1])), LeafNode.Contents(credential: .basic(identity: [2])))
    let validator = UncheckedCredentials()
    var group = try Group(creating: [7], .x25519AES128, alice, signer: keys[0], validator: validator, at: now, using: &random)
    let offer = try KeyPackageBundle(.x25519AES128, bob, signer: keys[1], lifetime: Lifetime(from: now), using: &random)
    let made = try group.commit(CommitOptions([.add(offer.keyPackage)]), at: now, using: &random)
    try group.mergePendingCommit()
    var joined = try Group(joining: made.welcome!, with: offer, validator: validator)
    let message = try group.protect(Array("hello".utf8), using: &random)
    guard case .application(let received) = try joined.process(message, at: now) else { return nil }
    return received.data
}

@Suite("The article")
struct ArticleTests {
    @Test("the first program is the article's, has fewer than 15 lines, and says hello")
    func firstProgram() throws {
        var random = SeededRandom(seed: 1)
        #expect(try firstGroup(using: &random, at: now) == Array("hello".utf8))
        let here = URL(filePath: #filePath)
        let package = (0..<4).reduce(here) { url, _ in url.deletingLastPathComponent() }
        let article = package.appending(path: "Sources/Standards/MLS/MLS.docc/MLS.md")
        guard let text = try? String(contentsOf: article, encoding: .utf8) else { return }
        let program = try #require(
            text.components(separatedBy: "```swift\n").dropFirst().first?.components(separatedBy: "```").first
        )
        #expect(program.split(separator: "\n").count < 15)
        #expect(try String(contentsOf: here, encoding: .utf8).contains(program))
    }
}
