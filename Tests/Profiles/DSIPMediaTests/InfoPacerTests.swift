import DSIPMedia
import Testing

@Suite("Pacing of candidate infos") struct InfoPacerTests {
    private func info(_ range: Range<Int>, end: Bool = false) -> CandidateInfo {
        CandidateInfo(
            candidates: range.map { SignaledCandidate(candidate: "candidate:\($0)", sdpMid: "0") },
            endOfCandidates: end
        )
    }

    @Test("candidates within 50 ms travel in one info, the end with them")
    func coalescing() {
        var pacer = InfoPacer()
        #expect(pacer.deadline == nil)
        pacer.add(info(0..<1), at: .milliseconds(0))
        pacer.add(info(1..<2), at: .milliseconds(30))
        pacer.add(info(0..<0, end: true), at: .milliseconds(40))
        #expect(pacer.deadline == .milliseconds(50))
        #expect(pacer.poll(at: .milliseconds(49)).isEmpty)
        #expect(pacer.poll(at: .milliseconds(50)) == [info(0..<2, end: true)])
        #expect(pacer.deadline == nil && pacer.poll(at: .seconds(9)).isEmpty)
    }

    @Test("what was kept until the call became active goes at once, 64 to an info")
    func urgent() {
        var pacer = InfoPacer()
        pacer.add(info(0..<64), at: .zero, urgent: true)
        pacer.add(info(64..<70, end: true), at: .zero, urgent: true)
        #expect(pacer.poll(at: .zero) == [info(0..<64), info(64..<70, end: true)])
    }

    @Test("never more than ten infos in any second, and nothing is lost")
    func rate() {
        var pacer = InfoPacer()
        var times: [Duration] = []
        var delivered = 0
        for tick in 0..<6_000 {
            let now = Duration.milliseconds(tick)
            if tick < 3_000, tick.isMultiple(of: 20) { pacer.add(info(tick..<tick + 1), at: now) }
            for batch in pacer.poll(at: now) {
                times.append(now)
                delivered += batch.candidates.count
            }
        }
        #expect(delivered == 150)
        for (first, eleventh) in zip(times, times.dropFirst(10)) { #expect(eleventh - first >= .seconds(1)) }
    }
}
