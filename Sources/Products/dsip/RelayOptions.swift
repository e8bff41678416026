import ArgumentParser
import DSIPRelay

/// The settings of `RelaySetting.all` as options; what they mean is told by that table.
struct RelayOptions: ParsableArguments {
    @Option(name: .customLong("host"), help: help("host"))
    var host: String?

    @Option(name: .customLong("port"), help: help("port"))
    var port: Int?

    @Option(name: .customLong("hostname"), help: help("hostname"))
    var hostname: String?

    @Option(name: .customLong("state"), help: help("state"))
    var state: String?

    @Option(name: .customLong("tls-certificate"), help: help("tls.certificate"))
    var tlsCertificate: String?

    @Option(name: .customLong("tls-key"), help: help("tls.key"))
    var tlsKey: String?

    @Option(name: .customLong("tls-names"), help: help("tls.names"))
    var tlsNames: String?

    @Option(name: .customLong("scope-kind"), help: help("scope.kind"))
    var scopeKind: String?

    @Option(name: .customLong("scope-serves"), help: help("scope.serves"))
    var scopeServes: String?

    @Option(name: .customLong("hold-seconds"), help: help("hold.seconds"))
    var holdSeconds: Int?

    @Option(name: .customLong("hold-per-recipient"), help: help("hold.per-recipient"))
    var holdPerRecipient: Int?

    @Option(name: .customLong("hold-total"), help: help("hold.total"))
    var holdTotal: Int?

    @Option(name: .customLong("hold-introductions"), help: help("hold.introductions"))
    var holdIntroductions: Int?

    @Option(name: .customLong("hold-bytes"), help: help("hold.bytes"))
    var holdBytes: Int?

    @Option(name: .customLong("hold-in-memory"), help: help("hold.in-memory"))
    var holdInMemory: Bool?

    @Option(name: .customLong("limits-envelopes-per-minute"), help: help("limits.envelopes-per-minute"))
    var limitsEnvelopesPerMinute: Int?

    @Option(name: .customLong("limits-invites-per-minute"), help: help("limits.invites-per-minute"))
    var limitsInvitesPerMinute: Int?

    @Option(name: .customLong("limits-introductions-per-day"), help: help("limits.introductions-per-day"))
    var limitsIntroductionsPerDay: Int?

    @Option(name: .customLong("limits-introductions-per-day-domain"), help: help("limits.introductions-per-day-domain"))
    var limitsIntroductionsPerDayDomain: Int?

    @Option(name: .customLong("limits-introductions-per-recipient"), help: help("limits.introductions-per-recipient"))
    var limitsIntroductionsPerRecipient: Int?

    @Option(name: .customLong("limits-connections"), help: help("limits.connections"))
    var limitsConnections: Int?

    @Option(name: .customLong("limits-connections-per-address"), help: help("limits.connections-per-address"))
    var limitsConnectionsPerAddress: Int?

    @Option(name: .customLong("limits-connects-per-minute"), help: help("limits.connects-per-minute"))
    var limitsConnectsPerMinute: Int?

    @Option(name: .customLong("limits-remembered"), help: help("limits.remembered"))
    var limitsRemembered: Int?

    @Option(name: .customLong("names-enabled"), help: help("names.enabled"))
    var namesEnabled: Bool?

    @Option(name: .customLong("names-reserved"), help: help("names.reserved"))
    var namesReserved: String?

    @Option(name: .customLong("names-per-identity"), help: help("names.per-identity"))
    var namesPerIdentity: Int?

    @Option(name: .customLong("names-per-address-per-day"), help: help("names.per-address-per-day"))
    var namesPerAddressPerDay: Int?

    @Option(name: .customLong("names-total"), help: help("names.total"))
    var namesTotal: Int?

    @Option(name: .customLong("messaging-enabled"), help: help("messaging.enabled"))
    var messagingEnabled: Bool?

    @Option(name: .customLong("messaging-hub"), help: help("messaging.hub"))
    var messagingHub: Bool?

    @Option(name: .customLong("messaging-quota-bytes"), help: help("messaging.quota-bytes"))
    var messagingQuotaBytes: Int?

    @Option(name: .customLong("messaging-bytes"), help: help("messaging.bytes"))
    var messagingBytes: Int?

    @Option(name: .customLong("messaging-retention-seconds"), help: help("messaging.retention-seconds"))
    var messagingRetentionSeconds: Int?

    @Option(name: .customLong("messaging-archive-seconds"), help: help("messaging.archive-seconds"))
    var messagingArchiveSeconds: Int?

    @Option(name: .customLong("messaging-messages-per-minute"), help: help("messaging.messages-per-minute"))
    var messagingMessagesPerMinute: Int?

    @Option(name: .customLong("messaging-services-per-minute"), help: help("messaging.services-per-minute"))
    var messagingServicesPerMinute: Int?

    @Option(name: .customLong("messaging-fetches-per-minute"), help: help("messaging.fetches-per-minute"))
    var messagingFetchesPerMinute: Int?

    @Option(name: .customLong("messaging-links"), help: help("messaging.links"))
    var messagingLinks: Int?

    @Option(name: .customLong("messaging-in-memory"), help: help("messaging.in-memory"))
    var messagingInMemory: Bool?

    @Option(name: .customLong("ratchet-enabled"), help: help("ratchet.enabled"))
    var ratchetEnabled: Bool?

    @Option(name: .customLong("ratchet-bytes"), help: help("ratchet.bytes"))
    var ratchetBytes: Int?

    @Option(name: .customLong("blobs-folder"), help: help("blobs.folder"))
    var blobsFolder: String?

    @Option(name: .customLong("blobs-maximum-bytes"), help: help("blobs.maximum-bytes"))
    var blobsMaximumBytes: Int?

    @Option(name: .customLong("blobs-bytes"), help: help("blobs.bytes"))
    var blobsBytes: Int?

    @Option(name: .customLong("push-enabled"), help: help("push.enabled"))
    var pushEnabled: Bool?

    @Option(name: .customLong("push-subject"), help: help("push.subject"))
    var pushSubject: String?

    @Option(name: .customLong("push-apns-key"), help: help("push.apns-key"))
    var pushApnsKey: String?

    @Option(name: .customLong("push-apns-key-id"), help: help("push.apns-key-id"))
    var pushApnsKeyId: String?

    @Option(name: .customLong("push-apns-team"), help: help("push.apns-team"))
    var pushApnsTeam: String?

    @Option(name: .customLong("push-apns-topics"), help: help("push.apns-topics"))
    var pushApnsTopics: String?

    @Option(name: .customLong("push-fcm-account"), help: help("push.fcm-account"))
    var pushFcmAccount: String?

    @Option(name: .customLong("discovery-enabled"), help: help("discovery.enabled"))
    var discoveryEnabled: Bool?

    @Option(name: .customLong("dht-enabled"), help: help("dht.enabled"))
    var dhtEnabled: Bool?

    @Option(name: .customLong("dht-listen"), help: help("dht.listen"))
    var dhtListen: String?

    @Option(name: .customLong("dht-bootstrap"), help: help("dht.bootstrap"))
    var dhtBootstrap: String?

    @Option(name: .customLong("stun-enabled"), help: help("stun.enabled"))
    var stunEnabled: Bool?

    @Option(name: .customLong("stun-port"), help: help("stun.port"))
    var stunPort: Int?

    @Option(name: .customLong("stun-advertised"), help: help("stun.advertised"))
    var stunAdvertised: String?

    @Option(name: .customLong("resolver-allow-private-addresses"), help: help("resolver.allow-private-addresses"))
    var resolverAllowPrivateAddresses: Bool?

    @Option(name: .customLong("resolver-roots"), help: help("resolver.roots"))
    var resolverRoots: String?

    @Option(name: .customLong("metrics-public"), help: help("metrics.public"))
    var metricsPublic: Bool?

    @Option(name: .customLong("drain-seconds"), help: help("drain-seconds"))
    var drainSeconds: Int?

    @Option(name: .customLong("log-level"), help: help("log.level"))
    var logLevel: String?

    @Option(name: .customLong("log-format"), help: help("log.format"))
    var logFormat: String?

    /// What was given, by key, spelled as the environment would spell it.
    var given: [String: String] {
        let all: [(String, String?)] = [
            ("host", host),
            ("port", port.map(String.init)),
            ("hostname", hostname),
            ("state", state),
            ("tls.certificate", tlsCertificate),
            ("tls.key", tlsKey),
            ("tls.names", tlsNames),
            ("scope.kind", scopeKind),
            ("scope.serves", scopeServes),
            ("hold.seconds", holdSeconds.map(String.init)),
            ("hold.per-recipient", holdPerRecipient.map(String.init)),
            ("hold.total", holdTotal.map(String.init)),
            ("hold.introductions", holdIntroductions.map(String.init)),
            ("hold.bytes", holdBytes.map(String.init)),
            ("hold.in-memory", holdInMemory.map(String.init)),
            ("limits.envelopes-per-minute", limitsEnvelopesPerMinute.map(String.init)),
            ("limits.invites-per-minute", limitsInvitesPerMinute.map(String.init)),
            ("limits.introductions-per-day", limitsIntroductionsPerDay.map(String.init)),
            ("limits.introductions-per-day-domain", limitsIntroductionsPerDayDomain.map(String.init)),
            ("limits.introductions-per-recipient", limitsIntroductionsPerRecipient.map(String.init)),
            ("limits.connections", limitsConnections.map(String.init)),
            ("limits.connections-per-address", limitsConnectionsPerAddress.map(String.init)),
            ("limits.connects-per-minute", limitsConnectsPerMinute.map(String.init)),
            ("limits.remembered", limitsRemembered.map(String.init)),
            ("names.enabled", namesEnabled.map(String.init)),
            ("names.reserved", namesReserved),
            ("names.per-identity", namesPerIdentity.map(String.init)),
            ("names.per-address-per-day", namesPerAddressPerDay.map(String.init)),
            ("names.total", namesTotal.map(String.init)),
            ("messaging.enabled", messagingEnabled.map(String.init)),
            ("messaging.hub", messagingHub.map(String.init)),
            ("messaging.quota-bytes", messagingQuotaBytes.map(String.init)),
            ("messaging.bytes", messagingBytes.map(String.init)),
            ("messaging.retention-seconds", messagingRetentionSeconds.map(String.init)),
            ("messaging.archive-seconds", messagingArchiveSeconds.map(String.init)),
            ("messaging.messages-per-minute", messagingMessagesPerMinute.map(String.init)),
            ("messaging.services-per-minute", messagingServicesPerMinute.map(String.init)),
            ("messaging.fetches-per-minute", messagingFetchesPerMinute.map(String.init)),
            ("messaging.links", messagingLinks.map(String.init)),
            ("messaging.in-memory", messagingInMemory.map(String.init)),
            ("ratchet.enabled", ratchetEnabled.map(String.init)),
            ("ratchet.bytes", ratchetBytes.map(String.init)),
            ("blobs.folder", blobsFolder),
            ("blobs.maximum-bytes", blobsMaximumBytes.map(String.init)),
            ("blobs.bytes", blobsBytes.map(String.init)),
            ("push.enabled", pushEnabled.map(String.init)),
            ("push.subject", pushSubject),
            ("push.apns-key", pushApnsKey),
            ("push.apns-key-id", pushApnsKeyId),
            ("push.apns-team", pushApnsTeam),
            ("push.apns-topics", pushApnsTopics),
            ("push.fcm-account", pushFcmAccount),
            ("discovery.enabled", discoveryEnabled.map(String.init)),
            ("dht.enabled", dhtEnabled.map(String.init)),
            ("dht.listen", dhtListen),
            ("dht.bootstrap", dhtBootstrap),
            ("stun.enabled", stunEnabled.map(String.init)),
            ("stun.port", stunPort.map(String.init)),
            ("stun.advertised", stunAdvertised),
            ("resolver.allow-private-addresses", resolverAllowPrivateAddresses.map(String.init)),
            ("resolver.roots", resolverRoots),
            ("metrics.public", metricsPublic.map(String.init)),
            ("drain-seconds", drainSeconds.map(String.init)),
            ("log.level", logLevel),
            ("log.format", logFormat),
        ]
        return Dictionary(all.compactMap { key, value in value.map { (key, $0) } }, uniquingKeysWith: { $1 })
    }

    private static func help(_ key: String) -> ArgumentHelp {
        guard let setting = RelaySetting.named(key) else { preconditionFailure("\(key) is no setting") }
        let form: String =
            switch setting.kind {
            case .text: "text"
            case .number: "n"
            case .flag: "true|false"
            case .list: "a,b,…"
            }
        return ArgumentHelp("\(setting.help) (default: \(setting.standard))", valueName: form)
    }
}
