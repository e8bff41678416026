/// One key a relay is configured by: `tls.certificate` in the file, `DSIP_RELAY_TLS_CERTIFICATE` in the environment,
/// `--tls-certificate` on the command line.
public struct RelaySetting: Sendable {
    public enum Kind: String, Sendable {
        case text, number, flag, list
    }

    /// Dotted, as in the file.
    public let key: String
    public let kind: Kind
    /// What holds when nothing is said, for people.
    public let standard: String
    /// One or two sentences.
    public let help: String

    public var environment: String {
        "DSIP_RELAY_" + String(key.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }
    public var option: String { String(key.map { $0 == "." ? "-" : $0 }) }

    init(_ key: String, _ kind: Kind, _ standard: String, _ help: String) {
        self.key = key
        self.kind = kind
        self.standard = standard
        self.help = help
    }

    public static let all: [RelaySetting] = [
        .init("host", .text, "127.0.0.1", "Address to listen on. 0.0.0.0 or :: to be reached from elsewhere."),
        .init("port", .number, "7443", "TCP port of signaling and HTTP. 0 takes any free one."),
        .init(
            "hostname",
            .text,
            "none",
            "Public name of this relay, host or host:port. The relay is then did:web:<hostname> and registers names."
        ),
        .init(
            "state",
            .text,
            "~/.local/state/dsip/relay",
            "Folder for the relay's key, certificates and database."
        ),
        .init(
            "tls.certificate",
            .text,
            "a development authority in the state folder",
            "PEM file with the certificate chain, leaf first. Read again when it changes."
        ),
        .init("tls.key", .text, "none", "PEM file with the private key of tls.certificate."),
        .init("tls.names", .list, "none", "Further names and addresses for the development certificate."),
        .init(
            "scope.kind",
            .text,
            "open",
            "open: serves everyone. private: serves scope.serves, others may connect to reach them. closed: nobody else may connect."
        ),
        .init("scope.serves", .list, "none", "DIDs of the identities that a private or closed relay serves."),
        .init(
            "hold.seconds",
            .number,
            "86400",
            "How long an envelope waits for an offline recipient, and an identity stays known after it was last here."
        ),
        .init(
            "hold.per-recipient",
            .number,
            "64",
            "Envelopes held for one recipient; more are refused to their sender."
        ),
        .init("hold.total", .number, "100000", "Envelopes held in all."),
        .init(
            "hold.introductions",
            .number,
            "16",
            "Introductions held for one recipient; more are dropped in silence."
        ),
        .init("hold.bytes", .number, "1073741824", "Size of the database file. 0 for no bound but the disk."),
        .init("hold.in-memory", .flag, "false", "Keep what is held in memory only; a restart forgets it."),
        .init("limits.envelopes-per-minute", .number, "600", "Envelopes a device may send."),
        .init("limits.invites-per-minute", .number, "60", "Invites an identity may send."),
        .init("limits.introductions-per-day", .number, "10", "Introductions a self-issued identity may send."),
        .init("limits.introductions-per-day-domain", .number, "50", "Introductions a domain-bound identity may send."),
        .init(
            "limits.introductions-per-recipient",
            .number,
            "100",
            "Introductions a day that all others may send one recipient."
        ),
        .init("limits.connections", .number, "20000", "Open connections in all."),
        .init(
            "limits.connections-per-address",
            .number,
            "256",
            "Open connections from one address (an IPv6 /64 is one)."
        ),
        .init("limits.connects-per-minute", .number, "600", "Connections one address may open a minute."),
        .init("limits.remembered", .number, "65536", "Keys that each rate limit remembers."),
        .init("names.enabled", .flag, "true", "Register names and host did:web documents. Needs hostname."),
        .init("names.reserved", .list, "none", "Names nobody may register, beside the built-in list."),
        .init("names.per-identity", .number, "3", "Names one key may hold."),
        .init("names.per-address-per-day", .number, "10", "Registrations from one address a day."),
        .init("names.total", .number, "100000", "Names in all."),
        .init("messaging.enabled", .flag, "true", "Keep mailboxes for the identities served, and blobs."),
        .init("messaging.hub", .flag, "true", "Order groups, as their hub."),
        .init("messaging.quota-bytes", .number, "1073741824", "Bytes one owner may have here, blobs included."),
        .init(
            "messaging.bytes",
            .number,
            "8589934592",
            "Size of the database file of the mailboxes. 0 for no bound but the disk."
        ),
        .init(
            "messaging.retention-seconds",
            .number,
            "2592000",
            "How long messages wait for a device, and what nobody owns any more is kept."
        ),
        .init(
            "messaging.archive-seconds",
            .number,
            "31536000",
            "How long an owner may keep history here, which only its devices can read."
        ),
        .init(
            "messaging.messages-per-minute",
            .number,
            "3000",
            "Messages of the messaging profile a device may send. 0 for no bound."
        ),
        .init(
            "messaging.services-per-minute",
            .number,
            "60000",
            "The same for another relay (a did:web that speaks for itself). 0 for no bound."
        ),
        .init(
            "messaging.fetches-per-minute",
            .number,
            "60",
            "KeyPackage fetches an identity may make. 0 for no bound."
        ),
        .init("messaging.links", .number, "256", "Other services connected to at once."),
        .init("messaging.in-memory", .flag, "false", "Keep mailboxes in memory only; a restart forgets them."),
        .init(
            "ratchet.enabled",
            .flag,
            "true",
            "Hand out prekeys, and keep sealed messages for devices, also of people without a mailbox."
        ),
        .init("ratchet.bytes", .number, "2147483648", "Bytes of the database of these. 0 for no bound but the disk."),
        .init("blobs.folder", .text, "blobs in the state folder", "Where blobs are kept as files."),
        .init("blobs.maximum-bytes", .number, "104857600", "Bytes of one blob."),
        .init("blobs.bytes", .number, "10737418240", "Bytes of all blobs. 0 for no bound but the disk."),
        .init("push.enabled", .flag, "true", "Wake devices that are away through the push services they name."),
        .init(
            "push.subject",
            .text,
            "none",
            "How push services reach the operator, mailto: or https:. Some insist on one."
        ),
        .init("push.apns-key", .text, "none", "The .p8 file of a key for Apple's push service; with the three below."),
        .init("push.apns-key-id", .text, "none", "The identifier of that key."),
        .init("push.apns-team", .text, "none", "The team that it belongs to."),
        .init("push.apns-topics", .list, "none", "Bundle identifiers of the apps that are served."),
        .init("push.fcm-account", .text, "none", "JSON file of a service account for Firebase Cloud Messaging."),
        .init("discovery.enabled", .flag, "true", "Keep and give out where people are who say so, over HTTP."),
        .init(
            "dht.enabled",
            .flag,
            "false",
            "Be a host in the DHT: find people of other relays, and be asked by others."
        ),
        .init("dht.listen", .list, "/ip4/0.0.0.0/tcp/4001", "TCP addresses of that host, as multiaddresses."),
        .init("dht.bootstrap", .list, "none", "Hosts to begin with, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…."),
        .init("dht.region", .text, "none", "The region the relay is in and is found under, a geohash such as u33d."),
        .init("dht.local", .flag, "false", "Meet hosts of the own network by multicast DNS."),
        .init(
            "dht.circuits",
            .number,
            "0",
            "Hosts that cannot be dialled themselves and are connected with others, at a time. 0 for none."
        ),
        .init("stun.enabled", .flag, "true", "Answer STUN binding requests on UDP."),
        .init("stun.port", .number, "3478", "UDP port for STUN. 0 takes any free one."),
        .init("stun.advertised", .text, "hostname, else host", "What clients are told to ask, host or host:port."),
        .init("quic.enabled", .flag, "false", "Speak quic/1.0 on UDP beside WebSocket on TCP."),
        .init("quic.port", .number, "0", "UDP port for QUIC. 0 takes the number of the TCP port."),
        .init(
            "resolver.allow-private-addresses",
            .flag,
            "false",
            "Fetch did:web documents from private and loopback addresses too. For development only."
        ),
        .init(
            "resolver.roots",
            .text,
            "none",
            "PEM file with roots to trust besides the system's, when fetching documents."
        ),
        .init(
            "resolver.pkarr",
            .list,
            "none",
            "Pkarr relays asked for the documents of did:dht, such as https://pkarr.example."
        ),
        .init(
            "resolver.ethereum",
            .list,
            "none",
            "Nodes believed for did:ethr, NETWORK[@REGISTRY]=https://…, such as mainnet=https://node.example."
        ),
        .init("metrics.public", .flag, "false", "Answer /metrics to everyone. Otherwise to this machine only."),
        .init("drain-seconds", .number, "10", "How long a graceful shutdown may take."),
        .init("log.level", .text, "info", "trace, debug, info, notice, warning, error or critical."),
        .init("log.format", .text, "text", "text, or json for one object a line."),
    ]

    public static func named(_ key: String) -> RelaySetting? { all.first { $0.key == key } }
}
