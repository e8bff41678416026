import DSIPIdentity
import Encoding

/// What a host of the DHT says of itself to those who found it under a region: a relay, where it is signalled; a person who shows everybody
/// where they are, whom to look for.
///
/// Its own word and a hint: a relay proves who it is in its hello, a person by the presence record that they signed.
///
/// ```json
/// {"did":"did:web:relay.example","ws":["wss://relay.example/dsip"],"geo":"u33d"}
/// ```
public struct HostAbout: Hashable, Sendable {
    public static let protocolID = "/dsip/about/1.0.0"
    /// Bytes.
    static let maximumLength = 4096

    public var did: DID?
    /// `wss` URLs.
    public var relays: [String]
    public var region: Geohash?

    public init(did: DID? = nil, relays: [String] = [], region: Geohash? = nil) {
        self.did = did
        self.relays = relays
        self.region = region
    }

    /// What it is found under, the finest first.
    var regions: [Geohash] { region?.prefixes ?? [] }

    init?(_ bytes: [UInt8]) {
        let limits = JSONDocument.Limits(bytes: HostAbout.maximumLength, depth: 4, members: 32)
        guard let json = IJSON.read(bytes, limits: limits), json.object != nil else { return nil }
        did = json["did"]?.string.flatMap { DID($0) }
        relays = (json["ws"]?.array ?? []).prefix(PresenceReach.maximumEndpoints).compactMap(\.string)
            .filter { RelayURL.isValid($0) }
        region = json["geo"]?.string.flatMap { Geohash($0) }
    }

    var bytes: [UInt8] { json.utf8 }

    public var json: JSONValue {
        var object: JSONObject = [:]
        if let did { object["did"] = .string(did.string) }
        if !relays.isEmpty { object["ws"] = .array(relays.map { .string($0) }) }
        if let region { object["geo"] = .string(region.text) }
        return .object(object)
    }
}
