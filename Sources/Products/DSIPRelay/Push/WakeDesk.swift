import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers

/// Wakes devices that are away: who asked to be woken, and what ``WakePlan`` makes of what comes for them.
///
/// A registration is durable before it is acknowledged. A push says which relay and which envelope, nothing else, and a push service
/// learns nothing it could not see from the traffic itself.
final class WakeDesk: Sendable {
    private struct State {
        var plan = WakePlan()
        /// By device, and the devices of each identity.
        var registered: [DID: StoredWake] = [:]
        var devices: [DID: Set<DID>] = [:]
        var bound: Set<DID> = []

        mutating func put(_ entry: StoredWake) {
            take(entry.device)
            guard !entry.targets.isEmpty else { return }
            registered[entry.device] = entry
            devices[entry.identity, default: []].insert(entry.device)
        }

        mutating func take(_ device: DID) {
            guard let identity = registered.removeValue(forKey: device)?.identity else { return }
            devices[identity]?.remove(device)
            if devices[identity]?.isEmpty ?? false { devices[identity] = nil }
        }
    }

    private let sender: any PushSender
    private let writer: StoreWriter
    private let voice: RelayVoice
    private let metrics: RelayMetrics
    private let state = NIOLockedValueBox(State())

    init(
        _ sender: any PushSender,
        writer: StoreWriter,
        voice: RelayVoice,
        metrics: RelayMetrics,
        restoring stored: [StoredWake]
    ) {
        self.sender = sender
        self.writer = writer
        self.voice = voice
        self.metrics = metrics
        let now = voice.clock()
        state.withLockedValue { state in
            for entry in stored {
                state.put(entry)
                state.plan.configured(entry.device, entry.targets, isBound: false, at: now)
            }
            metrics.wakeable.set(state.registered.count)
        }
    }

    /// What can be registered.
    var kinds: [PushTarget.Kind] { sender.kinds }

    // MARK: Registration

    /// A device says how it is woken. It speaks on its own connection.
    func configured(_ message: Verified<PushConfig>, on connection: SignalingConnection) {
        let device = message.body.head.from
        guard device == connection.device?.device, message.body.head.to == voice.key.did else {
            return answer(.policyBlocked, message, connection)
        }
        let isKnown = Set(kinds)
        let targets = message.body.targets.filter { isKnown.contains($0.kind) }
        guard state.withLockedValue({ $0.plan.admits(device) || targets.isEmpty }) else {
            return answer(.policyRateLimited, message, connection)
        }
        let entry = StoredWake(device: device, identity: message.principal, targets: targets)
        let accepted = writer.submit(.wake(entry)) { [weak self] result in
            self?.registered(entry, result, message, connection)
        }
        if !accepted { answer(.policyRateLimited, message, connection) }
    }

    private func registered(
        _ entry: StoredWake,
        _ result: Result<Void, RelayError>,
        _ message: Verified<PushConfig>,
        _ connection: SignalingConnection
    ) {
        guard case .success = result else { return answer(.mailboxQuotaExceeded, message, connection) }
        let now = voice.clock()
        state.withLockedValue { state in
            state.put(entry)
            let isBound = state.bound.contains(entry.device)
            state.plan.configured(entry.device, entry.targets, isBound: isBound, at: now)
            metrics.wakeable.set(state.registered.count)
        }
        let bytes = voice.accepted(Accepted(inReplyTo: message.body.head.id), to: message.body.head.from)
        if let bytes { connection.send(bytes) }
    }

    private func answer(_ reason: Reason, _ message: Verified<PushConfig>, _ connection: SignalingConnection) {
        metrics.refused.add(reason.token)
        let bytes = voice.error(reason, to: message.body.head.from, inReplyTo: message.body.head.id, retryAfter: nil)
        if let bytes { connection.send(bytes) }
    }

    /// A device that is here wants the screen it is seen on woken. It speaks on its own connection.
    func requested(_ message: Verified<WakeRequest>, on connection: SignalingConnection) {
        let (head, now) = (message.body.head, voice.clock())
        guard head.from == connection.device?.device, head.to == voice.key.did else { return }
        perform(
            state.withLockedValue { state in
                state.plan.requested(message.body.envelope, by: head.from, message.body.kind, at: now)
            }
        )
    }

    /// The device's delegation was revoked.
    func revoked(_ device: DID) {
        let isKnown = state.withLockedValue { state in
            defer {
                state.take(device)
                state.plan.remove(device)
                metrics.wakeable.set(state.registered.count)
            }
            return state.registered[device] != nil
        }
        if isKnown { writer.submit(.wake(StoredWake(device: device, identity: device, targets: []))) }
    }

    // MARK: Waking

    func bound(_ device: DID) {
        state.withLockedValue { state in
            state.bound.insert(device)
            state.plan.bound(device)
        }
    }

    func unbound(_ device: DID) {
        state.withLockedValue { state in
            state.bound.remove(device)
            state.plan.unbound(device)
        }
    }

    /// Something waits for `recipient`, a device or an identity.
    func stored(_ envelope: ULID, for recipient: DID, _ kind: Wake.Kind) {
        let now = voice.clock()
        let actions = state.withLockedValue { state -> [WakeAction] in
            let devices = state.registered[recipient] != nil ? [recipient] : state.devices[recipient] ?? []
            return devices.flatMap { state.plan.stored(envelope, for: $0, kind, at: now) }
        }
        perform(actions)
    }

    /// Once a second.
    func tick() {
        let now = voice.clock()
        let actions = state.withLockedValue { state -> [WakeAction] in
            guard let due = state.plan.deadline, due <= now else { return [] }
            return state.plan.advance(to: now)
        }
        perform(actions)
    }

    private func perform(_ actions: [WakeAction]) {
        for action in actions {
            switch action {
            case .send(let wake):
                Task { [self] in
                    let outcome = await sender.send(wake)
                    metrics.wakes.add(outcome.word)
                    let now = voice.clock()
                    perform(state.withLockedValue { $0.plan.answered(wake.id, outcome, at: now) })
                }
            case .drop(let device, let target): drop(target, of: device)
            }
        }
    }

    private func drop(_ target: PushTarget, of device: DID) {
        writer.submit(.dropWake(device, target))
        state.withLockedValue { state in
            guard var entry = state.registered[device] else { return }
            entry.targets.removeAll { $0 == target }
            state.put(entry)
            metrics.wakeable.set(state.registered.count)
        }
    }
}

extension PushOutcome {
    /// For metrics.
    fileprivate var word: String {
        switch self {
        case .accepted: "accepted"
        case .gone: "gone"
        case .later: "later"
        case .refused: "refused"
        }
    }
}

extension ProfileReader {
    /// Reads what devices say of push.
    static let push = ProfileReader([PushConfig.type, WakeRequest.type]) { payload throws(Refusal) in
        do throws(MessagingError) {
            if payload["type"]?.string == WakeRequest.type { return try WakeRequest(payload) }
            return try PushConfig(payload)
        } catch {
            throw Refusal(error.reason ?? .policyBlocked, error.code.rawValue)
        }
    }
}
