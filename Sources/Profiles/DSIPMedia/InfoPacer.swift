/// Holds outgoing candidates for a moment, so that those gathered together travel together and a session stays under the rate a
/// peer may expect: one `info` for what comes within 50 ms, ten a second. B§9
///
/// Give it every `send` of a ``CandidateExchange``, sleep until ``deadline``, then sign and send what ``poll(at:)`` returns.
/// Times are durations since any fixed moment of a steady clock.
public struct InfoPacer: Sendable {
    private var candidates: [SignaledCandidate] = []
    private var end = false
    private var due: Duration?
    /// When the last infos went out, oldest first; at most as many as a second may hold.
    private var sent: [Duration] = []

    public static let coalescing: Duration = .milliseconds(50)
    public static let perSecond = 10

    public init() {}

    /// `urgent` is for what was kept until ACTIVE: it has waited enough.
    public mutating func add(_ info: CandidateInfo, at now: Duration, urgent: Bool = false) {
        candidates += info.candidates
        end = end || info.endOfCandidates
        let wanted = urgent ? now : now + Self.coalescing
        due = min(due ?? wanted, wanted)
    }

    /// When to call ``poll(at:)``; `nil` while nothing waits.
    public var deadline: Duration? {
        guard let due else { return nil }
        guard sent.count == Self.perSecond, let oldest = sent.first else { return due }
        return max(due, oldest + .seconds(1))
    }

    /// The infos that may go out now, in order.
    public mutating func poll(at now: Duration) -> [CandidateInfo] {
        var infos: [CandidateInfo] = []
        while let deadline, deadline <= now {
            let batch = Array(candidates.prefix(CandidateInfo.maximumCandidates))
            candidates.removeFirst(batch.count)
            let isLast = candidates.isEmpty
            infos.append(CandidateInfo(candidates: batch, endOfCandidates: end && isLast))
            if isLast { (end, due) = (false, nil) }
            sent.append(now)
            if sent.count > Self.perSecond { sent.removeFirst() }
        }
        return infos
    }
}
