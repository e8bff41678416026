import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// Apple's push service: HTTP/2, a token signed with the team's key, renewed every 50 minutes (Apple takes them for 60, and no new one
/// within 20).
///
/// A call wakes a token of PushKit with type `voip`; a message wakes the other with `alert`, so that the app's service extension
/// fetches what came, or with `background`, as the operator chooses. A message never wakes a PushKit token: iOS ends apps that take
/// such a push and show no call.
public struct APNsSender: PushSender {
    public struct Configuration: Sendable {
        public enum MessageStyle: String, Sendable {
            case alert, background
        }

        /// The team that the key belongs to, ten characters.
        public var team: String
        /// Of the signing key, ten characters.
        public var keyIdentifier: String
        /// The `.p8` file's text.
        public var key: String
        /// Bundle identifiers that are served; others are refused.
        public var topics: Set<String>
        public var messages: MessageStyle = .alert
        /// Other hosts than Apple's, in tests.
        var production = "https://api.push.apple.com"
        var sandbox = "https://api.sandbox.push.apple.com"

        public init(team: String, keyIdentifier: String, key: String, topics: Set<String>) {
            self.team = team
            self.keyIdentifier = keyIdentifier
            self.key = key
            self.topics = topics
        }
    }

    static let tokenLifetime: Int64 = 3000
    static let tokenPause: Int64 = 1200

    private let relay: DID
    private let configuration: Configuration
    private let http: ProviderHTTP
    private let token: ProviderToken
    private let clock: @Sendable () -> Int64

    /// - Throws: `.configuration` when the key is no P-256 key in PEM.
    init(
        relay: DID,
        _ configuration: Configuration,
        http: ProviderHTTP,
        clock: @escaping @Sendable () -> Int64
    ) throws(RelayError) {
        guard let key = try? P256.Signing.PrivateKey(pemRepresentation: configuration.key) else {
            throw RelayError(.configuration, "the APNs key is no .p8 file of a P-256 key")
        }
        let (team, identifier) = (configuration.team, configuration.keyIdentifier)
        self.relay = relay
        self.configuration = configuration
        self.http = http
        self.clock = clock
        token = ProviderToken(pause: Self.tokenPause) { now in
            let header = JOSEHeader(protected: ["alg": "ES256", "kid": .string(identifier)])
            let claims: JSONValue = ["iss": .string(team), "iat": .int(now)]
            let jws = try JWS(signing: claims.utf8, header: header) { input in
                Array(try key.signature(for: input).rawRepresentation)
            }
            return ProviderToken.Value(text: try jws.compact(), renewAt: now + Self.tokenLifetime)
        }
    }

    public var kinds: [PushTarget.Kind] { [.apns] }

    public func send(_ wake: Wake) async -> PushOutcome {
        guard case .apns(let target) = wake.target, configuration.topics.contains(target.topic) else { return .refused }
        if target.isVoIP, wake.kind == .message { return .accepted }
        return await send(wake, to: target, mayRenew: true)
    }

    private func send(_ wake: Wake, to target: PushTarget.APNs, mayRenew: Bool) async -> PushOutcome {
        let now = clock()
        guard let token = try? await token.token(at: now) else { return .refused }
        let host = target.isSandbox ? configuration.sandbox : configuration.production
        let url = "\(host)/3/device/\(Hex.encode(target.token))"
        let request = makeRequest(wake, to: target, token, at: now)
        guard let answer = try? await http.post(url, headers: request.headers, body: request.body) else {
            return .later(after: nil)
        }
        let reason = (try? JSONValue(parsing: answer.body, limits: .init(bytes: 65_536, depth: 8, members: 64)))?[
            "reason"
        ]
        if reason?.string == "ExpiredProviderToken", mayRenew, await self.token.refused(token, at: now) {
            return await send(wake, to: target, mayRenew: false)
        }
        return Self.outcome(answer, reason: reason?.string)
    }

    private func makeRequest(
        _ wake: Wake,
        to target: PushTarget.APNs,
        _ token: String,
        at now: Int64
    ) -> (headers: [(name: String, value: String)], body: [UInt8]) {
        var payload: JSONObject = [
            "relay": .string(relay.string), "envelope_id": .string(wake.envelope.description),
        ]
        var headers = [
            (name: "authorization", value: "bearer \(token)"),
            (name: "apns-topic", value: target.isVoIP ? target.topic + ".voip" : target.topic),
        ]
        func add(_ name: String, _ value: String) { headers.append((name: name, value: value)) }
        if target.isVoIP {
            add("apns-push-type", "voip")
        } else if wake.kind == .message, configuration.messages == .background {
            payload["aps"] = ["content-available": 1]
            add("apns-push-type", "background")
        } else {
            // The app has the words in the person's language; nothing here says who called or wrote.
            payload["aps"] = [
                "alert": ["loc-key": .string(wake.kind == .call ? "DSIP_CALL" : "DSIP_MESSAGE")], "mutable-content": 1,
                "sound": "default",
            ]
            add("apns-push-type", "alert")
        }
        let isUrgent = target.isVoIP || wake.kind == .call || configuration.messages == .alert
        add("apns-priority", isUrgent ? "10" : "5")
        let lifetime = wake.kind == .call ? WebPushSender.callLifetime : WebPushSender.messageLifetime
        add("apns-expiration", "\(now + Int64(lifetime))")
        if !target.isVoIP { add("apns-collapse-id", "dsip-\(wake.kind.rawValue)") }
        return (headers, JSONValue.object(payload).utf8)
    }

    /// Apple's table of status codes and reasons.
    static func outcome(_ answer: ProviderHTTP.Answer, reason: String?) -> PushOutcome {
        switch (answer.status, reason) {
        case (200, _): .accepted
        case (410, _), (400, "BadDeviceToken"), (400, "DeviceTokenNotForTopic"): .gone
        case (429, "TooManyProviderTokenUpdates"): .later(after: max(answer.retryAfter ?? 0, tokenPause))
        case (429, _), (500..., _): .later(after: answer.retryAfter)
        // A token that expired and was renewed too lately to be made anew.
        case (403, "ExpiredProviderToken"): .later(after: tokenPause)
        default: .refused
        }
    }
}
