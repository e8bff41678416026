import DSIPIdentity

/// Keeps one identity's presence in being, for those its owner chose, at a rate of its own (proposal 0.3 §5.1).
///
/// What is published is decided by `visibility` alone: nothing for an identity that is ephemeral or made for one contact, relays for
/// everybody by default, addresses and place sealed to contacts, or all of it in the open.
public struct PresencePublisher: Sendable {
    public enum Visibility: Hashable, Sendable {
        /// Nothing is published, ever.
        case nobody
        /// Everybody sees the relays; no address and no place.
        case relayOnly
        /// Contacts see everything, by their X25519 keys; others that there is a record.
        case contacts([[UInt8]])
        case everybody
    }

    /// Seconds between two records, though what they say changes oftener.
    public static let minimumInterval: Int64 = 20

    public let subject: DID
    public var visibility: Visibility = .relayOnly
    /// All that is known; `visibility` decides what of it is said.
    public var reach = PresenceReach()
    /// Seconds a record holds; brought into 60 to 300.
    public var lifetime: Int64 {
        didSet { lifetime = PresencePublisher.clamped(lifetime) }
    }
    /// The highest `seq` ever signed, to be kept across restarts.
    public private(set) var lastSeq: Int64
    private var signed: (visibility: Visibility, reach: PresenceReach, at: Int64, next: Int64)?

    public init(subject: DID, lifetime: Int64 = 240, lastSeq: Int64 = 0) {
        self.subject = subject
        self.lifetime = PresencePublisher.clamped(lifetime)
        self.lastSeq = lastSeq
    }

    /// When to sign again, Unix seconds; nil while nothing is to be said.
    public var nextAt: Int64? {
        if visibility == .nobody || reach.isEmpty { return nil }
        guard let signed else { return .min }
        let isChanged = signed.visibility != visibility || signed.reach != reach
        return isChanged ? min(signed.at + PresencePublisher.minimumInterval, signed.next) : signed.next
    }

    public func isDue(at now: Int64) -> Bool {
        // A clock that went back would keep it silent.
        nextAt.map { $0 <= now || signed.map { now < $0.at } ?? false } ?? false
    }

    /// Signs the record of this moment. The next is due at a moment of chance between half and three quarters of its life, so that
    /// publications of many, or of one person's identities, do not keep step.
    ///
    /// - Parameters:
    ///   - key: of the subject, or of a device with its `delegation`.
    /// - Throws: `.refused` when nothing may be published, `.badEndpoint`, `.limit`, `.badKey`, `.signature`.
    public mutating func sign(
        at now: Int64,
        by key: SigningKey,
        delegation: Envelope? = nil,
        using random: inout some RandomNumberGenerator
    ) throws(DiscoveryError) -> [UInt8] {
        guard visibility != .nobody, !reach.isEmpty else { throw DiscoveryError(.refused, "nothing is published") }
        guard reach.relays.allSatisfy({ RelayURL.isValid($0) }) else {
            throw DiscoveryError(.badEndpoint, "a relay is a wss URL")
        }
        guard max(reach.relays.count, reach.direct.count) <= PresenceReach.maximumEndpoints else {
            throw DiscoveryError(.limit, "more than \(PresenceReach.maximumEndpoints) endpoints")
        }
        let seq = max(now, lastSeq + 1)
        let expiresAt = now + lifetime
        var (open, sealed): (PresenceReach, SealedReach?) = (PresenceReach(), nil)
        switch visibility {
        case .nobody: break
        case .relayOnly: open = reach.relaysOnly
        case .everybody: open = reach
        case .contacts(let contacts):
            let context = SealedReach.context(subject, seq: seq, expiresAt: expiresAt)
            sealed = try SealedReach(reach, to: contacts, context: context)
        }
        let bytes = try PresenceRecord.sign(
            open,
            sealed: sealed,
            of: subject,
            seq: seq,
            expiresAt: expiresAt,
            by: key,
            delegation: delegation
        )
        lastSeq = seq
        let next = now + lifetime / 2 + Int64.random(in: 0...lifetime / 4, using: &random)
        signed = (visibility, reach, now, next)
        return bytes
    }

    /// Regions under which this identity announces itself: for those who show their place to everybody only.
    public var regions: [Geohash] {
        guard visibility == .everybody, let geo = reach.geo else { return [] }
        return geo.geohash.prefixes
    }

    private static func clamped(_ lifetime: Int64) -> Int64 {
        min(max(lifetime, PresenceRecord.lifetime.lowerBound), PresenceRecord.lifetime.upperBound)
    }
}
