import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import NIOConcurrencyHelpers
import NIOHTTP1
import WebPush

/// Web Push (RFC 8030, 8291, 8292), and UnifiedPush, which is Web Push to a distributor of the user's choice.
///
/// Endpoints are strangers' words: they are posted to through ``GuardedHTTPClient``, which connects to public addresses alone unless
/// the operator names more, and follows no redirect.
public struct WebPushSender: PushSender {
    /// Seconds a push service keeps a wake for a message and for a call.
    public static let messageLifetime = 86_400
    public static let callLifetime = 60

    private let relay: DID
    private let tokens: TokenShelf
    private let client: GuardedHTTPClient
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - subject: how the operator is reached, `mailto:` or `https:`; some services insist on one.
    ///   - clock: Unix seconds.
    public init(
        relay: DID,
        key: VAPIDKey,
        subject: String?,
        client: GuardedHTTPClient,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.relay = relay
        self.tokens = TokenShelf(key: key, subject: subject)
        self.client = client
        self.clock = clock
    }

    public var kinds: [PushTarget.Kind] { [.webPush, .unifiedPush] }

    public func send(_ wake: Wake) async -> PushOutcome {
        switch wake.target {
        case .webPush(let endpoint, let keys): await post(wake, to: endpoint, keys)
        case .unifiedPush(let endpoint, let keys): await post(wake, to: endpoint, keys)
        case .apns, .fcm: .refused
        }
    }

    private func post(_ wake: Wake, to url: String, _ keys: PushTarget.Keys?) async -> PushOutcome {
        let now = clock()
        let request: GuardedHTTPClient.Request
        do throws(WebPushError) {
            request = try makeRequest(wake, to: PushEndpoint(url), keys, at: now)
        } catch {
            // An endpoint that is none, or keys off the curve: nothing will ever reach this target.
            return .gone
        }
        do throws(IdentityError) {
            let response = try await client.send(request, limit: 16_384, redirects: 0)
            let answer = PushAnswer(status: response.status, retryAfter: response.header("Retry-After"), at: now)
            return PushOutcome(answer)
        } catch {
            // An address that the policy forbids stays forbidden; the device is not told, so that it learns nothing of our network.
            return error.code == .refused ? .refused : .later(after: nil)
        }
    }

    private func makeRequest(
        _ wake: Wake,
        to endpoint: PushEndpoint,
        _ keys: PushTarget.Keys?,
        at now: Int64
    ) throws(WebPushError) -> GuardedHTTPClient.Request {
        let parameters = try PushParameters(
            timeToLive: wake.kind == .call ? Self.callLifetime : Self.messageLifetime,
            urgency: wake.kind == .call ? .high : .normal,
            topic: "dsip-\(wake.kind.rawValue)"
        )
        let payload = WakePayload(relay: relay, envelope: wake.envelope).bytes
        guard let keys else {
            // UnifiedPush without keys: the body as it is. It names a relay and an envelope, and no person.
            let headers = parameters.headers(isEncrypted: false) + [(name: "Content-Type", value: "application/json")]
            return GuardedHTTPClient.Request(.POST, endpoint.url, headers: headers, body: payload)
        }
        let subscription = try PushSubscription(
            endpoint: endpoint,
            publicKey: keys.publicKey,
            authenticationSecret: keys.secret
        )
        var random = SystemRandomNumberGenerator()
        return GuardedHTTPClient.Request(
            .POST,
            endpoint.url,
            headers: parameters.headers(authorization: try tokens.authorization(for: endpoint, at: now)),
            body: try subscription.encrypt(payload, using: &random)
        )
    }
}

extension PushOutcome {
    fileprivate init(_ answer: PushAnswer) {
        self =
            switch answer {
            case .accepted: .accepted
            case .gone: .gone
            case .later(let after): .later(after: after.map(Int64.init))
            case .tooLarge, .refused: .refused
            }
    }
}

/// VAPID tokens by push service, used again until an hour before they end (RFC 8292 §2: signing for each message is waste).
private final class TokenShelf: Sendable {
    private static let lifetime: Int64 = 43_200
    private static let maximumServices = 256

    private let key: VAPIDKey
    private let subject: String?
    private let tokens = NIOLockedValueBox<[String: (header: String, until: Int64)]>([:])

    init(key: VAPIDKey, subject: String?) {
        self.key = key
        self.subject = subject
    }

    func authorization(for endpoint: PushEndpoint, at now: Int64) throws(WebPushError) -> String {
        let origin = endpoint.origin
        if let held = tokens.withLockedValue({ $0[origin] }), held.until > now, held.until <= now + Self.lifetime {
            return held.header
        }
        let header = try key.authorization(for: endpoint, subject: subject, at: now, lifetime: Self.lifetime)
        tokens.withLockedValue { tokens in
            if tokens.count >= Self.maximumServices { tokens.removeAll() }
            tokens[origin] = (header, now + Self.lifetime - 3600)
        }
        return header
    }
}
