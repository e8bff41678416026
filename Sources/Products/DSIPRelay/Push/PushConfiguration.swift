import DSIPIdentity
import DSIPMessaging
import DSIPTransport
import WebPush

/// How a relay wakes devices. Web Push and UnifiedPush need nothing configured; the others an account of the operator's.
public struct PushConfiguration: Sendable {
    public var isEnabled = true
    /// `mailto:` or `https:`, told to push services so that they can reach the operator (RFC 8292 §2.1).
    public var subject: String?
    /// Address ranges that endpoints may lie in beside public ones.
    public var allowedRanges: [AddressRange] = []
    public var apns: APNsSender.Configuration?
    public var fcm: FCMSender.ServiceAccount?

    public init() {}
}

extension PushSenders {
    /// The senders of a relay.
    ///
    /// - Parameters:
    ///   - key: by which push services know this relay.
    ///   - roots: whom to believe beside the system's authorities.
    ///   - clock: Unix seconds.
    /// - Throws: `.configuration`.
    public convenience init(
        _ configuration: PushConfiguration,
        relay: DID,
        key: VAPIDKey,
        roots: TrustRoots = .system,
        clock: @escaping @Sendable () -> Int64
    ) throws(RelayError) {
        let policy = AddressPolicy(allowing: configuration.allowedRanges)
        let guarded = GuardedHTTPClient(allows: { !policy.refuses($0) }, roots: roots, timeout: .seconds(20))
        var senders: [any PushSender] = [
            WebPushSender(relay: relay, key: key, subject: configuration.subject, client: guarded, clock: clock)
        ]
        guard configuration.apns != nil || configuration.fcm != nil else {
            self.init(senders)
            return
        }
        let http: ProviderHTTP
        do throws(TransportError) {
            http = try ProviderHTTP(roots: roots)
        } catch {
            throw RelayError(.configuration, error.reason)
        }
        if let apns = configuration.apns {
            senders.append(try APNsSender(relay: relay, apns, http: http, clock: clock))
        }
        if let fcm = configuration.fcm {
            senders.append(try FCMSender(relay: relay, fcm, http: http, clock: clock))
        }
        self.init(senders) { await http.shutDown() }
    }
}

extension VAPIDKey {
    /// The name of the key's file in a state folder.
    static let fileName = "vapid.key"

    /// The relay's key, made the first time. Browsers' subscriptions are bound to it: a relay that loses it has to be subscribed to anew.
    static func kept(in folder: StateFolder) throws(RelayError) -> VAPIDKey {
        if let bytes = try folder.read(fileName, limit: 32) {
            do throws(WebPushError) {
                return try VAPIDKey(privateKey: bytes)
            } catch {
                throw RelayError(.storage, "\(folder.file(fileName)) holds no key. Remove it to have another made.")
            }
        }
        var random = SystemRandomNumberGenerator()
        let key = VAPIDKey(using: &random)
        try folder.write(key.privateKey, to: fileName)
        return key
    }
}
