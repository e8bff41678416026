import Crypto
import CryptoExtras
import DSIPIdentity
import DSIPMessaging
import Encoding

/// Firebase Cloud Messaging, HTTP v1: an access token had for a signed assertion of the service account (RFC 7523), data messages only.
public struct FCMSender: PushSender {
    /// The service account file that Google gives, as far as it is used.
    public struct ServiceAccount: Sendable {
        public var project: String
        public var email: String
        /// PEM of an RSA key.
        public var key: String
        /// Where access tokens are had; `https`.
        public var tokenURL: String

        /// - Throws: `.configuration`.
        public init(parsing file: [UInt8]) throws(RelayError) {
            let limits = JSONDocument.Limits(bytes: 65_536, depth: 4, members: 64)
            guard let json = try? JSONValue(parsing: file, limits: limits), let project = json["project_id"]?.string,
                let email = json["client_email"]?.string, let key = json["private_key"]?.string,
                let url = json["token_uri"]?.string, url.hasPrefix("https://"), !project.isEmpty,
                project.utf8.allSatisfy({
                    $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2d
                })
            else { throw RelayError(.configuration, "the FCM service account file lacks what such a file has") }
            (self.project, self.email, self.key, self.tokenURL) = (project, email, key, url)
        }
    }

    private static let scope = "https://www.googleapis.com/auth/firebase.messaging"

    private let relay: DID
    private let url: String
    private let http: ProviderHTTP
    private let token: ProviderToken
    private let clock: @Sendable () -> Int64

    /// - Parameter base: Google's host, and in tests another.
    /// - Throws: `.configuration` when the account's key is no RSA key in PEM.
    init(
        relay: DID,
        _ account: ServiceAccount,
        http: ProviderHTTP,
        base: String = "https://fcm.googleapis.com",
        clock: @escaping @Sendable () -> Int64
    ) throws(RelayError) {
        guard let key = try? _RSA.Signing.PrivateKey(pemRepresentation: account.key) else {
            throw RelayError(.configuration, "the private key of the FCM service account cannot be read")
        }
        self.relay = relay
        self.http = http
        self.clock = clock
        url = "\(base)/v1/projects/\(account.project)/messages:send"
        token = ProviderToken(pause: 60) { now in
            try await Self.accessToken(account, key, http, at: now)
        }
    }

    public var kinds: [PushTarget.Kind] { [.fcm] }

    public func send(_ wake: Wake) async -> PushOutcome {
        guard case .fcm(let registration) = wake.target else { return .refused }
        return await send(wake, to: registration, mayRenew: true)
    }

    private func send(_ wake: Wake, to registration: String, mayRenew: Bool) async -> PushOutcome {
        let now = clock()
        guard let token = try? await token.token(at: now) else { return .later(after: 60) }
        let lifetime = wake.kind == .call ? WebPushSender.callLifetime : WebPushSender.messageLifetime
        let message: JSONValue = [
            "message": [
                "token": .string(registration),
                "data": ["relay": .string(relay.string), "envelope_id": .string(wake.envelope.description)],
                "android": [
                    "priority": "high", "ttl": "\(lifetime)s", "collapse_key": "dsip-\(wake.kind.rawValue)",
                ],
            ]
        ]
        let headers = [
            (name: "authorization", value: "Bearer \(token)"), (name: "content-type", value: "application/json"),
        ]
        guard let answer = try? await http.post(url, headers: headers, body: message.utf8) else {
            return .later(after: nil)
        }
        if answer.status == 401, mayRenew, await self.token.refused(token, at: now) {
            return await send(wake, to: registration, mayRenew: false)
        }
        return Self.outcome(answer)
    }

    /// Google's table of error codes.
    static func outcome(_ answer: ProviderHTTP.Answer) -> PushOutcome {
        let error = (try? JSONValue(parsing: answer.body, limits: .init(bytes: 65_536, depth: 16, members: 256)))?[
            "error"
        ]
        let details = error?["details"]?.array ?? []
        let code = details.compactMap { $0["errorCode"]?.string }.first ?? error?["status"]?.string
        let fields = details.flatMap { $0["fieldViolations"]?.array ?? [] }.compactMap { $0["field"]?.string }
        switch (answer.status, code) {
        case (200, _): return .accepted
        case (404, _), (_, "UNREGISTERED"), (_, "SENDER_ID_MISMATCH"): return .gone
        // The rest of the message is ours and the same for all, so that only the token can be at fault.
        case (400, "INVALID_ARGUMENT") where fields.contains("message.token"): return .gone
        case (429, _): return .later(after: max(answer.retryAfter ?? 0, 60))
        case (401, _), (500..., _): return .later(after: answer.retryAfter)
        default: return .refused
        }
    }

    // RFC 7523 §2.1.
    private static func accessToken(
        _ account: ServiceAccount,
        _ key: _RSA.Signing.PrivateKey,
        _ http: ProviderHTTP,
        at now: Int64
    ) async throws -> ProviderToken.Value {
        let claims: JSONValue = [
            "iss": .string(account.email), "scope": .string(scope), "aud": .string(account.tokenURL), "iat": .int(now),
            "exp": .int(now + 3600),
        ]
        let header = JOSEHeader(protected: ["alg": "RS256", "typ": "JWT"])
        let assertion = try JWS(signing: claims.utf8, header: header) { input in
            let digest = SHA256.hash(data: input)
            // RS256 is what Google takes; the scheme is sound for signatures.
            return Array(try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation)
        }.compact()
        let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=\(assertion)"
        let answer = try await http.post(
            account.tokenURL,
            headers: [(name: "content-type", value: "application/x-www-form-urlencoded")],
            body: Array(form.utf8)
        )
        guard answer.status == 200, let json = try? JSONValue(parsing: answer.body, limits: .init(bytes: 65_536)),
            let token = json["access_token"]?.string, let lifetime = json["expires_in"]?.int, lifetime > 0,
            token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw RelayError(.refused, "Google gave no access token: status \(answer.status)") }
        // Five minutes before its end, or half-way for one that lives shorter than ten.
        let use = max(lifetime - 300, lifetime / 2)
        return ProviderToken.Value(text: token, renewAt: now + min(use, 3600))
    }
}
