import DSIPDiscovery
import Encoding
import Libp2p

/// What somebody says of where they are at this moment.
public struct Presence: Sendable, Hashable {
    /// Unix seconds until which it holds.
    public var until: Int64
    /// `wss` URLs.
    public var relays: [String]
    /// Multiaddresses of their devices.
    public var direct: [String]
    /// A geohash.
    public var region: String?
    /// Whether some of it is for contacts only.
    public var isSealed: Bool

    init(_ record: PresenceRecord, sealed: PresenceReach?) {
        let reach = sealed ?? record.reach
        until = record.expiresAt
        relays = reach.relays
        direct = reach.direct.map(\.description)
        region = reach.geo?.geohash.text
        isSealed = sealed != nil
    }

    var json: JSONValue {
        [
            "until": .int(until), "relays": .array(relays.map { .string($0) }),
            "direct": .array(direct.map { .string($0) }), "region": .optional(region), "for_contacts": .bool(isSealed),
        ]
    }
}
