import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPRelay
import Encoding
import Foundation
import Logging
import NIOConcurrencyHelpers
import Testing

/// Descriptions as browsers write them.
enum SDP {
    static let fingerprint = "sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":")

    static func make(
        _ kinds: [String],
        setup: String,
        ufrag: String,
        directions: [String] = ["sendrecv", "sendrecv", "sendrecv"]
    ) -> String {
        var lines = [
            "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
            "a=group:BUNDLE \(kinds.indices.map(String.init).joined(separator: " "))",
        ]
        for (index, kind) in kinds.enumerated() {
            let map = kind == "audio" ? "111 opus/48000/2" : "96 VP8/90000"
            lines += [
                "m=\(kind) 9 UDP/TLS/RTP/SAVPF \(map.prefix { $0 != " " })", "c=IN IP4 0.0.0.0", "a=ice-ufrag:\(ufrag)",
                "a=ice-pwd:0123456789012345678901", "a=fingerprint:\(fingerprint)", "a=setup:\(setup)",
                "a=mid:\(index)",
                "a=\(directions[index])", "a=rtcp-mux", "a=rtpmap:\(map)",
            ]
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    static let offer = make(["audio", "video"], setup: "actpass", ufrag: "alce")
    static let answer = make(["audio", "video"], setup: "active", ufrag: "bobb")
    static let candidate = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"
}

/// A folder that is gone when the test is over.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "dsip-agent-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Where a person's relay is.
protocol RelayPlace {
    var url: String { get }
    /// A PEM file to trust.
    var rootPath: String? { get }
}

/// A real relay on a loopback port that stays the same across restarts.
final class TestRelay: RelayPlace {
    var url: String { running.url }
    var rootPath: String? { running.rootPath }
    let folder = TemporaryFolder()
    private(set) var relay: Relay
    private(set) var running: Relay.Running

    private let isNamed: Bool
    /// Counts when it is started again.
    var hasMailboxes: Bool
    private let hosts: [String]?
    private let clock: @Sendable () -> Int64
    /// A PEM file whose roots it trusts when it dials other relays; counts when it is started again.
    var trusted: String?

    /// - Parameters:
    ///   - isNamed: it goes by the name `localhost` and registers names.
    ///   - hasMailboxes: whether messaging is switched on.
    ///   - hosts: of the DHT that it joins; nil for none.
    ///   - region: under which it announces itself there.
    init(
        isNamed: Bool = false,
        hasMailboxes: Bool = true,
        knowing hosts: [String]? = nil,
        in region: String? = nil,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }
    ) async throws {
        (self.isNamed, self.hasMailboxes, self.hosts, self.clock) = (isNamed, hasMailboxes, hosts, clock)
        var configuration = TestRelay.configuration(folder, port: 0)
        configuration.messaging.enabled = hasMailboxes
        configuration.dht.enabled = hosts != nil
        configuration.dht.listen = ["/ip4/127.0.0.1/tcp/0"]
        configuration.dht.bootstrap = hosts ?? []
        configuration.dht.region = region
        relay = Relay(configuration, clock: clock)
        running = try await relay.start()
        // Its name has the port, which is known only now.
        if isNamed { try await restart() }
    }

    private static func configuration(_ folder: TemporaryFolder, port: Int, hostname: String? = nil)
        -> RelayConfiguration
    {
        var configuration = RelayConfiguration(stateFolder: folder.path)
        configuration.port = port
        configuration.hostname = hostname
        configuration.logLevel = .critical
        configuration.drainSeconds = 1
        return configuration
    }

    func stop() async { await relay.stop() }

    func restart() async throws {
        await stop()
        try await startAgain()
    }

    func startAgain() async throws {
        let port = running.port
        var configuration = TestRelay.configuration(folder, port: port, hostname: isNamed ? "localhost:\(port)" : nil)
        configuration.messaging.enabled = hasMailboxes
        configuration.resolver.additionalRoots = trusted
        relay = Relay(configuration, clock: clock)
        running = try await relay.start()
    }

    /// A number of `/metrics`.
    func metric(_ name: String) -> Int {
        let line = (relay.metrics ?? "").split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    /// Two that dial each other.
    static func pair() async throws -> (TestRelay, TestRelay) {
        let (first, second) = (try await TestRelay(), try await TestRelay())
        (first.trusted, second.trusted) = (second.running.rootPath, first.running.rootPath)
        try await first.restart()
        try await second.restart()
        return (first, second)
    }
}

/// An agent with someone looking at its page.
final class Person: Sendable {
    struct Seen: Sendable {
        var calls: [String: Call] = [:]
        var descriptions: [(session: String, type: String, sdp: String, update: String?)] = []
        var candidates: [(session: String, candidates: JSONValue, end: Bool)] = []
        var rollbacks: [String] = []
        var requests: [(ContactRequest, Peer)] = []
        var log: [LogEntry] = []
        var missed: Int64 = 0
        var notices: [String] = []
        var relay: RelayStatus?
        /// Of those looked at.
        var presence: [DID: Bool] = [:]
        var states: [String: [Call.State]] = [:]
    }

    let name: String
    let agent: Agent
    let folder: TemporaryFolder
    private let seen = NIOLockedValueBox(Seen())

    init(
        _ name: String,
        at relay: any RelayPlace,
        folder: TemporaryFolder = TemporaryFolder(),
        watching: Bool = true,
        createsIdentity: Bool = true,
        kind: Device.Kind = .computer,
        trusting others: [TestRelay] = [],
        dht: AgentConfiguration.DHT = .off,
        dns: (any ValidatingDNS)? = nil,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) },
        awaitsConnection: Bool = true,
        adjusting adjust: (inout AgentConfiguration) -> Void = { _ in }
    ) async throws {
        self.name = name
        self.folder = folder
        var configuration = AgentConfiguration(
            stateFolder: folder.path,
            relay: relay.url,
            trustRoots: ([relay] + others as [any RelayPlace]).compactMap(\.rootPath),
            displayName: name,
            deviceKind: kind,
            allowedAddresses: [AddressRange("127.0.0.1/32")!, AddressRange("::1/128")!],
            createsIdentity: createsIdentity,
            clock: clock
        )
        configuration.dht = dht
        configuration.aliases.dns = dns
        adjust(&configuration)
        agent = try Agent(configuration, log: Person.logger(name))
        if watching { watch() }
        try await agent.start()
        if createsIdentity, awaitsConnection { try await connected() }
    }

    /// `DSIP_TEST_LOG=debug` shows what an agent does.
    private static func logger(_ name: String) -> Logger {
        var logger = Logger(label: name)
        logger.logLevel =
            ProcessInfo.processInfo.environment["DSIP_TEST_LOG"].flatMap(Logger.Level.init(rawValue:)) ?? .warning
        return logger
    }

    /// Opens a page.
    func watch() {
        let events = agent.events()
        Task { [seen] in
            for await event in events { seen.withLockedValue { $0.note(event) } }
        }
    }

    func connected() async throws {
        do {
            try await until("\(name) is connected") {
                (try? await self.agent.state())?["relay"]?["state"]?.string == "connected"
            }
        } catch {
            Issue.record("\(name)’s relay: \(try await agent.state()["relay"]?.text ?? "")")
            throw error
        }
    }

    var now: Seen { seen.withLockedValue { $0 } }
    var did: DID { get async { await agent.ownIdentities().first { $0.current }!.did } }
    var uri: String { get async { await agent.ownIdentities().first { $0.current }!.uri } }

    /// The one call that is not over.
    var ringing: Call? { now.calls.values.first { $0.state == .incoming } }

    func call(_ session: String) -> Call? { now.calls[session] }

    func ended(_ session: String) async throws -> Call.Ending {
        try await until("\(name)’s call has ended") { self.call(session)?.state == .ended }
        return try #require(call(session)?.ended)
    }

    func incoming(from other: String) async throws -> String {
        try await until("\(other)’s call rings at \(name)’s") { self.ringing != nil }
        return try #require(ringing).session
    }

    func logged(_ session: String) async throws -> LogEntry {
        try await until("\(name)’s log has the call") { self.now.log.contains { $0.session == session } }
        return try #require(now.log.first { $0.session == session })
    }
}

extension Person.Seen {
    mutating func note(_ event: AgentEvent) {
        switch event {
        case .call(let call):
            calls[call.session] = call
            if states[call.session]?.last != call.state { states[call.session, default: []].append(call.state) }
        case .description(let session, let type, let sdp, let update, _, _):
            descriptions.append((session, type.rawValue, sdp, update))
        case .candidates(let session, let list, let end, _): candidates.append((session, list, end))
        case .rollback(_, let update, _, _): rollbacks.append(update)
        case .requests(let all): requests = all
        case .presence(let did, let isHere): presence[did] = isHere
        case .log(let entries, let count): (log, missed) = (entries.map(\.0), count)
        case .notice(_, let sentence): notices.append(sentence)
        case .relay(let status): relay = status
        case .stateChanged, .contacts, .devices, .conversation, .conversationGone, .message, .messagesReset, .messaging,
            .broadcast, .broadcastGone, .networkChanged:
            break
        }
    }
}

/// Waits until `condition` holds.
func until(
    _ what: String,
    within limit: Duration = .seconds(20),
    _ condition: () async -> Bool,
    at location: SourceLocation = #_sourceLocation
) async throws {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("not in time: \(what)", sourceLocation: location)
    throw NotInTime(what: what)
}

struct NotInTime: Error { let what: String }

/// Two people who know each other.
func befriend(_ a: Person, _ b: Person) async throws {
    _ = try await a.agent.addContact(await b.uri, name: b.name)
    _ = try await b.agent.addContact(await a.uri, name: a.name)
}
