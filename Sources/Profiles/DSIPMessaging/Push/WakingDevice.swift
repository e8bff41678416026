import DSIPIdentity
import Encoding

/// What a ``WakePlan`` knows of one device.
struct WakingDevice: Sendable {
    struct Owed: Sendable {
        var envelope: ULID
        var kind: Wake.Kind
        var since: Int64
    }

    var targets: [WakingTarget] = []
    var isBound: Bool
    /// Came since the last wake.
    var pending: Owed?
    var lastWake: Int64?

    init(isBound: Bool) { self.isBound = isBound }

    /// It is here: nothing is owed, and the next wake need not wait for the one before.
    mutating func rest() {
        (pending, lastWake) = (nil, nil)
        for at in targets.indices { targets[at].owed = nil }
    }

    func dueAt(_ pending: Owed, _ limits: WakePlan.Limits) -> Int64 {
        guard let lastWake else { return pending.since }
        return lastWake + (pending.kind == .call ? limits.callInterval : limits.interval)
    }

    func deadline(_ limits: WakePlan.Limits) -> Int64? {
        var times: [Int64] = []
        if let pending { times.append(dueAt(pending, limits)) }
        for target in targets {
            if let sent = target.sent {
                times.append(sent.at + limits.answerTime)
            } else if let owed = target.owed {
                times.append(target.retryAt ?? owed.since)
            }
        }
        return times.min()
    }
}

/// One target of a device and the push that is under way to it.
struct WakingTarget: Sendable {
    struct Sent: Sendable {
        var id: Wake.ID
        var at: Int64
    }

    let target: PushTarget
    var owed: WakingDevice.Owed?
    var sent: Sent?
    var retryAt: Int64?
    private var failures = 0

    init(_ target: PushTarget) { self.target = target }

    mutating func answered(_ wake: Wake, _ outcome: PushOutcome, at now: Int64, longestPause: Int64) {
        sent = nil
        switch outcome {
        case .accepted, .gone, .refused:
            (failures, retryAt) = (0, nil)
            if owed?.envelope == wake.envelope { owed = nil }
        case .later(let after):
            failures = min(failures + 1, 32)
            let pause = min(longestPause, 1 << Int64(min(failures - 1, 20)))
            // A quarter more or less, so that a service that comes back is not met by all at once.
            let noise = Int64((wake.id.number &* 0x9e37_79b9_7f4a_7c15) >> 33)
            let spread = noise % (pause / 2 + 1) - pause / 4
            retryAt = now + max(min(after ?? 0, 86_400), max(1, pause + spread))
        }
    }
}

/// Times in order, one a device.
struct WakeSchedule: Sendable {
    private var times: [DID: Int64] = [:]
    /// Ascending.
    private var order: [(at: Int64, device: DID)] = []

    var first: Int64? { order.first?.at }

    mutating func set(_ device: DID, _ time: Int64?) {
        guard times[device] != time else { return }
        remove(device)
        guard let time else { return }
        times[device] = time
        order.insert((time, device), at: place(of: time))
    }

    mutating func remove(_ device: DID) {
        guard let time = times.removeValue(forKey: device) else { return }
        var at = place(of: time)
        while at < order.count, order[at].at == time {
            if order[at].device == device {
                order.remove(at: at)
                return
            }
            at += 1
        }
    }

    /// The devices whose time has come; they have none now.
    mutating func takeDue(at now: Int64) -> [DID] {
        let due = order.prefix { $0.at <= now }.map(\.device)
        order.removeFirst(due.count)
        for device in due { times[device] = nil }
        return due
    }

    /// The first place whose time is not before `time`.
    private func place(of time: Int64) -> Int {
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if order[middle].at < time { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
