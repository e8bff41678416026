import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Recovery phrases") struct RecoveryPhraseTests {
    @Test("words and entropy agree with the BIP-39 vectors")
    func vectors() throws {
        var checked = 0
        for file in Vectors.files("recovery") {
            for vector in try #require(Vectors.json(file)["english"]?.array) {
                let entropy = try hex(vector[0])
                let words = try #require(vector[1]?.string)
                let phrase = try #require(RecoveryPhrase(entropy: entropy))
                #expect(phrase.words.joined(separator: " ") == words)
                #expect(try RecoveryPhrase(words) == phrase)
                checked += 1
            }
        }
        #expect(checked == 24 || Vectors.root == nil)
    }

    @Test("the list of words is the published one")
    func wordList() {
        let text = RecoveryWords.all.map { $0 + "\n" }.joined()
        #expect(
            Hex.encode(Array(SHA256.hash(data: Array(text.utf8))))
                == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
        )
        #expect(Set(RecoveryWords.all.map { $0.prefix(4) }).count == 2048)
    }

    @Test("a phrase gives the same identity every time, the one that is written here")
    func derivation() throws {
        let phrase = try #require(RecoveryPhrase(entropy: [UInt8](repeating: 0, count: 32)))
        #expect(phrase.words.count == 24 && phrase.words.last == "art")
        let again = try RecoveryPhrase("  ABANDON " + phrase.words.dropFirst().joined(separator: "\n") + " ")
        let did = SigningKey(selfIssued: try phrase.controllerKey()).did
        #expect(SigningKey(selfIssued: try again.controllerKey()).did == did)
        // HKDF-SHA256 of 32 zero bytes, no salt, info "dsip controller ed25519": computed apart from this code.
        #expect(Hex.encode(try phrase.controllerKey().rawRepresentation) == RecoveryPhraseTests.zeroSeed)
    }

    static let zeroSeed = "58ca6a69aede633d9175b50f8a50f56fbbe79128ae91f640feb88e716eb284b5"

    @Test("wrong words are told by their number, never by themselves")
    func errors() throws {
        let words = RecoveryPhrase.generate().words
        func reason(_ words: [String]) -> String? {
            do {
                _ = try RecoveryPhrase(words.joined(separator: " "))
                return nil
            } catch { return error.reason }
        }
        var wrong = words
        wrong[6] = "sesquipedalian"
        #expect(reason(wrong)?.contains("word 7") == true && reason(wrong)?.contains("sesqui") == false)
        #expect(reason(Array(words.dropLast()))?.contains("23 were given") == true)
        #expect(reason([])?.contains("24 words") == true)
        #expect(reason(Array(repeating: "abandon", count: 24))?.contains("do not fit") == true)
        #expect(throws: IdentityError(.malformed, "")) {
            try RecoveryPhrase(entropy: [UInt8](repeating: 1, count: 16))?.controllerKey()
        }
    }

    @Test("exchanged words are noticed nearly always")
    func exchanged() throws {
        var random = SeededRandom(seed: 39)
        var accepted = 0
        for _ in 0..<500 {
            var words = RecoveryPhrase.generate(using: &random).words
            words.swapAt(3, 17)
            if (try? RecoveryPhrase(words.joined(separator: " "))) != nil { accepted += 1 }
        }
        // One in 256, plus the times when both words are the same.
        #expect(accepted < 12)
    }

    @Test("secrets are in no description")
    func descriptions() throws {
        var wallet = Wallet()
        let identity = try wallet.createIdentity(
            name: "Alice",
            device: .init(name: "laptop", kind: .computer),
            at: 1000
        )
        let controller = try #require(identity.controller)
        var dumped = ""
        dump(wallet, to: &dumped)
        let text =
            "\(wallet) \(identity) \(controller.phrase) \(controller.key)" + String(reflecting: identity) + dumped
        let words = controller.phrase.words.joined(separator: " ")
        #expect(!text.contains(words) && !text.contains(Base64URL.encode(controller.phrase.entropy)))
        #expect(
            !text.contains("\(controller.phrase.entropy)") && !text.contains("\(identity.device.rawRepresentation)")
        )
        #expect(!text.contains(controller.phrase.entropy.map { "- \($0)\n" }.joined()))
    }
}
