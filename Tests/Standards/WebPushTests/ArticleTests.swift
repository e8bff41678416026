import Foundation
import Support
import Testing
import WebPush

// The article's first program, letter by letter: the test below compares them.
// swift-format-ignore
func firstPush(using random: inout some RandomNumberGenerator, at now: Int64) throws -> [UInt8] {
    let receiver = PushReceiver(using: &random)
    let subscription = try receiver.subscription(at: PushEndpoint("https://push.example/p/8h2f"))
    let server = VAPIDKey(using: &random)
    let token = try server.authorization(for: subscription.endpoint, subject: "mailto:ops@example.com", at: now)
    let headers = try PushParameters(timeToLive: 60, urgency: .high).headers(authorization: token)
    let body = try subscription.encrypt(Array("hello".utf8), using: &random)
    print("POST", subscription.endpoint, headers.count, "headers,", body.count, "bytes")
    return try receiver.decrypt(body)
}

@Suite("The article")
struct ArticleTests {
    @Test("the first program is the article's, has fewer than 15 lines, and says hello")
    func firstProgram() throws {
        var random = SeededRandom(seed: 1)
        #expect(try firstPush(using: &random, at: 1_760_000_000) == Array("hello".utf8))
        let here = URL(filePath: #filePath)
        let package = (0..<4).reduce(here) { url, _ in url.deletingLastPathComponent() }
        let article = package.appending(path: "Sources/Standards/WebPush/WebPush.docc/WebPush.md")
        guard let text = try? String(contentsOf: article, encoding: .utf8) else { return }
        let program = try #require(
            text.components(separatedBy: "```swift\n").dropFirst().first?.components(separatedBy: "```").first
        )
        #expect(program.split(separator: "\n").count < 15)
        #expect(try String(contentsOf: here, encoding: .utf8).contains(program))
    }
}
