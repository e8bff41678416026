import DSIPMessaging

/// Hands a wake to a push service. One attempt: when to try again is ``WakePlan``'s business, so nothing here waits or repeats but for a
/// token that had to be renewed.
public protocol PushSender: Sendable {
    /// The kinds of target it serves.
    var kinds: [PushTarget.Kind] { get }

    /// Never throws: what cannot be reached is asked again later.
    func send(_ wake: Wake) async -> PushOutcome
}

/// The senders of a relay behind one, chosen by the target; at most so many requests under way at once.
public final class PushSenders: PushSender {
    private let senders: [PushTarget.Kind: any PushSender]
    private let turnstile: Turnstile
    private let close: @Sendable () async -> Void

    /// - Parameter limit: requests under way; what comes beyond waits its turn, up to sixteen times as many, and is put off after that.
    public init(_ senders: [any PushSender], limit: Int = 64, close: @escaping @Sendable () async -> Void = {}) {
        var table: [PushTarget.Kind: any PushSender] = [:]
        for sender in senders { for kind in sender.kinds where table[kind] == nil { table[kind] = sender } }
        self.senders = table
        self.turnstile = Turnstile(limit: limit)
        self.close = close
    }

    public var kinds: [PushTarget.Kind] { PushTarget.Kind.allCases.filter { senders[$0] != nil } }

    public func send(_ wake: Wake) async -> PushOutcome {
        guard let sender = senders[wake.target.kind] else { return .refused }
        guard await turnstile.enter() else { return .later(after: nil) }
        let outcome = await sender.send(wake)
        await turnstile.leave()
        return outcome
    }

    /// Closes the connections to push services.
    public func shutDown() async { await close() }
}

/// Lets so many through at once, in the order of their coming.
actor Turnstile {
    private let limit: Int
    private var inside = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(limit: Int) { self.limit = max(1, limit) }

    /// - Returns: false when too many wait already.
    func enter() async -> Bool {
        if inside < limit {
            inside += 1
            return true
        }
        guard waiting.count < limit * 16 else { return false }
        // Whoever leaves passes its place on: `inside` stays as it is.
        await withCheckedContinuation { waiting.append($0) }
        return true
    }

    func leave() {
        if waiting.isEmpty { inside -= 1 } else { waiting.removeFirst().resume() }
    }
}
