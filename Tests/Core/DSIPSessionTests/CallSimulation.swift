import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Support

/// Alice with one device, Bob with two, and a relay between them, on a simulated network.
///
/// People ring, answer, decline, ignore and hang up at seeded moments; connections break and heal; the relay restarts. The
/// simulation plays the shells: it sends what the machines say, drops duplicates and expired messages as verification
/// does, keeps the relay's rows, and ends a call whose media has no other side.
struct CallSimulation {
    enum Node: Hashable, Sendable {
        case relay
        case device(DID)
    }

    enum Packet: Sendable {
        case hello
        case signal(Signal)
    }

    final class Letter: Parcel {
        let signal: Signal
        init(_ signal: Signal) { self.signal = signal }
        func copy() -> any Parcel { Letter(signal) }
    }

    struct Device {
        var endpoint: EndpointEngine
        var isConnected = true
        var outbox: [Signal] = []
        var seen: Set<ULID> = []
        /// When media was started, by session; Unix milliseconds.
        var media: [ULID: Int64] = [:]
        var missed: Set<ULID> = []
        var answered: Set<ULID> = []
    }

    enum Chore {
        case command(DID, EndpointEvent)
        case consent(DID, ULID)
        case cut(DID)
        case noticeLoss(DID)
        case heal(DID)
        case crash
        case start
    }

    static let devices = [Cast.alicePhone, Cast.bobPhone, Cast.bobLaptop]

    var network: SimulatedNetwork<Node, Packet>
    var devices: [DID: Device] = [:]
    var router: RelayRouter
    var relayIsUp = true
    var relaySeen: Set<ULID> = []
    /// The relay's store: it survives a crash.
    var rows: [Held] = []
    var known: [KnownRecipient] = []
    /// Live attempts as they were written last: up to a second ago.
    var attempts: [ULID: AttemptRecord] = [:]
    var attemptsWritten: Int64 = 0
    var chores: [(at: Int64, order: Int, chore: Chore)] = []
    var order = 0
    var ids: SeededRandom
    let hasFaults: Bool
    /// What went wrong, in words.
    var violations: [String] = []
    var callers: [ULID: DID] = [:]
    var longestOverlap: Int64 = 0
    var largestHeld = 0

    init(seed: UInt64, hasFaults: Bool) {
        network = SimulatedNetwork(
            seed: seed,
            link: .init(latency: 5...120, duplication: hasFaults ? 50 : 0)
        )
        ids = SeededRandom(seed: seed ^ 0x5eed)
        self.hasFaults = hasFaults
        var configuration = RouterConfiguration()
        configuration.offlineRetentionSeconds = 1000
        configuration.tracksAttemptChanges = true
        router = RelayRouter(configuration: configuration)
        for device in Self.devices {
            devices[device] = Device(
                endpoint: EndpointEngine(device: device, identity: Cast.identity(of: device))
            )
        }
        plan()
    }

    // MARK: The story

    private mutating func plan() {
        for device in Self.devices { later(0, .heal(device)) }
        let caller = Cast.alicePhone
        place(caller, Cast.bob, after: 1000)
        if network.chance(250) { place(Cast.bobPhone, Cast.alice, after: Int64(network.pick(900...1400))) }
        guard hasFaults else { return }
        for device in Self.devices where network.chance(500) {
            let at = Int64(network.pick(500...40_000))
            later(at, .cut(device))
            later(at + Int64(network.pick(0...3000)), .noticeLoss(device))
            later(at + Int64(network.pick(200...30_000)), .heal(device))
        }
        if network.chance(400) {
            let at = Int64(network.pick(900...60_000))
            later(at, .crash)
            let back = at + Int64(network.pick(200...4000))
            later(back, .start)
            for device in Self.devices { later(back + Int64(network.pick(10...3000)), .heal(device)) }
        }
    }

    private mutating func place(_ caller: DID, _ to: DID, after: Int64) {
        let at = network.clock.milliseconds + after
        let session = ULID(milliseconds: UInt64(at), using: &ids)
        callers[session] = caller
        later(after, .command(caller, .placeCall(session: session, to: to, relay: Cast.relay)))
        if network.chance(200) {
            later(after + Int64(network.pick(100...30_000)), .command(caller, .cancel(session: session)))
        }
    }

    private mutating func later(_ milliseconds: Int64, _ chore: Chore) {
        order += 1
        chores.append((network.clock.milliseconds + milliseconds, order, chore))
    }

    // MARK: Running

    /// Lets everything happen until `seconds` from now.
    mutating func run(seconds: Int64) {
        let end = network.clock.milliseconds + seconds * 1000
        while true {
            let chore = chores.indices.min { (chores[$0].at, chores[$0].order) < (chores[$1].at, chores[$1].order) }
            let deadline =
                (devices.values.compactMap(\.endpoint.nextDeadline)
                + [relayIsUp ? router.nextDeadline : nil].compactMap { $0 })
                .min().map { $0 * 1000 }
            let next = min(end, chore.map { chores[$0].at } ?? .max, deadline ?? .max)
            if let arrival = network.next(before: next) {
                arrive(arrival)
            } else if next >= end, (chore.map { chores[$0].at } ?? .max) > end, (deadline ?? .max) > end {
                return
            } else if let chore, chores[chore].at <= next {
                perform(chores.remove(at: chore).chore)
            } else {
                fireTimers()
            }
            largestHeld = max(largestHeld, router.heldCount)
        }
    }

    private var now: Int64 { network.clock.seconds }

    private mutating func fireTimers() {
        let now = now
        for device in Self.devices {
            guard let deadline = devices[device]?.endpoint.nextDeadline, deadline <= now else { continue }
            let actions = devices[device]?.endpoint.advance(to: now) ?? []
            follow(actions, on: device, after: nil)
        }
        guard relayIsUp, let deadline = router.nextDeadline, deadline <= now else { return }
        relayDoes { router, now, out in router.advance(to: now, into: &out) }
    }

    private mutating func perform(_ chore: Chore) {
        switch chore {
        case .command(let device, let event):
            handle(event, on: device)
        case .consent(let device, let session):
            checkConsent(device, session)
        case .cut(let device):
            network.cut(.relay, .device(device))
            devices[device]?.isConnected = false
        case .noticeLoss(let device):
            guard devices[device]?.isConnected == false, relayIsUp else { return }
            router.unbind(device, at: now)
            known = router.knownRecipients
        case .heal(let device):
            guard relayIsUp else { return }
            network.heal(.relay, .device(device))
            network.send(.hello, from: .device(device), to: .relay)
            devices[device]?.isConnected = true
            let waiting = devices[device]?.outbox ?? []
            devices[device]?.outbox = []
            for signal in waiting { network.send(.signal(signal), from: .device(device), to: .relay) }
        case .crash:
            relayIsUp = false
            for device in Self.devices {
                network.cut(.relay, .device(device))
                devices[device]?.isConnected = false
            }
        case .start:
            relayIsUp = true
            router = RelayRouter(configuration: router.configuration)
            router.restore(held: rows, known: known)
            router.restore(attempts: attempts.values.filter { ($0.until ?? 0) > now }, at: now)
        }
    }

    private mutating func arrive(_ arrival: SimulatedNetwork<Node, Packet>.Arrival) {
        switch (arrival.to, arrival.from, arrival.payload) {
        case (.relay, .device(let device), .hello):
            relayDoes { router, now, out in
                router.bind(device, identity: Cast.identity(of: device), at: now, into: &out)
            }
            known = router.knownRecipients
        case (.relay, _, .signal(let signal)):
            // Verification: an id once, and only while it is valid.
            guard relayIsUp, relaySeen.insert(signal.id).inserted, signal.expiresAt ?? .max >= now else { return }
            relayDoes { router, now, out in router.receive(signal, Letter(signal), at: now, into: &out) }
        case (.device(let device), _, .signal(let signal)):
            guard devices[device]?.seen.insert(signal.id).inserted == true, signal.expiresAt ?? .max >= now else {
                return
            }
            handle(.received(signal), on: device)
        case (.device, _, .hello), (.relay, .relay, _):
            break
        }
    }

    // MARK: The relay's shell

    private mutating func relayDoes(_ body: (inout RelayRouter, Int64, inout [RelayAction]) -> Void) {
        var actions: [RelayAction] = []
        body(&router, now, &actions)
        if now > attemptsWritten {
            attemptsWritten = now
            for change in router.takeAttemptChanges() {
                switch change {
                case .live(let record): attempts[record.session] = record
                case .ended(let session): attempts[session] = nil
                }
            }
        }
        for action in actions {
            switch action {
            case .deliver(let delivery):
                if delivery.cause == .flush { forget(delivery.parcel, isMissed: false) }
                hand(delivery.parcel, to: delivery.device)
            case .forward(let forward): hand(forward.parcel, to: forward.to)
            case .queue(let held): rows.append(held)
            case .dequeue(let held, _): forget(held.parcel, isMissed: held.isMissed)
            case .missed(_, let held): forget(held.parcel, isMissed: true)
            case .error(let error):
                let signal = Signal(
                    .error,
                    id: makeID(),
                    from: Cast.relay,
                    to: error.to,
                    session: error.session,
                    expiresAt: now + 30,
                    reason: error.reason,
                    inReplyTo: error.inReplyTo
                )
                network.send(.signal(signal), from: .relay, to: .device(error.to))
            case .drop, .report: break
            }
        }
        if rows.count != router.heldCount {
            violations.append("the store holds \(rows.count) rows, the router \(router.heldCount)")
        }
    }

    private mutating func hand(_ parcel: any Parcel, to device: DID) {
        guard let letter = parcel as? Letter else { return }
        network.send(.signal(letter.signal), from: .relay, to: .device(device))
    }

    private mutating func forget(_ parcel: any Parcel, isMissed: Bool) {
        rows.removeAll { $0.parcel === parcel && $0.isMissed == isMissed }
    }

    private mutating func makeID() -> ULID { ULID(milliseconds: UInt64(network.clock.milliseconds), using: &ids) }

    // MARK: The devices' shell

    private mutating func handle(_ event: EndpointEvent, on device: DID) {
        let now = now
        guard let actions = devices[device]?.endpoint.handle(event, at: now) else { return }
        follow(actions, on: device, after: event)
    }

    private mutating func follow(_ actions: [EndpointAction], on device: DID, after event: EndpointEvent?) {
        for action in actions {
            switch action {
            case .send(let message): send(message, from: device)
            case .media(.start, let session): startMedia(session, on: device, actions, event)
            case .media(.stop, let session): stopMedia(session, on: device)
            case .ui(.offered, let session?): decide(session, on: device)
            case .ui(.missedCall, let session?): devices[device]?.missed.insert(session)
            case .ui(.updateOffered(let update), let session?):
                let reply: EndpointEvent =
                    network.chance(700)
                    ? .answerUpdate(session: session, inReplyTo: update)
                    : .rejectUpdate(session: session, inReplyTo: update, reason: .mediaUnsupported)
                later(Int64(network.pick(1...400)), .command(device, reply))
            default: break
            }
        }
    }

    private mutating func send(_ message: Outbound, from device: DID) {
        let id = message.type == .invite ? message.session ?? makeID() : message.id ?? makeID()
        let signal = Signal(
            message.type,
            id: id,
            from: device,
            identity: Cast.identity(of: device),
            to: message.to,
            session: message.type == .invite ? nil : message.session,
            expiresAt: now + 30,
            reason: message.reason,
            status: message.status?.rawValue,
            ringTimeout: message.ringTimeout,
            queueTimeout: message.queueTimeout,
            answeredBy: message.answeredBy?.rawValue,
            inReplyTo: message.inReplyTo,
            about: message.type == .info ? "transport:webrtc" : nil,
            wantsDeliveryReport: message.type == .invite
        )
        if devices[device]?.isConnected == true {
            network.send(.signal(signal), from: .device(device), to: .relay)
        } else {
            devices[device]?.outbox.append(signal)
        }
    }

    private mutating func decide(_ session: ULID, on device: DID) {
        later(Int64(network.pick(1...300)), .command(device, .alert(session: session, ringTimeout: 30)))
        let at = Int64(network.pick(1000...25_000))
        switch network.pick(0...9) {
        case 0...5: later(at, .command(device, .accept(session: session)))
        case 6...7: later(at, .command(device, .decline(session: session)))
        default: break
        }
    }

    private mutating func startMedia(
        _ session: ULID,
        on device: DID,
        _ actions: [EndpointAction],
        _ event: EndpointEvent?
    ) {
        // DSIP §14.1: no media without a signed answer.
        let hasAnswer: Bool =
            if callers[session] == device {
                if case .received(let signal) = event {
                    signal.type == .answer && signal.session == session
                } else {
                    false
                }
            } else {
                actions.contains { if case .send(let message) = $0 { message.type == .answer } else { false } }
            }
        if !hasAnswer { violations.append("media before an answer on \(device)") }
        if devices[device]?.media[session] != nil { violations.append("media started twice on \(device)") }
        devices[device]?.media[session] = network.clock.milliseconds
        devices[device]?.answered.insert(session)
        later(20_000, .consent(device, session))
        if network.chance(800) {
            later(Int64(network.pick(500...90_000)), .command(device, .hangUp(session: session)))
        }
        for _ in 0..<network.pick(0...3) {
            let update = makeID()
            let command: EndpointEvent =
                network.chance(500) ? .offerUpdate(session: session, id: update) : .sendInfo(session: session)
            later(Int64(network.pick(100...20_000)), .command(device, command))
        }
    }

    private mutating func stopMedia(_ session: ULID, on device: DID) {
        guard let since = devices[device]?.media.removeValue(forKey: session) else {
            violations.append("media stopped that never started on \(device)")
            return
        }
        // Two of the callee's devices with media in one call: how long did it last?
        for (other, state) in devices where other != device && callers[session] != other && callers[session] != device {
            guard let start = state.media[session] else { continue }
            longestOverlap = max(longestOverlap, network.clock.milliseconds - max(since, start))
        }
    }

    /// Media without another side is found out by consent freshness, not by signaling.
    private mutating func checkConsent(_ device: DID, _ session: ULID) {
        guard devices[device]?.media[session] != nil else { return }
        let peer = devices[device]?.endpoint.session(session)?.peer
        let isHeard = peer.map { peer in
            devices[peer]?.media[session] != nil && devices[peer]?.endpoint.session(session)?.peer == device
        }
        if isHeard == true, network.clock.seconds < Cast.start + 300 {
            later(20_000, .consent(device, session))
        } else {
            handle(.hangUp(session: session, reason: .mediaFailed), on: device)
        }
    }

    // MARK: Verdict

    /// Runs the story to its end and past every memory.
    mutating func finish() {
        run(seconds: 900)
        for (device, state) in devices {
            if !state.endpoint.liveSessions.isEmpty { violations.append("a session on \(device) never ended") }
            if !state.media.isEmpty { violations.append("media on \(device) never stopped") }
            for session in state.missed
            where callers[session].map({ devices[$0]?.answered.contains(session) == true }) ?? false {
                violations.append("a missed call on \(device) for a call that was answered")
            }
        }
        let limit: Int64 = hasFaults ? 45_000 : 1_000
        if longestOverlap > limit { violations.append("two legs had media for \(longestOverlap) ms") }
        run(seconds: 4000)
        let now = now
        for device in Self.devices {
            let actions = devices[device]?.endpoint.advance(to: now) ?? []
            if !actions.isEmpty { violations.append("something happened after everything") }
            if devices[device]?.endpoint.sessionCount != 0 { violations.append("\(device) remembers for ever") }
        }
        if router.attemptCount != 0 || router.heldCount != 0 || !rows.isEmpty {
            violations.append("the relay remembers \(router.attemptCount) attempts and \(router.heldCount) envelopes")
        }
        if largestHeld > 64 { violations.append("the relay held \(largestHeld) envelopes for one call") }
    }
}
