/// When candidates travel and when they are applied: nothing is sent before the call is active, nothing is applied before the
/// remote description is, and nothing from a device that is not party to the call. B§4
///
/// Both ways are bounded: what our stack gathers by ``maximumBuffered``, what a peer sends by the receiving limits of B§9.
public struct CandidateExchange: ~Copyable {
    private var state: State

    private enum State {
        case running(peer: String, Outgoing, Incoming)
        case ended
    }

    /// Ours. Kept until ACTIVE, then sent as they come. B§4.3
    private enum Outgoing {
        case held([SignaledCandidate], complete: Bool)
        case flowing(endSent: Bool)
        /// Those of an offer that restarts ICE, kept until it is answered.
        case restarting([SignaledCandidate], complete: Bool)
    }

    /// Theirs. Kept until the description they belong to is applied. B§4.3
    private struct Incoming {
        var held: [SignaledCandidate]? = []
        var ended = false
        var infos = 0
        var candidates = 0
        var excess = 0
    }

    public enum Action: Hashable, Sendable {
        /// Kept for later; `count` candidates are now kept in that direction.
        case buffered(Direction, count: Int)
        /// Send as `info` about `transport:webrtc`.
        case send(CandidateInfo)
        /// Hand to the peer connection, in this order.
        case apply([SignaledCandidate])
        /// The other side has no more candidates for this description.
        case remoteEnd
        case ignored(Ignored)
        /// So many kept candidates will never be used.
        case dropped(count: Int)
        /// Answer with `error policy.rate-limited`; said once for each description. B§9
        case rateLimited
        /// The flood went on: `bye media.failed`. B§8
        case flooded
    }

    public enum Direction: String, Hashable, Sendable {
        case local, remote
    }

    public enum Ignored: String, Hashable, Sendable {
        case afterEnd = "after-end"
        case notParty = "not-party"
        case ended
        case overLimit = "over-limit"
    }

    /// Our own candidates kept before ACTIVE.
    public static let maximumBuffered = 256
    /// What a peer may send for each description; B§9 asks for at least 32 and 128.
    public static let maximumInfos = 64
    public static let maximumCandidates = 256
    /// Further `info` tolerated after that before the call is given up.
    public static let maximumExcess = 64

    /// `peer` is the device party to the media: the signer of the accepted answer, or of the offer we answer. B§4.4
    public init(peer: String) {
        state = .running(peer: peer, .held([], complete: false), Incoming())
    }

    /// Our stack gathered candidates.
    public mutating func gathered(_ candidates: [SignaledCandidate]) -> [Action] {
        switch state {
        case .ended: return [.ignored(.ended)]
        case .running(let peer, .held(var held, let complete), let incoming):
            guard !complete else { return [.ignored(.afterEnd)] }
            guard held.count + candidates.count <= Self.maximumBuffered else { return [.ignored(.overLimit)] }
            held += candidates
            state = .running(peer: peer, .held(held, complete: false), incoming)
            return [.buffered(.local, count: held.count)]
        case .running(_, .flowing(let endSent), _):
            // B§4.2: nothing counts after the end was told.
            return endSent ? [.ignored(.afterEnd)] : Self.batches(candidates, end: false)
        case .running(let peer, .restarting(var held, let complete), let incoming):
            guard !complete else { return [.ignored(.afterEnd)] }
            guard held.count + candidates.count <= Self.maximumBuffered else { return [.ignored(.overLimit)] }
            held += candidates
            state = .running(peer: peer, .restarting(held, complete: false), incoming)
            return [.buffered(.local, count: held.count)]
        }
    }

    /// Our stack has gathered all it can for the current description.
    public mutating func completedGathering() -> [Action] {
        switch state {
        case .running(let peer, .held(let held, _), let incoming):
            state = .running(peer: peer, .held(held, complete: true), incoming)
            return []
        case .running(let peer, .flowing(endSent: false), let incoming):
            state = .running(peer: peer, .flowing(endSent: true), incoming)
            return Self.batches([], end: true)
        case .running(let peer, .restarting(let held, _), let incoming):
            state = .running(peer: peer, .restarting(held, complete: true), incoming)
            return []
        case .running(_, .flowing(endSent: true), _), .ended: return []
        }
    }

    /// The call became ACTIVE on our side: our `answer` was sent, or a valid one applied.
    public mutating func becameActive() -> [Action] {
        switch state {
        case .running(let peer, .held(let held, let complete), let incoming):
            state = .running(peer: peer, .flowing(endSent: complete), incoming)
            return Self.batches(held, end: complete)
        case .running(_, .flowing, _), .running(_, .restarting, _), .ended: return []
        }
    }

    /// The remote description was applied to the peer connection.
    public mutating func appliedRemoteDescription() -> [Action] {
        guard case .running(let peer, let outgoing, var incoming) = state, let held = incoming.held else { return [] }
        incoming.held = nil
        state = .running(peer: peer, outgoing, incoming)
        return (held.isEmpty ? [] : [.apply(held)]) + (incoming.ended ? [.remoteEnd] : [])
    }

    /// A verified `info` came, signed by `device`.
    public mutating func receivedInfo(_ info: CandidateInfo, from device: String) -> [Action] {
        guard case .running(let peer, let outgoing, var incoming) = state else { return [.ignored(.ended)] }
        guard device == peer else { return [.ignored(.notParty)] }
        defer { state = .running(peer: peer, outgoing, incoming) }
        incoming.infos += 1
        incoming.candidates += info.candidates.count
        guard incoming.infos <= Self.maximumInfos, incoming.candidates <= Self.maximumCandidates else {
            incoming.excess += 1
            if incoming.excess > Self.maximumExcess { return [.flooded] }
            return [incoming.excess == 1 ? .rateLimited : .ignored(.overLimit)]
        }
        guard !incoming.ended else { return [.ignored(.afterEnd)] }
        incoming.ended = info.endOfCandidates
        if let held = incoming.held {
            guard !info.candidates.isEmpty else { return [] }
            incoming.held = held + info.candidates
            return [.buffered(.remote, count: held.count + info.candidates.count)]
        }
        return (info.candidates.isEmpty ? [] : [.apply(info.candidates)]) + (incoming.ended ? [.remoteEnd] : [])
    }

    /// An update of ours that restarts ICE is about to be sent (`ice-restart/1.0`).
    ///
    /// What is gathered from here on belongs to its offer. It is kept until that is answered, as before the first answer (B§4.3), so
    /// that what either side sends after an offer or an answer is always of the descriptions in force: envelopes of one sender keep
    /// their order (DSIP §13.2), and no candidate has to name its credentials.
    public mutating func restarting() {
        guard case .running(let peer, .flowing, let incoming) = state else { return }
        state = .running(peer: peer, .restarting([], complete: false), incoming)
    }

    /// That update was refused, or lost: its candidates are of no use, and no others come.
    public mutating func restartFailed() -> [Action] {
        guard case .running(let peer, .restarting(let held, _), let incoming) = state else { return [] }
        state = .running(peer: peer, .flowing(endSent: true), incoming)
        return held.isEmpty ? [] : [.dropped(count: held.count)]
    }

    /// An update was answered and both its descriptions are in force: each side may name candidates anew, and end anew. B§9
    public mutating func renegotiated() -> [Action] {
        guard case .running(let peer, let outgoing, var incoming) = state else { return [] }
        let held = incoming.held
        incoming = Incoming()
        incoming.held = held
        switch outgoing {
        case .held:
            state = .running(peer: peer, outgoing, incoming)
            return []
        case .flowing:
            state = .running(peer: peer, .flowing(endSent: false), incoming)
            return []
        case .restarting(let gathered, let complete):
            state = .running(peer: peer, .flowing(endSent: complete), incoming)
            return Self.batches(gathered, end: complete)
        }
    }

    /// The session is over, or the offer these candidates belong to was superseded. B§4.3
    public mutating func end() -> [Action] {
        guard case .running(_, let outgoing, let incoming) = state else { return [] }
        state = .ended
        var count = incoming.held?.count ?? 0
        switch outgoing {
        case .held(let held, _), .restarting(let held, _): count += held.count
        case .flowing: break
        }
        return count == 0 ? [] : [.dropped(count: count)]
    }

    /// As few `info` as the schema allows; the end travels with the last.
    private static func batches(_ candidates: [SignaledCandidate], end: Bool) -> [Action] {
        var actions: [Action] = []
        var rest = candidates[...]
        while !rest.isEmpty {
            let batch = Array(rest.prefix(CandidateInfo.maximumCandidates))
            rest = rest.dropFirst(batch.count)
            actions.append(.send(CandidateInfo(candidates: batch, endOfCandidates: end && rest.isEmpty)))
        }
        if end && actions.isEmpty { actions.append(.send(CandidateInfo(candidates: [], endOfCandidates: true))) }
        return actions
    }
}
