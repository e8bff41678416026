import DSIPIdentity
import DSIPSignaling
import Encoding

/// The proposal has one word where the core has several: `dsip.bye` ends a session at any point, `dsip.error` declines and reports
/// failures, and a reply to an update names the session alone. Which is meant shows in the session: this is where it is looked up, so that
/// the machines read nothing but the core's words.
extension WireForm {
    /// Whether the words of this form need a session to be understood.
    var speaksPlainly: Bool { self == .proposal || self == .proposalCOSE }
}

extension EndpointEngine {
    /// `signal` in the core's words; itself when it is in them already.
    public func understood(_ signal: Signal) -> Signal {
        guard signal.form.speaksPlainly, let id = signal.session, let session = sessions[id] else { return signal }
        var signal = signal
        let snapshot = SessionSnapshot(session)
        switch (signal.type, snapshot.state) {
        case (.bye, .offered), (.bye, .alerting): signal.type = .cancel
        case (.bye, .inviting), (.bye, .proceeding): signal.type = .reject
        case (.error, .inviting), (.error, .proceeding):
            guard case .initiator(let attempt) = session, attempt.isInvited(signal, configuration) else { break }
            signal.type = .reject
            signal.inReplyTo = nil
        case (.error, .active), (.reject, .active), (.answer, .active):
            guard case .outbound(let update) = snapshot.update, signal.inReplyTo == nil || signal.inReplyTo == id else {
                break
            }
            if signal.type == .error { signal.type = .reject }
            signal.inReplyTo = update
        default: break
        }
        return signal
    }
}

extension RelayRouter {
    /// `signal` in the core's words, and addressed.
    mutating func understood(_ signal: Signal, at now: Int64) -> Signal {
        guard signal.form.speaksPlainly else { return signal }
        var signal = signal
        if signal.type == .invite { correspondents.started(signal.id, by: signal.from, at: now) }
        guard let session = signal.session else { return signal }
        if let attempt = attempts[session], attempt.outcome == nil {
            let isLeg = attempt.index(of: signal.from) != nil
            switch signal.type {
            case .bye where isInitiator(signal, attempt.initiator, attempt.initiatorIdentity): signal.type = .cancel
            case .bye where isLeg, .error where isLeg: signal.type = .reject
            default: break
            }
            if signal.type == .reject, signal.inReplyTo == session { signal.inReplyTo = nil }
        }
        if signal.type == .answer { correspondents.answered(session, by: signal.from, at: now) }
        if signal.to == nil { signal.to = correspondents.other(than: signal.from, in: session, at: now) }
        return signal
    }
}

/// Who the two devices of a session are, for messages that name the session alone. Bounded: the one longest silent goes first.
struct Correspondents: Sendable {
    private struct Pair: Sendable {
        var caller: DID
        var callee: DID?
    }

    /// Seconds without a word after which a session is forgotten.
    static let memorySeconds: Int64 = 86_400

    let capacity: Int
    private var pairs: [ULID: Pair] = [:]
    private var deadlines = DeadlineQueue<ULID>()

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { pairs.count }

    mutating func started(_ session: ULID, by caller: DID, at now: Int64) {
        guard pairs[session] == nil else { return }
        while pairs.count >= capacity, let oldest = deadlines.pop(at: .max) { pairs[oldest] = nil }
        keep(session, Pair(caller: caller), at: now)
    }

    mutating func answered(_ session: ULID, by callee: DID, at now: Int64) {
        guard var pair = pairs[session], pair.callee == nil, pair.caller != callee else { return }
        pair.callee = callee
        keep(session, pair, at: now)
    }

    /// - Returns: nil for a session unknown here, and for who is not of it.
    mutating func other(than device: DID, in session: ULID, at now: Int64) -> DID? {
        guard let pair = pairs[session] else { return nil }
        // Before an answer a leg is known to the attempt, which checks it.
        let other =
            device == pair.caller ? pair.callee : device == pair.callee || pair.callee == nil ? pair.caller : nil
        if other != nil { keep(session, pair, at: now) }
        return other
    }

    mutating func forget(at now: Int64) {
        while let session = deadlines.pop(at: now) { pairs[session] = nil }
    }

    private mutating func keep(_ session: ULID, _ pair: Pair, at now: Int64) {
        pairs[session] = pair
        deadlines.set(session, to: now + Correspondents.memorySeconds)
    }
}
