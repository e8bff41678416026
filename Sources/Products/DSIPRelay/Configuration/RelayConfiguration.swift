import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import Logging

/// Everything that can be chosen about a relay. The defaults make a development relay on this machine alone.
///
/// ```swift
/// var configuration = RelayConfiguration(stateFolder: "/tmp/relay")
/// configuration.port = 0                        // any free one
/// let relay = Relay(configuration)
/// let running = try await relay.start()
/// ```
public struct RelayConfiguration: Sendable {
    /// Which identities the relay serves (DSIP §13.6).
    public enum Scope: Sendable, Hashable {
        /// Everyone whose device completes a verified `hello`.
        case open
        /// These identities; others may connect to reach them.
        case `private`(Set<DID>)
        /// These identities, and no one else may connect.
        case closed(Set<DID>)
    }

    /// Where the relay listens.
    public var host = "127.0.0.1"
    /// TCP port of signaling and HTTP; 0 for any free one.
    public var port = 7443
    /// The public name, `host` or `host:port`, under which this relay's TLS endpoint is reached. With one, the relay is
    /// `did:web:<hostname>` and registers names; without one it is a `did:key` and registers none.
    public var hostname: String?
    /// Folder for keys, certificates and the database; created with mode 0700.
    public var stateFolder: String
    public var tls = TLS()
    public var scope = Scope.open
    public var holding = Holding()
    public var limits = Limits()
    public var names = Names()
    public var messaging = Messaging()
    public var ratchet = Ratchet()
    public var blobs = Blobs()
    public var push = Push()
    public var discovery = Discovery()
    public var dht = DHT()
    public var stun = STUN()
    public var quic = QUIC()
    public var resolver = Resolver()
    /// Seconds that a graceful shutdown may take.
    public var drainSeconds = 10
    public var logLevel = Logger.Level.info
    public var logFormat = LogFormat.text
    /// Whether connections and metrics answer `/metrics` from elsewhere than this machine.
    public var publicMetrics = false

    public init(stateFolder: String) { self.stateFolder = stateFolder }

    public struct TLS: Sendable, Hashable {
        /// PEM file with the chain, leaf first; nil for a development authority in the state folder.
        public var certificate: String?
        /// PEM file with the private key; given together with `certificate`.
        public var key: String?
        /// Further names and addresses for the development certificate.
        public var names: [String] = []
    }

    public struct Holding: Sendable, Hashable {
        /// Seconds an envelope waits for its recipient, and an identity stays known after its last device was here (DSIP §13.3).
        public var retentionSeconds: Int64 = 86_400
        public var perRecipient = 64
        public var total = 100_000
        /// Introductions held for one recipient (DSIP §19.4).
        public var introductionsPerRecipient = 16
        /// Size of the database file, in bytes; 0 for no bound but the disk.
        public var maximumBytes = 1 << 30
        /// Keep everything in memory and nothing on disk; a restart forgets.
        public var inMemory = false
    }

    public struct Limits: Sendable, Hashable {
        /// Envelopes a device may send.
        public var envelopesPerMinute = 600
        /// Invites an identity may send.
        public var invitesPerMinute = 60
        /// Connections one address may hold open, verified or not.
        public var connectionsPerAddress = 256
        /// Connections one address may open.
        public var connectsPerMinutePerAddress = 600
        /// Introductions a self-issued identity (`did:key`) may send.
        public var introductionsPerDay = 10
        /// Introductions a domain-bound identity may send.
        public var introductionsPerDayDomain = 50
        /// Introductions one recipient may be sent by all others together.
        public var introductionsPerRecipientPerDay = 100
        /// Keys each of these tables remembers.
        public var remembered = 65_536
        /// Open connections in all.
        public var connections = 20_000
    }

    public struct Names: Sendable, Hashable {
        /// Register names and host documents. Needs `hostname`.
        public var enabled = true
        /// Names nobody may register, beside the built-in list.
        public var reserved: [String] = []
        public var perIdentity = 3
        public var registrationsPerDayPerAddress = 10
        public var total = 100_000
    }

    /// Mailboxes and hubs (Messaging Profile 1.0).
    public struct Messaging: Sendable, Hashable {
        public var enabled = true
        /// Order groups. M§6.5
        public var isHub = true
        /// Bytes one owner may have here, blobs included. M§4.4
        public var quotaBytes = 1 << 30
        /// Size of the database file, in bytes; 0 for no bound but the disk.
        public var maximumBytes = 8 << 30
        /// Seconds MLS items are kept, and blobs nobody owns. M§4.4
        public var retentionSeconds: Int64 = 2_592_000
        /// Seconds archive records are kept at most. M§4.4
        public var archiveSeconds: Int64 = 31_536_000
        /// Messages of the profile a device may send. M§14.3
        public var messagesPerMinute = 3000
        /// The same for another service: a did:web that speaks for itself.
        public var servicesPerMinute = 60_000
        /// KeyPackage fetches an identity may make. M§5.5
        public var fetchesPerMinute = 60
        /// Other services connected to at once.
        public var links = 256
        /// Keep everything in memory and nothing on disk; a restart forgets.
        public var inMemory = false
    }

    /// Prekeys, and sealed messages for people without a mailbox of the profile.
    public struct Ratchet: Sendable, Hashable {
        public var enabled = true
        /// Size of the database file, in bytes; 0 for no bound but the disk.
        public var maximumBytes = 2 << 30
    }

    public struct Blobs: Sendable, Hashable {
        /// Where blobs are kept; nil for a folder in the state folder.
        public var folder: String?
        /// Bytes of one. M§4.3
        public var maximumBlobBytes = 100 << 20
        /// Bytes of all; 0 for no bound but the disk.
        public var maximumBytes = 10 << 30
    }

    /// Web Push and UnifiedPush need nothing; Apple's and Google's services an account of the operator's.
    public struct Push: Sendable, Hashable {
        public var enabled = true
        /// `mailto:` or `https:` (RFC 8292 §2.1).
        public var subject: String?
        /// The `.p8` file; given together with the three below.
        public var apnsKey: String?
        public var apnsKeyIdentifier: String?
        public var apnsTeam: String?
        public var apnsTopics: [String] = []
        /// The JSON file of a service account.
        public var fcmAccount: String?
    }

    /// Hints and home records over HTTP: where people are who say so.
    public struct Discovery: Sendable, Hashable {
        public var enabled = true
    }

    /// A host in the DHT, which finds people of other relays and is asked by others.
    public struct DHT: Sendable, Hashable {
        public var enabled = false
        /// TCP multiaddresses. Without any the relay asks the DHT, and serves nobody there.
        public var listen = ["/ip4/0.0.0.0/tcp/4001"]
        /// Hosts to begin with, `/ip4/…/tcp/…/p2p/…`.
        public var bootstrap: [String] = []
        /// A geohash of one to five characters, under which clients find the relays near to them.
        public var region: String?
        /// Multicast DNS.
        public var local = false
        /// Hosts that cannot be dialled and are connected with others (circuit relay v2); none when 0.
        public var circuits = 0
    }

    public struct STUN: Sendable, Hashable {
        public var enabled = true
        /// UDP port; 0 for any free one.
        public var port = 3478
        /// What clients are told to ask, `host` or `host:port`; by default the name or address the relay is reached at.
        public var advertised: String?
    }

    public struct QUIC: Sendable, Hashable {
        /// Speak `quic/1.0` beside `ws/1.0`.
        public var enabled = false
        /// UDP port; 0 for the number of the TCP port.
        public var port = 0
    }

    public struct Resolver: Sendable, Hashable {
        /// Fetch did:web documents from private and loopback addresses too. For development only.
        public var allowPrivateAddresses = false
        /// PEM file with roots to trust besides the system's, when fetching documents.
        public var additionalRoots: String?
        /// Pkarr relays asked for the documents of did:dht, `https://…`.
        public var pkarr: [String] = []
        /// Nodes believed for did:ethr, `NETWORK[@REGISTRY]=https://…`.
        public var ethereum: [String] = []
    }

    /// Checks what one setting alone cannot show.
    /// - Throws: `.configuration` with a sentence that says what to do.
    public func validate() throws(RelayError) {
        func demand(_ holds: Bool, _ sentence: String) throws(RelayError) {
            guard holds else { throw RelayError(.configuration, sentence) }
        }
        for url in resolver.pkarr where !url.hasPrefix("https://") || url.hasSuffix("/") {
            try demand(false, "resolver.pkarr has “\(url)”; a Pkarr relay looks like https://pkarr.example.")
        }
        for node in resolver.ethereum {
            try demand(
                EthereumNetwork.isValid(node),
                "resolver.ethereum has “\(node)”; a node looks like mainnet=https://node.example or 0x5@0x…registry=https://node.example."
            )
        }
        try demand((0...65_535).contains(port), "port is \(port); give a TCP port from 0 to 65535.")
        try demand((0...65_535).contains(stun.port), "stun.port is \(stun.port); give a UDP port from 0 to 65535.")
        try demand((0...65_535).contains(quic.port), "quic.port is \(quic.port); give a UDP port from 0 to 65535.")
        try demand(
            !quic.enabled || QUICBinding.isAvailable,
            "quic.enabled is true, and this build has no QUIC; build with `--traits QUIC`, or set it to false."
        )
        try demand(!stateFolder.isEmpty, "state is empty; name a folder that the relay may write to.")
        try demand(
            (tls.certificate == nil) == (tls.key == nil),
            "tls.certificate and tls.key belong together; give both, or neither for a development certificate."
        )
        if let hostname {
            try demand(
                Authority(hostname) != nil,
                "hostname is \"\(hostname)\"; give a public name such as relay.example.com or localhost:7443, without scheme or path."
            )
        }
        try demand(
            [push.apnsKey, push.apnsKeyIdentifier, push.apnsTeam].allSatisfy { ($0 == nil) == push.apnsTopics.isEmpty },
            "push.apns-key, push.apns-key-id, push.apns-team and push.apns-topics belong together; give all, or none."
        )
        if let subject = push.subject {
            try demand(
                subject.hasPrefix("mailto:") || subject.hasPrefix("https://"),
                "push.subject is \"\(subject)\"; give an address such as mailto:admin@example.com."
            )
        }
        if let region = dht.region {
            try demand(
                Geohash(region) != nil,
                "dht.region is \"\(region)\"; give a geohash of one to five characters, such as u33d."
            )
        }
        switch scope {
        case .open: break
        case .private(let served), .closed(let served):
            try demand(!served.isEmpty, "scope is not open and serves nobody; list the identities in scope.serves.")
        }
        try demand(holding.retentionSeconds >= 0, "hold.seconds is negative; 0 turns holding off.")
        for (key, value) in [
            ("hold.per-recipient", holding.perRecipient), ("hold.total", holding.total),
            ("hold.introductions", holding.introductionsPerRecipient), ("hold.bytes", holding.maximumBytes),
            ("limits.envelopes-per-minute", limits.envelopesPerMinute),
            ("limits.invites-per-minute", limits.invitesPerMinute),
            ("limits.connections-per-address", limits.connectionsPerAddress),
            ("limits.connects-per-minute", limits.connectsPerMinutePerAddress),
            ("limits.connections", limits.connections), ("limits.remembered", limits.remembered),
            ("limits.introductions-per-day", limits.introductionsPerDay),
            ("limits.introductions-per-day-domain", limits.introductionsPerDayDomain),
            ("limits.introductions-per-recipient", limits.introductionsPerRecipientPerDay),
            ("names.per-identity", names.perIdentity),
            ("names.per-address-per-day", names.registrationsPerDayPerAddress),
            ("names.total", names.total), ("messaging.bytes", messaging.maximumBytes),
            ("messaging.quota-bytes", messaging.quotaBytes), ("messaging.links", messaging.links),
            ("messaging.retention-seconds", Int(messaging.retentionSeconds)),
            ("messaging.archive-seconds", Int(messaging.archiveSeconds)),
            ("messaging.messages-per-minute", messaging.messagesPerMinute),
            ("messaging.services-per-minute", messaging.servicesPerMinute),
            ("messaging.fetches-per-minute", messaging.fetchesPerMinute),
            ("ratchet.bytes", ratchet.maximumBytes),
            ("dht.circuits", dht.circuits),
            ("blobs.maximum-bytes", blobs.maximumBlobBytes), ("blobs.bytes", blobs.maximumBytes),
        ] {
            try demand(value >= 0, "\(key) is \(value); give 0 or more.")
        }
        try demand((0...600).contains(drainSeconds), "drain-seconds is \(drainSeconds); give 0 to 600.")
    }
}

/// How log lines are written.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
    case text
    /// One JSON object a line.
    case json
}
