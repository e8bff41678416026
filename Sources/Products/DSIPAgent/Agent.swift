import DSIPDiscovery
import DSIPIdentity
import DSIPMedia
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import FoundationEssentials
import Logging

/// The embeddable client: a person's identities, contacts and calls on one device.
///
/// It owns the wallet, the contact database and the connections to relays; `EndpointEngine` decides what every command and every
/// message leads to, and the agent signs, sends, shows and stores what it decided. It moves no media: a page (or another owner of a
/// peer connection) brings offers and answers and is given the other side's once, and only once, they may be used (DSIP §14.1).
///
/// ```swift
/// let agent = try Agent(AgentConfiguration(stateFolder: folder, relay: "wss://relay.example/dsip"), log: logger)
/// try await agent.start()
/// for await event in await agent.events() { … }
/// ```
public actor Agent {
    public nonisolated let configuration: AgentConfiguration
    nonisolated let hub = EventHub()
    let store: AgentStore
    let keyring: Keyring
    nonisolated let directory: Directory
    nonisolated let links: RelayLinks
    nonisolated let fetcher: HTTPDocumentFetcher
    nonisolated let uploads: UploadShelf
    nonisolated let attachments: AttachmentShelf
    nonisolated let messageDatabase: MessageDatabase
    /// For blobs, which take longer than documents.
    nonisolated let blobClient: GuardedHTTPClient
    /// For the endpoints of stations.
    nonisolated let stationClient: GuardedHTTPClient
    nonisolated let logger: Logger

    var desks: [DID: Desk] = [:]
    var relayStatus: RelayStatus
    /// For the `detail` of a `reject` sent before there is a call to keep it in.
    var pendingDetail: String?
    /// How those who do not speak DSIP-JOSE are spoken to.
    var dialects = Dialects()
    /// Identities that are their only device and open what is sealed to them.
    var sealable = RecentSet<DID>(capacity: Dialects.maximumCount)
    /// Identities whose other devices are about to hear of a change.
    var announcing: Set<DID> = []
    /// Notices of missed calls whose evidence is being verified.
    var unsettledEvidence = 0
    /// Messages that have come, the last few: seen by a page, or told to one that is closed.
    var toldOf: [ULID] = []
    /// What pages were woken for, the last few.
    var wokenFor: [ULID] = []
    /// Devices of ours that wait at the relay to be paired.
    var waiting: Set<DID> = []
    /// Streams that are followed, by their ids.
    var watched: [String: WatchedStream] = [:]
    /// Those whose presence somebody looks at.
    var looked: [DID: LookedAt] = [:]
    /// What was said of streams and awaits its effect, with the reason once it is refused.
    var broadcastRefusals: [ULID: Reason?] = [:]
    private var timer: Task<Void, Never>?
    private var deliveries: Task<Void, Never>?
    private var observations: Task<Void, Never>?
    /// Identities whose key is being replaced at this moment.
    var rotating: Set<DID> = []
    private var random = SystemRandomNumberGenerator()
    private var lastID: ULID?

    /// Opens the state folder. Nothing is sent before `start`.
    /// - Throws: `AgentError` `.wrongPassphrase`, `.damaged`, `.internal`.
    public init(_ configuration: AgentConfiguration, log: Logger = Logger(label: "dsip.agent")) throws(AgentError) {
        self.configuration = configuration
        self.logger = log
        try StateFolder.prepare(configuration.stateFolder)
        self.store = try AgentStore(path: configuration.stateFolder + "/agent.sqlite")
        self.uploads = try UploadShelf(folder: configuration.stateFolder + "/uploads")
        self.attachments = try AttachmentShelf(stateFolder: configuration.stateFolder)
        self.messageDatabase = try MessageDatabase(path: configuration.stateFolder + "/messages.sqlite")
        self.keyring = try Keyring(configuration, store: store)
        self.relayStatus = RelayStatus(
            url: configuration.relay,
            state: .connecting,
            since: configuration.clock(),
            sentence: "Connecting to the relay."
        )
        let roots = TrustRoots(additionalFiles: configuration.trustRoots)
        let policy = AddressPolicy(allowing: configuration.allowedAddresses)
        let fetcher = HTTPDocumentFetcher(policy: policy, roots: roots)
        self.blobClient = GuardedHTTPClient(
            allows: { !policy.refuses($0) },
            roots: roots,
            timeout: Agent.transferTime
        )
        self.stationClient = GuardedHTTPClient(allows: { !policy.refuses($0) }, roots: roots)
        self.fetcher = fetcher
        self.directory = Directory(
            fetcher: fetcher,
            ethereum: configuration.ethereum,
            dht: configuration.mode == .full ? configuration.dht : .off,
            aliases: configuration.aliases,
            pkarr: PkarrPlaces(configuration.pkarr, fetcher: fetcher, policy: policy),
            seen: SeenMemory(store: store, clock: configuration.clock),
            clock: configuration.clock
        )
        self.links = RelayLinks(
            roots: roots,
            resolver: directory.resolver,
            clock: configuration.clock,
            log: log,
            dials: configuration.mode != .offline
        )
    }

    /// Connects, ends what the last run left open, and begins to take calls.
    public func start() throws(AgentError) {
        guard deliveries == nil else { return }
        if keyring.identities.isEmpty, configuration.createsIdentity {
            _ = try keyring.create(
                name: configuration.displayName,
                relay: configuration.relay,
                throwawayFor: nil,
                at: now()
            )
        }
        for identity in keyring.identities { try openDesk(identity) }
        restoreWatched()
        let events = links.events
        deliveries = Task { [weak self] in
            for await event in events {
                guard let self else { return }
                await self.handle(event)
            }
        }
        guard configuration.mode == .full else { return }
        let fresh = directory.fresh
        observations = Task { [weak self] in
            for await document in fresh { await self?.observeKeys(in: document) }
        }
        joinDHT()
        try endLeftOvers()
        publishPeople()
        reschedule()
    }

    /// Ends every call, says so to the other side, and closes the connections.
    public func stop() async {
        await directory.contacts.stop()
        for desk in desks.values {
            for live in desk.calls.values where live.call.state != .ended {
                _ = try? hangUp(live.call.session)
            }
        }
        timer?.cancel()
        await leaveDHT()
        await links.close()
        deliveries?.cancel()
        observations?.cancel()
        hub.finish()
    }

    /// Goes without a word, as a process that is killed does.
    func vanish() async {
        await directory.contacts.stop()
        timer?.cancel()
        deliveries?.cancel()
        observations?.cancel()
        await leaveDHT()
        await links.close()
        desks = [:]
        hub.finish()
    }

    /// What happens from now on. A listener that does not keep up is dropped.
    public nonisolated func events() -> AsyncStream<AgentEvent> {
        hub.listen()?.events ?? AsyncStream { $0.finish() }
    }

    /// Runs one method of the local API (docs/agent-api.md), as a page's request would be.
    ///
    /// - Parameter parameters: an object, or null for none.
    public func perform(_ method: String, _ parameters: JSONValue = .null) async throws(AgentError) -> JSONValue {
        try await MethodTable.call(method, Parameters(parameters), agent: self, page: .request)
    }

    // MARK: Connections

    /// Opens the desk of one of our identities and connects it to its relay for good.
    func openDesk(_ identity: Keyring.Record) throws(AgentError) {
        guard desks[identity.did] == nil, let (key, delegations) = keyring.signer(for: identity.did, at: now()) else {
            return
        }
        let desk = Desk(
            identity: identity.did,
            key: key,
            delegations: delegations,
            relay: identity.relay,
            name: identity.name,
            contacts: try contactBook(of: identity.did),
            lastPresence: lastSequence(.presence, of: identity.did)
        )
        desks[identity.did] = desk
        try openMail(desk)
        links.add(owner: identity.did, key: key, delegations: delegations, home: identity.relay)
    }

    private func handle(_ event: RelayLinks.Event) {
        switch event {
        case .message(let message, let owner, let path):
            if !receivedStored(message, owner: owner) { received(message, owner: owner, path: path) }
        case .mail(let message, let owner, let path):
            if !receivedStored(message, owner: owner) { receivedMail(message, owner: owner, path: path) }
        case .ratchet(let message, let owner, let path): receivedRatchet(message, owner: owner, path: path)
        case .unreadable(let id, let owner, let path):
            if let desk = desks[owner], path == desk.relay { acknowledge(id, desk) }
        case .status(let owner, let url, let state):
            if state.isConnected, desks[owner]?.relay == url { announceSoon(owner) }
            if case .connected(_, let capabilities) = state { learnHosts(capabilities, of: url) }
            state.isConnected ? resubscribe(owner: owner, path: url) : unsubscribed(owner: owner, path: url)
            if let desk = desks[owner] {
                mailLink(state, at: url, desk)
                if state.isConnected, desk.relay == url {
                    announce(desk)
                    desk.toldAudience = nil
                    sendAudience(desk)
                    adoptPublished(desk)
                    renewMove(of: owner)
                }
            }
            guard owner == current, desks[owner]?.relay == url else { return }
            relayStatus = status(state, url: url)
            hub.publish(.relay(relayStatus))
        case .undeliverable(let item, let owner):
            guard let desk = desks[owner], let live = item.session.flatMap({ desk.calls[$0] }) else { return }
            live.ending = (.transportEnvelopeTooLarge, false)
            if item.type == .invite { run(.inviteFailed(session: live.id, reason: .transportEnvelopeTooLarge), desk) }
        case .idle(let owner, let url):
            let isUsed =
                desks[owner]?.calls.values.contains { $0.path == url } ?? false || isFollowing(owner: owner, path: url)
            isUsed ? links.link(owner: owner, url: url).touch() : links.drop(owner: owner, url: url)
        case .networkChanged: hub.publish(.networkChanged)
        }
    }

    private func status(_ state: RelayLink.State, url: String) -> RelayStatus {
        switch state {
        case .connecting:
            RelayStatus(url: url, state: .connecting, since: now(), sentence: "Connecting to the relay.")
        case .connected(let relay, let capabilities):
            RelayStatus(
                url: url,
                did: relay.identity,
                state: .connected,
                since: now(),
                sentence: "Connected. You can be called.",
                stun: (capabilities.other["stun"]?.array ?? []).prefix(8).compactMap(\.string)
                    .filter { $0.hasPrefix("stun:") && $0.utf8.count <= 256 }
            )
        case .waiting(let until, let why):
            RelayStatus(
                url: url,
                state: .waiting,
                since: now(),
                retryAt: until,
                sentence: why.code == .clock
                    ? Sentences.wrongClock(why) : "The relay cannot be reached (\(why.reason)). Trying again by itself."
            )
        case .refused(let why):
            RelayStatus(url: url, state: .refused, since: now(), sentence: "The relay refused this device: \(why).")
        }
    }

    // MARK: Time

    nonisolated func now() -> Int64 { configuration.clock() }

    /// Message ids are time-ordered, also within one millisecond of this agent, so that of two updates the first is the smaller.
    func makeID() -> ULID {
        let milliseconds = UInt64(max(0, Date().timeIntervalSince1970 * 1000))
        let drift = UInt64(max(0, now())) * 1000
        let base = drift / 1000 == milliseconds / 1000 ? milliseconds : drift
        var id = ULID(milliseconds: base, using: &random)
        if let lastID, id <= lastID, lastID.milliseconds <= base + 1000 {
            id = ULID(milliseconds: lastID.milliseconds + 1, using: &random)
        }
        lastID = id
        return id
    }

    /// Sleeps until the next thing is due.
    func reschedule() {
        timer?.cancel()
        let due =
            desks.values.flatMap {
                [
                    $0.engine.nextDeadline, $0.mail?.mail.deadline, $0.mail?.ratchet.deadline, $0.announceAt,
                    $0.presenceAt,
                    renewalDue($0),
                ]
            }.compactMap(\.self) + watched.values.compactMap(\.nextDeadline)
            + looked.values.compactMap(\.nextDeadline)
        guard let next = due.min() else { return }
        let delay = max(0, next - now())
        timer = Task { [weak self] in
            try? await Task.sleep(for: .milliseconds(delay * 1000 + 20))
            guard !Task.isCancelled else { return }
            await self?.advance()
        }
    }

    // MARK: Pages

    func pageOpened(_ page: PageID) {
        // Someone can hear it now.
        for desk in desks.values {
            for live in desk.calls.values where live.call.state == .incoming { alert(live, desk) }
        }
    }

    /// A page is gone. The call whose media it held ends unless the page is back soon: a reload loses the media.
    func pageClosed(_ page: PageID) {
        for desk in desks.values {
            for live in desk.calls.values where live.call.holder == page && live.call.state != .ended {
                guard live.isActive || live.call.direction == .outgoing else {
                    live.call.holder = nil
                    live.opened = false
                    publish(live)
                    continue
                }
                let session = live.call.session
                live.abandonment = Task { [weak self] in
                    try? await Task.sleep(for: Agent.abandonmentGrace)
                    guard !Task.isCancelled else { return }
                    await self?.abandon(session, page)
                }
            }
        }
    }

    static let abandonmentGrace: Duration = .seconds(8)

    private func abandon(_ session: String, _ page: PageID) {
        guard let (desk, live) = try? liveCall(session), live.call.holder == page else { return }
        if live.isActive {
            end(live, desk, .userHangup)
        } else {
            _ = try? cancel(session)
        }
    }

    // MARK: State

    /// Everything a page shows, as docs/agent-api.md has it.
    public func state(for page: PageID = .request) throws(AgentError) -> JSONValue {
        let identity = ownIdentities().first(where: \.current)
        let calls = desks.values.flatMap { $0.calls.values }.map(\.call).filter { $0.state != .ended }
            .sorted { $0.startedAt < $1.startedAt }
        return [
            "identity": identity?.json ?? .null, "identities": .array(ownIdentities().map(\.json)),
            "device": identity == nil ? .null : thisDevice().json, "relay": relayStatus.json,
            "contacts": .array(try contacts().map(\.json)),
            "calls": .array(calls.map { $0.json(for: page) }),
            "requests": .array(try requests().map { $0.0.json(peer: $0.1) }),
            "broadcasts": .array(broadcasts().map(\.json)),
            "conversations": .array(try conversations().map(\.json)), "messaging": messaging().json,
            "log": .array(try log().map { $0.0.json(peer: $0.1) }), "missed": .int(try missed()),
            "settings": settings,
        ]
    }

    private var settings: JSONValue {
        [
            "ring_unknown": false, "visibility": .string(visibility.rawValue), "region": .optional(region?.text),
            "display_name": .string(ownIdentities().first(where: \.current)?.name ?? ""),
            "version": .string(configuration.version),
        ]
    }

    /// Changes what is given, and says what holds then.
    ///
    /// - Parameter region: a geohash of one to five characters; empty for none.
    public func update(visibility: Visibility? = nil, region: String? = nil) throws(AgentError) -> JSONValue {
        try setVisibility(visibility, region: region)
        return settings
    }

    func snapshotEvent(for page: PageID) -> JSONValue {
        do {
            return ["event": "state", "data": try state(for: page)]
        } catch {
            return ["event": "notice", "data": ["level": "error", "sentence": .string(error.message)]]
        }
    }
}

/// The folder the agent keeps its state in.
enum StateFolder {
    /// Makes the folder, for this user only.
    static func prepare(_ path: String) throws(AgentError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw AgentError(.internal, "The folder \(path) could not be made. Check that you may write there.")
        }
    }
}
