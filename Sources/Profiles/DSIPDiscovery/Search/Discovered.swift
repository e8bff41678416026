import DSIPIdentity
import DSIPSignaling
import Encoding
import Libp2p

/// What was found of an identity.
public struct Discovered: Sendable {
    public static let maximumRoutes = 32

    /// When an alias was asked for.
    public internal(set) var alias: AliasFinding?
    public internal(set) var did: DID?
    public internal(set) var document: DIDDocument?
    /// Who carried the document, where its own place did not answer.
    public internal(set) var carrier: String?
    public internal(set) var presence: PresenceRecord?
    public internal(set) var home: HomeRecord?
    /// The hint that was selected.
    public internal(set) var hint: FoundHint?
    /// Two live hints claim to be the same one; people should know.
    public internal(set) var hasConflictingHints = false
    /// Ways to reach it, the best first.
    public internal(set) var routes: [DiscoveredRoute] = []
    /// Why there is no document, or no identity at all.
    public internal(set) var failure: IdentityError?
    public internal(set) var steps: [DiscoveryStep] = []

    init() {}
}

/// A way to reach somebody, and who says so.
public struct DiscoveredRoute: Hashable, Sendable {
    public enum Way: Hashable, Sendable, CustomStringConvertible {
        /// A `wss` URL of a relay.
        case relay(String)
        /// A device itself.
        case direct(Multiaddr)

        public var description: String {
            switch self {
            case .relay(let url): url
            case .direct(let address): address.description
            }
        }
    }

    /// In the order in which they are tried.
    public enum Origin: Int, Comparable, Sendable {
        /// Signed, and of this minute.
        case presence
        /// What the identity's document says, which decides (DSIP §8.1).
        case document
        case home
        /// What an alias's server says beside the identity.
        case alias
        /// What a link or a person said.
        case link
        /// Found in a DHT; never authority.
        case hint

        public static func < (a: Origin, b: Origin) -> Bool { a.rawValue < b.rawValue }

        /// For people.
        public var text: String {
            switch self {
            case .presence: "by a presence record that the identity signed"
            case .document: "by the identity's document"
            case .home: "by a home record that the identity signed"
            case .alias: "by the alias's server, not authoritative"
            case .link: "by the link, not authoritative"
            case .hint: "by a hint in the DHT, not authoritative"
            }
        }
    }

    public let way: Way
    public let origin: Origin

    init(_ way: Way, from origin: Origin) {
        self.way = way
        self.origin = origin
    }
}

extension ReachabilityHint.Endpoint {
    /// Whether it stands for a signaling service: so it does where it names none (hints profile §2).
    var isSignaling: Bool { parameters["service"].map { $0.string == "DSIPSignaling" } ?? true }
}
