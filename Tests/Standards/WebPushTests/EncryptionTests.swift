import Crypto
import Encoding
import Support
import Testing
import WebPush

private func bytes(_ text: String) throws -> [UInt8] { try #require(Base64URL.decode(text)) }
private let endpoint = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"

@Suite("RFC 8291: messages")
struct EncryptionTests {
    @Test("Appendix A, both ways, byte for byte")
    func appendixA() throws {
        let receiver = try PushReceiver(
            privateKey: bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"),
            authenticationSecret: bytes("BTBZMqHH6r4Tts7J_aSIgg")
        )
        let subscription = try receiver.subscription(at: PushEndpoint(endpoint))
        let body = try subscription.encrypt(
            Array("When I grow up, I want to be a watermelon".utf8),
            privateKey: bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"),
            salt: bytes("DGv6ra1nlYgDCS1FRnbzlw")
        )
        #expect(
            Base64URL.encode(body)
                == "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        )
        #expect(try receiver.decrypt(body) == Array("When I grow up, I want to be a watermelon".utf8))
    }

    @Test("§4: messages of every length up to 3,993 bytes fit 4,096, padding included; one more is refused")
    func lengths() throws {
        var random = SeededRandom(seed: 3)
        let receiver = PushReceiver(using: &random)
        let subscription = try receiver.subscription(at: PushEndpoint(endpoint))
        for (length, padding) in [(0, 0), (1, 0), (0, 3993), (100, 28), (3992, 1), (3993, 0)] {
            let message = [UInt8](repeating: 0x42, count: length)
            let body = try subscription.encrypt(message, padding: padding, using: &random)
            #expect(body.count == 103 + length + padding)
            #expect(try receiver.decrypt(body) == message)
        }
        #expect(PushSubscription.maximumMessage == 3993)
        for (length, padding) in [(3994, 0), (3993, 1), (0, -1), (1, Int.max)] {
            #expect(throws: WebPushError(.limit, "")) {
                try subscription.encrypt([UInt8](repeating: 1, count: length), padding: padding, using: &random)
            }
        }
    }

    @Test("§3: only the subscription's own keys open a message, and no changed byte of it is accepted")
    func authenticity() throws {
        var random = SeededRandom(seed: 4)
        let receiver = PushReceiver(using: &random)
        let body = try receiver.subscription(at: PushEndpoint(endpoint)).encrypt([1, 2, 3], using: &random)
        let others = [
            PushReceiver(using: &random),
            try PushReceiver(privateKey: receiver.privateKey, authenticationSecret: [UInt8](repeating: 1, count: 16)),
            try PushReceiver(
                privateKey: PushReceiver(using: &random).privateKey,
                authenticationSecret: receiver.authenticationSecret
            ),
        ]
        for other in others { #expect(throws: WebPushError(.authentication, "")) { try other.decrypt(body) } }
        for at in body.indices {
            var forged = body
            forged[at] ^= 0x10
            // The size of a record is no secret and is not authenticated, as long as the one record fits it.
            if (16..<20).contains(at), let message = try? receiver.decrypt(forged) {
                #expect(message == [1, 2, 3])
            } else {
                #expect(throws: WebPushError.self) { try receiver.decrypt(forged) }
            }
        }
    }

    @Test("§4: a message of several records, and one too large, are refused before they are opened")
    func records() throws {
        var random = SeededRandom(seed: 5)
        let receiver = PushReceiver(using: &random)
        let sender = P256.KeyAgreement.PrivateKey()
        let body = try ContentEncoder.encode(
            [UInt8](repeating: 1, count: 90),
            key: SymmetricKey(size: .bits256),
            salt: [UInt8](repeating: 0, count: 16),
            keyIdentifier: Array(sender.publicKey.x963Representation),
            recordSize: 64
        )
        #expect(throws: WebPushError(.limit, "")) { try receiver.decrypt(body) }
        #expect(throws: WebPushError(.limit, "")) { try receiver.decrypt(body, limit: 100) }
        #expect(throws: WebPushError(.key, "")) {
            try receiver.decrypt(ContentEncoder.encode([1], key: .init(size: .bits256), salt: body[..<16].map { $0 }))
        }
    }

    @Test("a subscription as browsers write it; what is missing, malformed or off the curve is refused")
    func subscriptions() throws {
        let text = #"""
            {"endpoint":"https://push.example.net/p","expirationTime":null,"keys":{
            "p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth":"BTBZMqHH6r4Tts7J_aSIgg"}}
            """#
        let subscription = try PushSubscription(parsing: Array(text.utf8))
        #expect(subscription.endpoint.origin == "https://push.example.net")
        #expect(try PushSubscription(subscription.json) == subscription)
        for (from, to) in [
            ("BTBZ", "BTB"), ("p256dh", "p256"), ("https:", "http:"), ("BCVx", "BCVy"), ("BCVx", "ACVx"),
            ("BTBZMqHH6r4Tts7J_aSIgg", "BTBZMqHH6r4Tts7J_aSIgg=="), ("\"keys\"", "\"key\""), ("null", "nul"),
        ] {
            #expect(throws: WebPushError.self, "\(from)") {
                try PushSubscription(parsing: Array(text.replacing(from, with: to).utf8))
            }
        }
    }

    @Test("private keys outside the group are refused")
    func privateKeys() {
        for key in [[UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xff, count: 32), [1]] {
            #expect(throws: WebPushError(.key, "")) {
                try PushReceiver(privateKey: key, authenticationSecret: [UInt8](repeating: 0, count: 16))
            }
            #expect(throws: WebPushError(.key, "")) { try VAPIDKey(privateKey: key) }
        }
    }
}
