import Configuration
import DSIPIdentity
import Encoding
import FoundationEssentials
import Logging

extension RelayConfiguration {
    /// Reads the settings of `RelaySetting.all`: options before environment before file before what is built in.
    ///
    /// - Parameters:
    ///   - file: JSON with comments, or nil. Keys nest at their dots: `{"tls": {"certificate": …}}`.
    ///   - environment: variables such as `DSIP_RELAY_PORT`; lists are separated by commas.
    ///   - options: values of the command line by key of `RelaySetting`.
    /// - Throws: `.configuration`; the sentence names the setting, where it was read, and what to write instead.
    public static func read(
        file: String?,
        environment: [String: String],
        options: [String: String] = [:]
    ) throws(RelayError) -> RelayConfiguration {
        // Options are strings, and strings become values the way those of the environment do.
        let spelled = Dictionary(
            options.map { (RelaySetting(named: $0.key).environment, $0.value) },
            uniquingKeysWith: { $1 }
        )
        var sources = [
            Source(variables: spelled, name: { "--" + $0.option }), Source(variables: environment, name: \.environment),
        ]
        try checkEnvironment(environment)
        if let file { sources.append(try Source(file: file)) }
        return try RelayConfiguration(Reader(sources: sources), environment: environment)
    }

    private init(_ read: Reader, environment: [String: String]) throws(RelayError) {
        self.init(stateFolder: RelayConfiguration.standardStateFolder(environment))
        try read.text("host") { host = $0 }
        try read.number("port") { port = $0 }
        try read.text("hostname") { hostname = $0 }
        try read.text("state") { stateFolder = RelayConfiguration.expand($0, environment) }
        try read.text("tls.certificate") { tls.certificate = RelayConfiguration.expand($0, environment) }
        try read.text("tls.key") { tls.key = RelayConfiguration.expand($0, environment) }
        try read.list("tls.names") { tls.names = $0 }
        try readScope(read)
        try read.number("hold.seconds") { holding.retentionSeconds = Int64($0) }
        try read.number("hold.per-recipient") { holding.perRecipient = $0 }
        try read.number("hold.total") { holding.total = $0 }
        try read.number("hold.introductions") { holding.introductionsPerRecipient = $0 }
        try read.number("hold.bytes") { holding.maximumBytes = $0 }
        try read.flag("hold.in-memory") { holding.inMemory = $0 }
        try read.number("limits.envelopes-per-minute") { limits.envelopesPerMinute = $0 }
        try read.number("limits.invites-per-minute") { limits.invitesPerMinute = $0 }
        try read.number("limits.introductions-per-day") { limits.introductionsPerDay = $0 }
        try read.number("limits.introductions-per-day-domain") { limits.introductionsPerDayDomain = $0 }
        try read.number("limits.introductions-per-recipient") { limits.introductionsPerRecipientPerDay = $0 }
        try read.number("limits.connections") { limits.connections = $0 }
        try read.number("limits.connections-per-address") { limits.connectionsPerAddress = $0 }
        try read.number("limits.connects-per-minute") { limits.connectsPerMinutePerAddress = $0 }
        try read.number("limits.remembered") { limits.remembered = $0 }
        try read.flag("names.enabled") { names.enabled = $0 }
        try read.list("names.reserved") { names.reserved = $0 }
        try read.number("names.per-identity") { names.perIdentity = $0 }
        try read.number("names.per-address-per-day") { names.registrationsPerDayPerAddress = $0 }
        try read.number("names.total") { names.total = $0 }
        try readMessaging(read, environment)
        try readPush(read, environment)
        try read.flag("discovery.enabled") { discovery.enabled = $0 }
        try read.flag("dht.enabled") { dht.enabled = $0 }
        try read.list("dht.listen") { dht.listen = $0 }
        try read.list("dht.bootstrap") { dht.bootstrap = $0 }
        try read.text("dht.region") { dht.region = $0 }
        try read.flag("dht.local") { dht.local = $0 }
        try read.number("dht.circuits") { dht.circuits = $0 }
        try read.flag("stun.enabled") { stun.enabled = $0 }
        try read.number("stun.port") { stun.port = $0 }
        try read.text("stun.advertised") { stun.advertised = $0 }
        try read.flag("quic.enabled") { quic.enabled = $0 }
        try read.number("quic.port") { quic.port = $0 }
        try read.flag("resolver.allow-private-addresses") { resolver.allowPrivateAddresses = $0 }
        try read.list("resolver.pkarr") { resolver.pkarr = $0 }
        try read.list("resolver.ethereum") { resolver.ethereum = $0 }
        try read.text("resolver.roots") { resolver.additionalRoots = RelayConfiguration.expand($0, environment) }
        try read.flag("metrics.public") { publicMetrics = $0 }
        try read.number("drain-seconds") { drainSeconds = $0 }
        try read.text("log.level") { text throws(RelayError) in
            guard let level = Logger.Level(rawValue: text) else {
                throw RelayError(
                    .configuration,
                    "log.level is \"\(text)\"; give trace, debug, info, notice, warning, error or critical."
                )
            }
            logLevel = level
        }
        try read.text("log.format") { text throws(RelayError) in
            guard let format = LogFormat(rawValue: text) else {
                throw RelayError(.configuration, "log.format is \"\(text)\"; give text or json.")
            }
            logFormat = format
        }
        try validate()
    }

    private mutating func readMessaging(_ read: Reader, _ environment: [String: String]) throws(RelayError) {
        try read.flag("messaging.enabled") { messaging.enabled = $0 }
        try read.flag("messaging.hub") { messaging.isHub = $0 }
        try read.number("messaging.quota-bytes") { messaging.quotaBytes = $0 }
        try read.number("messaging.bytes") { messaging.maximumBytes = $0 }
        try read.number("messaging.retention-seconds") { messaging.retentionSeconds = Int64($0) }
        try read.number("messaging.archive-seconds") { messaging.archiveSeconds = Int64($0) }
        try read.number("messaging.messages-per-minute") { messaging.messagesPerMinute = $0 }
        try read.number("messaging.services-per-minute") { messaging.servicesPerMinute = $0 }
        try read.number("messaging.fetches-per-minute") { messaging.fetchesPerMinute = $0 }
        try read.number("messaging.links") { messaging.links = $0 }
        try read.flag("messaging.in-memory") { messaging.inMemory = $0 }
        try read.flag("ratchet.enabled") { ratchet.enabled = $0 }
        try read.number("ratchet.bytes") { ratchet.maximumBytes = $0 }
        try read.text("blobs.folder") { blobs.folder = RelayConfiguration.expand($0, environment) }
        try read.number("blobs.maximum-bytes") { blobs.maximumBlobBytes = $0 }
        try read.number("blobs.bytes") { blobs.maximumBytes = $0 }
    }

    private mutating func readPush(_ read: Reader, _ environment: [String: String]) throws(RelayError) {
        try read.flag("push.enabled") { push.enabled = $0 }
        try read.text("push.subject") { push.subject = $0 }
        try read.text("push.apns-key") { push.apnsKey = RelayConfiguration.expand($0, environment) }
        try read.text("push.apns-key-id") { push.apnsKeyIdentifier = $0 }
        try read.text("push.apns-team") { push.apnsTeam = $0 }
        try read.list("push.apns-topics") { push.apnsTopics = $0 }
        try read.text("push.fcm-account") { push.fcmAccount = RelayConfiguration.expand($0, environment) }
    }

    private mutating func readScope(_ read: Reader) throws(RelayError) {
        var name = "open"
        var served: Set<DID> = []
        try read.text("scope.kind") { name = $0 }
        try read.list("scope.serves") { list throws(RelayError) in
            for text in list {
                guard let did = DID(text) else {
                    throw RelayError(
                        .configuration,
                        "scope.serves lists \"\(text)\", which is no DID; give identities such as did:key:z6Mk…."
                    )
                }
                served.insert(did)
            }
        }
        switch name {
        case "open":
            guard served.isEmpty else {
                throw RelayError(
                    .configuration,
                    "scope.serves is for a private or closed relay; set scope.kind, or leave scope.serves out."
                )
            }
            scope = .open
        case "private": scope = .private(served)
        case "closed": scope = .closed(served)
        default: throw RelayError(.configuration, "scope.kind is \"\(name)\"; give open, private or closed.")
        }
    }

    /// `$XDG_STATE_HOME/dsip/relay`, else `~/.local/state/dsip/relay`.
    public static func standardStateFolder(_ environment: [String: String]) -> String {
        if let folder = environment["XDG_STATE_HOME"], folder.hasPrefix("/") { return folder + "/dsip/relay" }
        return (environment["HOME"] ?? ".") + "/.local/state/dsip/relay"
    }

    private static func expand(_ path: String, _ environment: [String: String]) -> String {
        guard path == "~" || path.hasPrefix("~/"), let home = environment["HOME"] else { return path }
        return home + path.dropFirst()
    }

    private static func checkEnvironment(_ environment: [String: String]) throws(RelayError) {
        let known = Set(RelaySetting.all.map(\.environment))
        for name in environment.keys.sorted() where name.hasPrefix("DSIP_RELAY_") && name != "DSIP_RELAY_CONFIG" {
            if known.contains(name) { continue }
            throw RelayError(
                .configuration,
                "\(name) is no setting of the relay\(nearest(name, to: known)); see dsip relay --help."
            )
        }
    }

    /// A misspelt key must not be a setting that silently does nothing.
    fileprivate static func checkKeys(_ root: JSONValue, of file: String) throws(RelayError) {
        guard case .object = root else {
            throw RelayError(.configuration, "the configuration file \(file) does not hold an object.")
        }
        let known = Set(RelaySetting.all.map(\.key))
        for key in leaves(root, "") where !known.contains(key) {
            throw RelayError(
                .configuration,
                "\(file) sets \"\(key)\", which is no setting of the relay\(nearest(key, to: known)); see dsip relay --help."
            )
        }
    }

    private static func leaves(_ value: JSONValue, _ path: String) -> [String] {
        guard case .object(let object) = value else { return [path] }
        return object.members.flatMap { leaves($0.value, path.isEmpty ? $0.name : "\(path).\($0.name)") }
    }

    private static func nearest(_ word: String, to known: Set<String>) -> String {
        func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
            var row = Array(0...b.count)
            for i in 0..<a.count {
                var previous = row[0]
                row[0] = i + 1
                for j in 0..<b.count {
                    let substituted = previous + (a[i] == b[j] ? 0 : 1)
                    previous = row[j + 1]
                    row[j + 1] = min(substituted, row[j] + 1, previous + 1)
                }
            }
            return row[b.count]
        }
        let word = Array(word.utf8.prefix(128))
        let best = known.map { (distance(word, Array($0.utf8)), $0) }.min { $0 < $1 }
        guard let best, best.0 <= 4 else { return "" }
        return ", perhaps \(best.1) is meant"
    }
}

/// Where settings come from, and what to call one of them in a sentence.
private struct Source {
    var name: (RelaySetting) -> String
    var snapshot: any ConfigSnapshot

    init(variables: [String: String], name: @escaping (RelaySetting) -> String) {
        self.name = name
        let variables = variables.filter { $0.key.hasPrefix("DSIP_RELAY_") }
        self.snapshot = EnvironmentVariablesProvider(environmentVariables: variables).prefixKeys(with: "dsip.relay")
            .snapshot()
    }

    init(file: String) throws(RelayError) {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw RelayError(
                .configuration,
                "the configuration file \(file) cannot be read; check the path and its permissions."
            )
        }
        let plain = CommentedJSON.plain(Array(data))
        do {
            try RelayConfiguration.checkKeys(JSONValue(parsing: plain), of: file)
            self.snapshot = try JSONSnapshot(
                data: plain.span.bytes,
                providerName: file,
                parsingOptions: JSONSnapshot.ParsingOptions()
            )
        } catch let error as RelayError {
            throw error
        } catch {
            throw RelayError(.configuration, "the configuration file \(file) is not JSON: \(error).")
        }
        self.name = { "\($0.key) in \(file)" }
    }
}

/// Looks a setting up in each source in turn, so that a value of the wrong type is reported where it stands, not passed over.
private struct Reader {
    var sources: [Source]

    func text(_ key: String, _ use: (String) throws(RelayError) -> Void) throws(RelayError) {
        guard case .string(let value) = try value(key, .string) else { return }
        if !value.isEmpty { try use(value) }
    }

    func number(_ key: String, _ use: (Int) -> Void) throws(RelayError) {
        if case .int(let value) = try value(key, .int) { use(value) }
    }

    func flag(_ key: String, _ use: (Bool) -> Void) throws(RelayError) {
        if case .bool(let value) = try value(key, .bool) { use(value) }
    }

    func list(_ key: String, _ use: ([String]) throws(RelayError) -> Void) throws(RelayError) {
        guard case .stringArray(let values) = try value(key, .stringArray) else { return }
        try use(values.map(Reader.trimmed).filter { !$0.isEmpty })
    }

    private func value(_ key: String, _ type: ConfigType) throws(RelayError) -> ConfigContent? {
        let setting = RelaySetting(named: key)
        for source in sources {
            do {
                let path = AbsoluteConfigKey(key.split(separator: ".").map(String.init))
                if let value = try source.snapshot.value(forKey: path, type: type).value { return value.content }
            } catch {
                throw RelayError(.configuration, "\(source.name(setting)) is not a \(setting.kind.noun).")
            }
        }
        return nil
    }

    private static func trimmed(_ text: String) -> String {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

extension RelaySetting.Kind {
    fileprivate var noun: String {
        switch self {
        case .text: "text"
        case .number: "whole number"
        case .flag: "yes-or-no value; write true or false"
        case .list: "list of texts"
        }
    }
}

extension RelaySetting {
    /// The setting called `key`; asking for one that is not in the table is a mistake of ours.
    fileprivate init(named key: String) {
        guard let setting = RelaySetting.named(key) else { preconditionFailure("\(key) is not in RelaySetting.all") }
        self = setting
    }
}
