import Crypto
import CryptoExtras
import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import Encoding
import HTTPTypes
import NIOConcurrencyHelpers
import Testing

@testable import DSIPRelay

private func json(_ bytes: [UInt8]) -> JSONValue { (try? JSONValue(parsing: bytes)) ?? .null }

@Suite("APNs, to a service of our own")
struct APNsSenderTests {
    private let service: PushServiceDouble
    private let key = P256.Signing.PrivateKey()
    private let clock = NIOLockedValueBox(start)
    private let token = [UInt8](repeating: 0xab, count: 32)

    init() async throws { service = try await PushServiceDouble() }

    private func sender(_ style: APNsSender.Configuration.MessageStyle = .alert) throws -> (APNsSender, ProviderHTTP) {
        var configuration = APNsSender.Configuration(
            team: "TEAM123456",
            keyIdentifier: "KEY1234567",
            key: key.pemRepresentation,
            topics: ["org.example.app"]
        )
        configuration.messages = style
        (configuration.production, configuration.sandbox) = (service.base, service.base + "/sandbox")
        let http = try ProviderHTTP(roots: service.roots)
        return (
            try APNsSender(relay: relay, configuration, http: http) { [clock] in clock.withLockedValue { $0 } }, http
        )
    }

    private func target(_ change: (inout PushTarget.APNs) -> Void = { _ in }) -> PushTarget {
        var target = PushTarget.APNs(token: token, topic: "org.example.app")
        change(&target)
        return .apns(target)
    }

    @Test("a message is an alert without words of its own, over HTTP/2, with a token that verifies")
    func message() async throws {
        let (sender, http) = try sender()
        service.answer(.init(status: .ok))
        let wake = try wake(target())
        #expect(await sender.send(wake) == .accepted)
        let request = try #require(service.requests.first)
        #expect(request.isHTTP2 && request.path == "/3/device/" + String(repeating: "ab", count: 32))
        #expect(request.headers["apns-push-type"] == "alert" && request.headers["apns-topic"] == "org.example.app")
        #expect(request.headers["apns-priority"] == "10")
        #expect(request.headers["apns-expiration"] == "\(start + 86_400)")
        let body = json(request.body)
        #expect(body["relay"]?.string == relay.string && body["envelope_id"]?.string == wake.envelope.description)
        #expect(body["aps"]?["alert"]?["loc-key"] == "DSIP_MESSAGE" && body.object?.count == 3)

        let jws = try JWS(compact: (request.headers["authorization"] ?? "").dropFirst("bearer ".count))
        let signature = try P256.Signing.ECDSASignature(rawRepresentation: jws.signatures[0].bytes)
        #expect(key.publicKey.isValidSignature(signature, for: jws.signingInput()))
        #expect(jws.signatures[0].header.keyIdentifier == "KEY1234567")
        #expect(json(jws.payload) == ["iss": "TEAM123456", "iat": .int(start)])
        await http.shutDown()
    }

    @Test(
        "calls wake PushKit tokens, messages do not; background is quiet; the sandbox is another host; foreign topics are refused"
    )
    func kinds() async throws {
        let (sender, http) = try sender(.background)
        for _ in 0..<3 { service.answer(.init(status: .ok), .init(status: .ok), .init(status: .ok)) }
        let voip = target { $0.isVoIP = true }
        #expect(await sender.send(try wake(voip, .call)) == .accepted)
        #expect(await sender.send(try wake(voip)) == .accepted)
        #expect(await sender.send(try wake(target { $0.isSandbox = true })) == .accepted)
        #expect(await sender.send(try wake(target { $0.topic = "org.other" })) == .refused)
        #expect(service.requests.count == 2)
        #expect(service.requests[0].headers["apns-topic"] == "org.example.app.voip")
        #expect(service.requests[0].headers["apns-push-type"] == "voip")
        #expect(json(service.requests[0].body).object?.count == 2)
        #expect(service.requests[1].path.hasPrefix("/sandbox/3/device/"))
        #expect(service.requests[1].headers["apns-push-type"] == "background")
        #expect(service.requests[1].headers["apns-priority"] == "5")
        await http.shutDown()
    }

    @Test("a token is used for 50 minutes; one that Apple calls expired is made anew once, and not twice in 20 minutes")
    func tokens() async throws {
        let (sender, http) = try sender()
        let ok = PushServiceDouble.Answer(status: .ok)
        let expired = PushServiceDouble.Answer(status: .forbidden, body: #"{"reason":"ExpiredProviderToken"}"#)
        func send(after seconds: Int64) async throws -> PushOutcome {
            clock.withLockedValue { $0 += seconds }
            return await sender.send(try wake(target()))
        }
        func used(_ at: Int) -> String? { service.requests[at].headers["authorization"] }
        service.answer(ok, ok, ok)
        for seconds: Int64 in [0, 2999, 1] { #expect(try await send(after: seconds) == .accepted) }
        #expect(used(0) == used(1) && used(1) != used(2))
        service.answer(expired)
        #expect(try await send(after: 60) == .later(after: 1200))
        service.answer(expired, ok)
        #expect(try await send(after: 1200) == .accepted)
        #expect(used(4) == used(2) && used(5) != used(4))
        await http.shutDown()
    }

    @Test(
        "each status and reason is understood",
        arguments: [
            (200, nil, nil, PushOutcome.accepted), (410, "Unregistered", nil, .gone),
            (400, "BadDeviceToken", nil, .gone),
            (400, "DeviceTokenNotForTopic", nil, .gone), (400, "PayloadEmpty", nil, .refused),
            (403, "InvalidProviderToken", nil, .refused), (413, "PayloadTooLarge", nil, .refused),
            (429, "TooManyRequests", 7, .later(after: 7)),
            (429, "TooManyProviderTokenUpdates", nil, .later(after: 1200)),
            (500, "InternalServerError", nil, .later(after: nil)), (503, "Shutdown", 30, .later(after: 30)),
        ] as [(Int, String?, Int64?, PushOutcome)]
    )
    func statuses(_ status: Int, _ reason: String?, _ retryAfter: Int64?, _ outcome: PushOutcome) {
        let answer = ProviderHTTP.Answer(status: status, retryAfter: retryAfter, body: [])
        #expect(APNsSender.outcome(answer, reason: reason) == outcome)
    }

    @Test("a key that is none is a fault of configuration")
    func badKey() throws {
        let configuration = APNsSender.Configuration(team: "T", keyIdentifier: "K", key: "-----BEGIN", topics: [])
        let http = try ProviderHTTP()
        #expect(throws: RelayError(.configuration, "")) {
            try APNsSender(relay: relay, configuration, http: http) { start }
        }
    }
}

@Suite("FCM, to a service of our own")
struct FCMSenderTests {
    private let service: PushServiceDouble
    private let key: _RSA.Signing.PrivateKey
    private let clock = NIOLockedValueBox(start)
    private let target = PushTarget.fcm(token: "registration-token-1")

    init() async throws {
        service = try await PushServiceDouble()
        key = try _RSA.Signing.PrivateKey(keySize: .bits2048)
    }

    private func sender() throws -> (FCMSender, ProviderHTTP) {
        let file: JSONValue = [
            "type": "service_account", "project_id": "a-project", "client_email": "relay@a-project.example",
            "private_key": .string(key.pemRepresentation), "token_uri": .string(service.base + "/token"),
        ]
        let http = try ProviderHTTP(roots: service.roots)
        let account = try FCMSender.ServiceAccount(parsing: file.utf8)
        let sender = try FCMSender(relay: relay, account, http: http, base: service.base) { [clock] in
            clock.withLockedValue { $0 }
        }
        return (sender, http)
    }

    private func grant(_ token: String, lifetime: Int = 3600) -> PushServiceDouble.Answer {
        .init(status: .ok, body: #"{"access_token":"\#(token)","expires_in":\#(lifetime),"token_type":"Bearer"}"#)
    }

    @Test(
        "an access token is had for a signed assertion, used until five minutes before its end, and the message is data alone"
    )
    func message() async throws {
        let (sender, http) = try sender()
        let ok = PushServiceDouble.Answer(status: .ok, body: #"{"name":"projects/a-project/messages/1"}"#)
        service.answer(grant("first"), ok, ok, grant("second"), ok)
        let wake = try wake(target)
        for seconds: Int64 in [0, 3299, 1] {
            clock.withLockedValue { $0 += seconds }
            #expect(await sender.send(wake) == .accepted)
        }
        #expect(service.requests.map(\.path) == ["/token", path, path, "/token", path])
        let form = String(decoding: service.requests[0].body, as: UTF8.self)
        let jws = try JWS(compact: form.split(separator: "=").last ?? "")
        let signature = _RSA.Signing.RSASignature(rawRepresentation: jws.signatures[0].bytes)
        let digest = SHA256.hash(data: jws.signingInput())
        #expect(key.publicKey.isValidSignature(signature, for: digest, padding: .insecurePKCS1v1_5))
        let claims = json(jws.payload)
        #expect(claims["iss"] == "relay@a-project.example" && claims["aud"]?.string == service.base + "/token")
        #expect(claims["exp"] == .int(start + 3600))

        #expect(service.requests[1].headers["authorization"] == "Bearer first" && service.requests[1].isHTTP2)
        #expect(service.requests[4].headers["authorization"] == "Bearer second")
        let body = json(service.requests[1].body)["message"]
        #expect(body?["token"] == "registration-token-1" && body?["notification"] == nil)
        #expect(body?["data"] == ["relay": .string(relay.string), "envelope_id": .string(wake.envelope.description)])
        #expect(body?["android"]?["priority"] == "high")
        await http.shutDown()
    }

    private let path = "/v1/projects/a-project/messages:send"

    @Test("many wakes at once share one access token")
    func singleFlight() async throws {
        let (sender, http) = try sender()
        let ok = PushServiceDouble.Answer(status: .ok)
        service.answer(grant("only"), ok, ok, ok, ok, ok, ok, ok, ok)
        let wake = try wake(target)
        await withTaskGroup(of: PushOutcome.self) { group in
            for _ in 0..<8 { group.addTask { await sender.send(wake) } }
            for await outcome in group { #expect(outcome == .accepted) }
        }
        #expect(service.requests.filter { $0.path == "/token" }.count == 1)
        await http.shutDown()
    }

    @Test("a token that Google refuses is renewed once; without a token it is tried later")
    func renewal() async throws {
        let (sender, http) = try sender()
        service.answer(.init(status: .internalServerError))
        #expect(await sender.send(try wake(target)) == .later(after: 60))
        service.answer(grant("a"), .init(status: .ok))
        #expect(await sender.send(try wake(target)) == .accepted)
        clock.withLockedValue { $0 += 120 }
        service.answer(.init(status: .unauthorized), grant("b"), .init(status: .ok))
        #expect(await sender.send(try wake(target)) == .accepted)
        #expect(service.requests.last?.headers["authorization"] == "Bearer b")
        await http.shutDown()
    }

    @Test(
        "each status and code is understood",
        arguments: [
            (200, "", PushOutcome.accepted),
            (404, #"{"error":{"status":"NOT_FOUND","details":[{"errorCode":"UNREGISTERED"}]}}"#, .gone),
            (403, #"{"error":{"details":[{"errorCode":"SENDER_ID_MISMATCH"}]}}"#, .gone),
            (403, #"{"error":{"status":"PERMISSION_DENIED"}}"#, .refused),
            (
                400,
                #"{"error":{"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"message.token"}]}]}}"#,
                .gone
            ),
            (
                400,
                #"{"error":{"status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"message.data"}]}]}}"#,
                .refused
            ),
            (429, #"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, .later(after: 60)),
            (503, "not json", .later(after: 9)),
        ] as [(Int, String, PushOutcome)]
    )
    func statuses(_ status: Int, _ body: String, _ outcome: PushOutcome) {
        let retryAfter: Int64? = status == 503 ? 9 : nil
        let answer = ProviderHTTP.Answer(status: status, retryAfter: retryAfter, body: Array(body.utf8))
        #expect(FCMSender.outcome(answer) == outcome)
    }

    @Test("a service account file that lacks something is a fault of configuration")
    func badAccount() {
        for file in [
            "{}", "no", #"{"project_id":"../x","client_email":"a","private_key":"b","token_uri":"https://t"}"#,
        ] {
            #expect(throws: RelayError(.configuration, "")) {
                try FCMSender.ServiceAccount(parsing: Array(file.utf8))
            }
        }
    }
}

@Suite("The turnstile before the senders")
struct TurnstileTests {
    @Test("no more than its limit are inside at once, and too many waiting are sent away")
    func bounds() async {
        let turnstile = Turnstile(limit: 2)
        let (inside, most) = (NIOLockedValueBox(0), NIOLockedValueBox(0))
        let entered = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<60 {
                group.addTask {
                    guard await turnstile.enter() else { return false }
                    let count = inside.withLockedValue { value in
                        value += 1
                        return value
                    }
                    most.withLockedValue { $0 = max($0, count) }
                    await Task.yield()
                    inside.withLockedValue { $0 -= 1 }
                    await turnstile.leave()
                    return true
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(most.withLockedValue { $0 } <= 2 && entered >= 34)
    }
}
