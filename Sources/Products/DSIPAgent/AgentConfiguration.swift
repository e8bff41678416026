import DSIPDiscovery
import DSIPIdentity
import DSIPMessaging
import FoundationEssentials

/// Where an agent keeps its things and whom it talks to.
public struct AgentConfiguration: Sendable {
    /// Made with mode 0700 when it is not there: `wallet.json`, `wallet.key`, `agent.sqlite`.
    public var stateFolder: String
    /// `wss://…` of the relay new identities are reached at.
    public var relay: String
    /// PEM files of roots believed beside the system's: a development relay's.
    public var trustRoots: [String]
    /// The name of the identity made on the first run.
    public var displayName: String
    /// What this device is called and what it is, for the person's own list and for "ringing on a computer".
    public var deviceName: String
    public var deviceKind: Device.Kind
    /// Unlocks the wallet; nil uses the key file beside it.
    public var passphrase: String?
    /// Addresses that documents may be fetched from although they are private: a relay in one's own network.
    public var allowedAddresses: [AddressRange]
    /// Make an identity on the first run. Off for a device that waits to be paired.
    public var createsIdentity: Bool
    /// What this agent is there for.
    public var mode = Mode.full
    /// Seconds for which a group's hub may be gone before the group goes on without it. M§9.4
    public var hubTimeout = MessagingProfile.hubTimeout
    /// The DHT in which people are found by their address alone. Joined in `full` mode only.
    public var dht = DHT.off
    /// Asked for aliases beside their domains' web servers.
    public var aliases = AliasPlaces()
    /// Networks whose accounts are identities (did:ethr), with the nodes that are believed for them.
    public var ethereum: [EthereumNetwork] = []
    /// Pkarr relays, `https://…`, and nodes of the BitTorrent DHT, `mainline:HOST:PORT`: asked for did:dht and for where bare keys are reached,
    /// and told the same of identities whose key is here.
    public var pkarr: [String] = []
    /// Unix seconds.
    public var clock: @Sendable () -> Int64
    public var version: String

    public enum Mode: Sendable, Hashable {
        /// Takes and places calls until it is stopped.
        case full
        /// Connects for one errand of a program that is about to end: whatever rings meanwhile is left to the other devices.
        case errand
        /// Never connects to a relay.
        case offline
    }

    public enum DHT: Sendable {
        /// Asked through the relay, where that is a host.
        case off
        /// With a host of its own: a client unless it listens.
        case own(Overlay.Configuration)
        /// With the host of a relay in the same process, which starts and stops it.
        case shared(Overlay)
    }

    public init(
        stateFolder: String,
        relay: String,
        trustRoots: [String] = [],
        displayName: String = "",
        deviceName: String = "This computer",
        deviceKind: Device.Kind = .computer,
        passphrase: String? = nil,
        allowedAddresses: [AddressRange] = [],
        createsIdentity: Bool = true,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) },
        version: String = "0.1.0"
    ) {
        self.stateFolder = stateFolder
        self.relay = relay
        self.trustRoots = trustRoots
        self.displayName = displayName
        self.deviceName = deviceName
        self.deviceKind = deviceKind
        self.passphrase = passphrase
        self.allowedAddresses = allowedAddresses
        self.createsIdentity = createsIdentity
        self.clock = clock
        self.version = version
    }
}
