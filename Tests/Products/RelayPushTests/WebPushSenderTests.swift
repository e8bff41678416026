import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import Encoding
import HTTPTypes
import Testing
import WebPush

@testable import DSIPRelay

@Suite("Web Push and UnifiedPush to a push service of our own")
struct WebPushSenderTests {
    private let service: PushServiceDouble
    private let receiver: PushReceiver
    private let key: VAPIDKey

    init() async throws {
        var random = SystemRandomNumberGenerator()
        service = try await PushServiceDouble()
        receiver = PushReceiver(using: &random)
        key = VAPIDKey(using: &random)
    }

    private func sender(allowing ranges: [String] = ["127.0.0.0/8"]) throws -> PushSenders {
        var configuration = PushConfiguration()
        configuration.subject = "mailto:ops@example.com"
        configuration.allowedRanges = ranges.compactMap { AddressRange($0) }
        return try PushSenders(configuration, relay: relay, key: key, roots: service.roots) { start }
    }

    private var keys: PushTarget.Keys {
        .init(publicKey: receiver.publicKey, secret: receiver.authenticationSecret)
    }

    @Test("a wake arrives, verifies by its VAPID token, and decrypts to relay and envelope")
    func arrives() async throws {
        let wake = try wake(.webPush(endpoint: service.base + "/p/1", keys))
        #expect(try await sender().send(wake) == .accepted)
        let request = try #require(service.requests.first)
        #expect(request.path == "/p/1" && request.headers["content-encoding"] == "aes128gcm")
        #expect(request.headers["ttl"] == "86400" && request.headers["urgency"] == "normal")
        #expect(request.headers["topic"] == "dsip-message")
        #expect(WakePayload(try receiver.decrypt(request.body)) == WakePayload(relay: relay, envelope: wake.envelope))
        let credentials = try VAPIDCredentials(authorization: request.headers["authorization"] ?? "")
        let claims = try credentials.verified(for: service.base, at: start)
        #expect(credentials.publicKey == key.publicKey && claims.subject == "mailto:ops@example.com")
        // The service sees neither.
        #expect(!String(decoding: request.body, as: UTF8.self).contains("envelope_id"))
    }

    @Test("a call is urgent and short-lived; one token serves many messages")
    func calls() async throws {
        let senders = try sender()
        for _ in 0..<3 {
            #expect(await senders.send(try wake(.webPush(endpoint: service.base + "/p/1", keys), .call)) == .accepted)
        }
        #expect(service.requests.allSatisfy { $0.headers["urgency"] == "high" && $0.headers["ttl"] == "60" })
        #expect(Set(service.requests.map { $0.headers["authorization"] }).count == 1)
    }

    @Test("UnifiedPush: encrypted with keys, plain without")
    func unifiedPush() async throws {
        let senders = try sender()
        let sealed = try wake(.unifiedPush(endpoint: service.base + "/up/1", keys))
        let plain = try wake(.unifiedPush(endpoint: service.base + "/up/2", nil))
        #expect(await senders.send(sealed) == .accepted)
        #expect(await senders.send(plain) == .accepted)
        #expect(WakePayload(try receiver.decrypt(service.requests[0].body))?.envelope == sealed.envelope)
        #expect(WakePayload(service.requests[1].body)?.envelope == plain.envelope)
        #expect(service.requests[1].headers["content-encoding"] == nil)
    }

    @Test(
        "each status is understood",
        arguments: [
            (202, nil, PushOutcome.accepted), (404, nil, .gone), (410, nil, .gone), (413, nil, .refused),
            (429, "90", .later(after: 90)), (503, nil, .later(after: nil)), (403, nil, .refused),
            (307, nil, .refused),
        ] as [(Int, String?, PushOutcome)]
    )
    func statuses(_ status: Int, _ retryAfter: String?, _ outcome: PushOutcome) async throws {
        let headers = retryAfter.map { [(name: "Retry-After", value: $0)] } ?? []
        service.answer(.init(status: .init(code: status), headers: headers + [(name: "Location", value: "/elsewhere")]))
        let wake = try wake(.webPush(endpoint: service.base + "/p/1", keys))
        #expect(try await sender().send(wake) == outcome)
        #expect(service.requests.count == 1)
    }

    @Test("endpoints at private addresses are not connected to, nor those that are none")
    func policy() async throws {
        let senders = try sender(allowing: [])
        for host in ["127.0.0.1", "localhost", "[::1]", "10.0.0.1"] {
            let target = PushTarget.unifiedPush(endpoint: "https://\(host):\(service.port)/p", nil)
            #expect(await senders.send(try wake(target)) == .refused)
        }
        for url in ["https://u@127.0.0.1/", "https://127.0.0.1:0/", "https:///"] {
            #expect(await senders.send(try wake(.unifiedPush(endpoint: url, nil))) == .gone)
        }
        let offCurve = PushTarget.Keys(publicKey: [UInt8](repeating: 4, count: 65), secret: keys.secret)
        #expect(await senders.send(try wake(.webPush(endpoint: service.base, offCurve))) == .gone)
        #expect(service.requests.isEmpty)
        #expect(await senders.send(try wake(.fcm(token: "abcdefghijklmnop"))) == .refused)
    }

    @Test("a service that is not there is asked again later")
    func unreachable() async throws {
        await service.stop()
        #expect(try await sender().send(wake(.webPush(endpoint: service.base + "/p", keys))) == .later(after: nil))
    }

    @Test("the relay's key is made once, readable by nobody else, and a damaged one is said to be")
    func keptKey() throws {
        let folder = try TemporaryFolder()
        let state = try StateFolder(path: folder.path + "/state")
        let made = try VAPIDKey.kept(in: state)
        #expect(try VAPIDKey.kept(in: state).publicKey == made.publicKey)
        try state.write([1, 2, 3], to: VAPIDKey.fileName)
        #expect(throws: RelayError(.storage, "")) { try VAPIDKey.kept(in: state) }
    }
}
