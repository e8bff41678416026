import DSIPIdentity
import Encoding

/// Which devices are woken, when, and how often it is tried: the rules of push at a relay.
///
/// A device that is bound is woken when it asks for it, and never else. One that is not is woken at most once in ``Limits/interval`` for messages, whatever comes
/// in between; for calls it is not made to wait. A push that the service does not take is repeated with growing pauses, until the
/// device binds or a day has passed. Lost in a restart is only what waits to be pushed; the next item wakes again.
public struct WakePlan: Sendable {
    public struct Limits: Sendable {
        /// Seconds between two wakes for messages.
        public var interval: Int64 = 30
        /// Seconds between two wakes for calls.
        public var callInterval: Int64 = 2
        /// Seconds after which a wake is no longer tried.
        public var lifetime: Int64 = 86_400
        /// The longest pause, seconds.
        public var longestPause: Int64 = 3600
        /// Seconds until an answer that has not come counts as a refusal for now.
        public var answerTime: Int64 = 60
        /// Devices with a target.
        public var devices = 65_536

        public init() {}
    }

    private let limits: Limits
    private var devices: [DID: WakingDevice] = [:]
    private var inFlight: [Wake.ID: Wake] = [:]
    private var schedule = WakeSchedule()
    private var lastID: UInt64 = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// Whether one more device can be configured, or this one is already.
    public func admits(_ device: DID) -> Bool { devices[device] != nil || devices.count < limits.devices }

    /// A device's ``PushConfig``, or what was kept of it. Beyond ``Limits/devices`` it is passed over: ask ``admits(_:)`` first.
    ///
    /// - Parameter isBound: whether the device is connected now; one that speaks is.
    public mutating func configured(_ device: DID, _ targets: [PushTarget], isBound: Bool, at now: Int64) {
        guard !targets.isEmpty else { return remove(device) }
        guard admits(device) else { return }
        var entry = devices[device] ?? WakingDevice(isBound: isBound)
        let old = entry.targets
        entry.targets = targets.prefix(PushConfig.maximumTargets).map { target in
            old.first { $0.target == target } ?? WakingTarget(target)
        }
        entry.isBound = isBound
        if isBound { entry.rest() }
        forget(old.filter { gone in !entry.targets.contains { $0.target == gone.target } })
        put(entry, for: device)
    }

    /// The device's delegation ended, or the device itself.
    public mutating func remove(_ device: DID) {
        forget(devices.removeValue(forKey: device)?.targets ?? [])
        schedule.remove(device)
    }

    private mutating func forget(_ targets: [WakingTarget]) {
        for target in targets { if let sent = target.sent { inFlight[sent.id] = nil } }
    }

    public mutating func bound(_ device: DID) {
        guard var entry = devices[device] else { return }
        entry.isBound = true
        entry.rest()
        put(entry, for: device)
    }

    public mutating func unbound(_ device: DID) { devices[device]?.isBound = false }

    /// Something durable was stored for a device.
    public mutating func stored(_ envelope: ULID, for device: DID, _ kind: Wake.Kind, at now: Int64) -> [WakeAction] {
        guard devices[device]?.isBound == false else { return [] }
        return requested(envelope, by: device, kind, at: now)
    }

    /// The device wants it, bound or not: see ``WakeRequest``.
    public mutating func requested(_ envelope: ULID, by device: DID, _ kind: Wake.Kind, at now: Int64) -> [WakeAction] {
        guard var entry = devices[device] else { return [] }
        // A call that waits is not made a message by what comes after it.
        let kind = entry.pending?.kind == .call ? .call : kind
        entry.pending = WakingDevice.Owed(envelope: envelope, kind: kind, since: now)
        return run(entry, of: device, at: now)
    }

    /// What became of a push. For one that is not under way any more only ``PushOutcome/gone`` matters.
    public mutating func answered(_ id: Wake.ID, _ outcome: PushOutcome, at now: Int64) -> [WakeAction] {
        guard let wake = inFlight.removeValue(forKey: id), var entry = devices[wake.device],
            let at = entry.targets.firstIndex(where: { $0.target == wake.target })
        else { return [] }
        if case .gone = outcome {
            entry.targets.remove(at: at)
            if entry.targets.isEmpty { remove(wake.device) } else { put(entry, for: wake.device) }
            return [.drop(wake.device, wake.target)]
        }
        guard entry.targets[at].sent?.id == id else { return [] }
        entry.targets[at].answered(wake, outcome, at: now, longestPause: limits.longestPause)
        return run(entry, of: wake.device, at: now)
    }

    /// When ``advance(to:)`` has something to do; nil: never.
    public var deadline: Int64? { schedule.first }

    public mutating func advance(to now: Int64) -> [WakeAction] {
        var actions: [WakeAction] = []
        for device in schedule.takeDue(at: now) {
            guard var entry = devices[device] else { continue }
            for at in entry.targets.indices {
                guard let sent = entry.targets[at].sent, now >= sent.at + limits.answerTime,
                    let wake = inFlight.removeValue(forKey: sent.id)
                else { continue }
                entry.targets[at].answered(wake, .later(after: nil), at: now, longestPause: limits.longestPause)
            }
            actions += run(entry, of: device, at: now)
        }
        return actions
    }

    // MARK: Sending

    private mutating func run(_ entry: WakingDevice, of device: DID, at now: Int64) -> [WakeAction] {
        var entry = entry
        var actions: [WakeAction] = []
        if let pending = entry.pending, now >= entry.dueAt(pending, limits) {
            (entry.pending, entry.lastWake) = (nil, now)
            for at in entry.targets.indices { entry.targets[at].owed = pending }
        }
        for at in entry.targets.indices {
            if let owed = entry.targets[at].owed, now - owed.since >= limits.lifetime { entry.targets[at].owed = nil }
            guard let owed = entry.targets[at].owed, entry.targets[at].sent == nil,
                now >= entry.targets[at].retryAt ?? Int64.min
            else { continue }
            lastID += 1
            let wake = Wake(
                id: Wake.ID(number: lastID),
                device: device,
                target: entry.targets[at].target,
                envelope: owed.envelope,
                kind: owed.kind
            )
            entry.targets[at].sent = WakingTarget.Sent(id: wake.id, at: now)
            inFlight[wake.id] = wake
            actions.append(.send(wake))
        }
        put(entry, for: device)
        return actions
    }

    private mutating func put(_ entry: WakingDevice, for device: DID) {
        devices[device] = entry
        schedule.set(device, entry.deadline(limits))
    }
}
