import DSIPIdentity
import DSIPSignaling
import Encoding

/// Keeps one identity's hint in being: what to sign, and when again (hints profile §2, §9). Publishing is opt-in (§6); an identity that
/// does not publish has no publisher.
///
/// ```swift
/// var publisher = HintPublisher(subject: identity, lastSeq: saved)
/// publisher.endpoints = [.init(uri: "wss://relay.example/dsip")]
/// if publisher.isDue(at: now) {
///     let record = try publisher.sign(at: now, id: id, by: device, delegations: [delegation])   // save publisher.lastSeq
/// }
/// ```
public struct HintPublisher: Sendable {
    public static let maximumEndpoints = 8

    public let subject: DID
    /// Where the identity is reached; none withdraws the hint, which then runs out.
    public var endpoints: [ReachabilityHint.Endpoint] = []
    /// Seconds a hint holds; 60 to 3600.
    public var lifetime: Int64 {
        didSet { lifetime = min(max(lifetime, 60), ProtocolLimits.hintValidity) }
    }
    /// The highest `seq` ever signed, to be kept across restarts.
    public private(set) var lastSeq: Int64
    private var signed: (endpoints: [ReachabilityHint.Endpoint], at: Int64)?

    public init(subject: DID, lifetime: Int64 = 3600, lastSeq: Int64 = 0) {
        self.subject = subject
        self.lifetime = min(max(lifetime, 60), ProtocolLimits.hintValidity)
        self.lastSeq = lastSeq
    }

    /// When to sign again, Unix seconds: at once when the endpoints are others, else at ⅔ of the lifetime. Nil while there is nothing
    /// to say.
    public var nextAt: Int64? {
        guard !endpoints.isEmpty else { return nil }
        guard let signed, signed.endpoints == endpoints else { return .min }
        return signed.at + lifetime * 2 / 3
    }

    public func isDue(at now: Int64) -> Bool {
        // A clock that went back would keep it silent.
        nextAt.map { $0 <= now || signed.map { now < $0.at } ?? true } ?? false
    }

    /// Signs the hint of this moment.
    ///
    /// - Parameters:
    ///   - id: fresh, of this second.
    ///   - key: the subject's, or a device's with its delegation.
    /// - Throws: `.badEndpoint`, `.limit`, `.noEndpoints`, `.signature`.
    public mutating func sign(
        at now: Int64,
        id: ULID,
        by key: SigningKey,
        delegations: [Envelope] = []
    ) throws(DiscoveryError) -> [UInt8] {
        guard !endpoints.isEmpty else { throw DiscoveryError(.noEndpoints, "there is nothing to publish") }
        guard endpoints.count <= HintPublisher.maximumEndpoints else {
            throw DiscoveryError(.limit, "more than \(HintPublisher.maximumEndpoints) endpoints")
        }
        guard endpoints.allSatisfy({ RelayURL.isValid($0.uri) && !$0.bindings.isEmpty }) else {
            throw DiscoveryError(.badEndpoint, "an endpoint is a wss URL with its bindings")
        }
        // The wall clock as seq, but never one that was used.
        let seq = max(now, lastSeq + 1)
        let message = Message(
            .init(id: id, from: subject, issuedAt: now, lifetime: lifetime, version: .core),
            ReachabilityHint(subject: subject, endpoints: endpoints, seq: seq)
        )
        let envelope: Envelope
        do {
            envelope = try Envelope(signing: message.payload(), by: key, delegations: delegations)
        } catch {
            throw DiscoveryError(.signature, error.reason)
        }
        guard envelope.bytes.count <= ProtocolLimits.frame else {
            throw DiscoveryError(.limit, "the hint is too large")
        }
        lastSeq = seq
        signed = (endpoints, now)
        return envelope.bytes
    }
}
