import DSIPMedia
import Encoding
import Testing

@Suite("Candidate exchange") struct CandidateExchangeTests {
    typealias Action = CandidateExchange.Action

    private func candidates(_ range: Range<Int>) -> [SignaledCandidate] {
        range.map { SignaledCandidate(candidate: "candidate:\($0) 1 udp 1 192.0.2.1 5000 typ host", sdpMid: "0") }
    }

    private func info(_ range: Range<Int>, end: Bool = false) -> CandidateInfo {
        CandidateInfo(candidates: candidates(range), endOfCandidates: end)
    }

    @Test("what is gathered before the call is active leaves in as few infos as fit, the end with the last")
    func held() {
        var exchange = CandidateExchange(peer: "bob")
        let steps: [[Action]] = [
            exchange.gathered(candidates(0..<1)), exchange.gathered(candidates(1..<100)), exchange.completedGathering(),
            exchange.gathered(candidates(100..<101)), exchange.becameActive(), exchange.becameActive(),
            exchange.completedGathering(),
        ]
        #expect(
            steps == [
                [.buffered(.local, count: 1)], [.buffered(.local, count: 100)], [], [.ignored(.afterEnd)],
                [.send(info(0..<64)), .send(info(64..<100, end: true))], [], [],
            ]
        )
    }

    @Test("after that candidates leave as they come, and the end is told once")
    func flowing() {
        var exchange = CandidateExchange(peer: "bob")
        let steps: [[Action]] = [
            exchange.becameActive(), exchange.gathered(candidates(0..<2)), exchange.completedGathering(),
            exchange.completedGathering(), exchange.gathered(candidates(2..<3)),
        ]
        #expect(steps == [[], [.send(info(0..<2))], [.send(info(0..<0, end: true))], [], [.ignored(.afterEnd)]])
    }

    @Test("the end that overtook the description is told after the candidates it ends")
    func endBeforeDescription() {
        var exchange = CandidateExchange(peer: "bob")
        let steps: [[Action]] = [
            exchange.receivedInfo(info(0..<2), from: "bob"), exchange.receivedInfo(info(2..<3, end: true), from: "bob"),
            exchange.receivedInfo(info(3..<4), from: "bob"), exchange.appliedRemoteDescription(),
            exchange.appliedRemoteDescription(), exchange.receivedInfo(info(0..<0, end: true), from: "bob"),
        ]
        #expect(
            steps == [
                [.buffered(.remote, count: 2)], [.buffered(.remote, count: 3)], [.ignored(.afterEnd)],
                [.apply(candidates(0..<3)), .remoteEnd], [], [.ignored(.afterEnd)],
            ]
        )
    }

    @Test("the end of the session drops what is kept, and nothing counts afterwards")
    func end() {
        var exchange = CandidateExchange(peer: "bob")
        let steps: [[Action]] = [
            exchange.gathered(candidates(0..<2)), exchange.receivedInfo(info(0..<3), from: "bob"), exchange.end(),
            exchange.end(),
            exchange.gathered(candidates(0..<1)), exchange.receivedInfo(info(0..<1), from: "bob"),
            exchange.becameActive(),
            exchange.appliedRemoteDescription(), exchange.completedGathering(),
        ]
        #expect(
            steps == [
                [.buffered(.local, count: 2)], [.buffered(.remote, count: 3)], [.dropped(count: 5)], [],
                [.ignored(.ended)],
                [.ignored(.ended)], [], [], [],
            ]
        )
    }

    @Test("32 infos with 128 candidates pass; a flood is told once, then gives up the call; an update starts anew")
    func flood() {
        var exchange = CandidateExchange(peer: "bob")
        _ = exchange.appliedRemoteDescription()
        for index in 0..<32 {
            let actions = exchange.receivedInfo(info(index * 4..<index * 4 + 4), from: "bob")
            #expect(actions == [.apply(candidates(index * 4..<index * 4 + 4))])
        }
        for _ in 0..<(CandidateExchange.maximumInfos - 32) { _ = exchange.receivedInfo(info(0..<1), from: "bob") }
        let first = exchange.receivedInfo(info(0..<1), from: "bob")
        let second = exchange.receivedInfo(info(0..<1), from: "bob")
        #expect(first == [.rateLimited] && second == [.ignored(.overLimit)])
        for _ in 2..<CandidateExchange.maximumExcess { _ = exchange.receivedInfo(info(0..<1), from: "bob") }
        let last = exchange.receivedInfo(info(0..<1), from: "bob")
        #expect(last == [.flooded])
        let stranger = exchange.receivedInfo(info(0..<1), from: "mallory")
        #expect(stranger == [.ignored(.notParty)])
        _ = exchange.renegotiated()
        let anew = exchange.receivedInfo(info(0..<1), from: "bob")
        #expect(anew == [.apply(candidates(0..<1))])
    }

    @Test("after an update each side may name candidates and the end again")
    func renegotiated() {
        var exchange = CandidateExchange(peer: "bob")
        _ = (exchange.becameActive(), exchange.appliedRemoteDescription(), exchange.completedGathering())
        _ = exchange.receivedInfo(info(0..<0, end: true), from: "bob")
        _ = exchange.renegotiated()
        let steps: [[Action]] = [
            exchange.gathered(candidates(0..<1)), exchange.completedGathering(),
            exchange.receivedInfo(info(0..<1, end: true), from: "bob"),
        ]
        #expect(
            steps == [
                [.send(info(0..<1))], [.send(info(0..<0, end: true))], [.apply(candidates(0..<1)), .remoteEnd],
            ]
        )
    }

    @Test("candidates of an offer that restarts ICE wait for its answer, though the end was told before")
    func restarting() {
        var exchange = CandidateExchange(peer: "bob")
        _ = (exchange.becameActive(), exchange.appliedRemoteDescription(), exchange.completedGathering())
        exchange.restarting()
        let steps: [[Action]] = [
            exchange.gathered(candidates(0..<2)), exchange.completedGathering(), exchange.gathered(candidates(2..<3)),
            exchange.receivedInfo(info(0..<1), from: "bob"), exchange.renegotiated(),
            exchange.gathered(candidates(0..<1)),
        ]
        #expect(
            steps == [
                [.buffered(.local, count: 2)], [], [.ignored(.afterEnd)], [.apply(candidates(0..<1))],
                [.send(info(0..<2, end: true))], [.ignored(.afterEnd)],
            ]
        )
    }

    @Test("those of a restart that was refused are dropped, and the next one has its own")
    func refusedRestart() {
        var exchange = CandidateExchange(peer: "bob")
        _ = (exchange.becameActive(), exchange.appliedRemoteDescription(), exchange.completedGathering())
        exchange.restarting()
        _ = exchange.gathered(candidates(0..<2))
        let dropped = exchange.restartFailed()
        let late = exchange.gathered(candidates(2..<3))
        exchange.restarting()
        _ = exchange.gathered(candidates(4..<5))
        let sent = exchange.renegotiated()
        #expect(dropped == [.dropped(count: 2)] && late == [.ignored(.afterEnd)] && sent == [.send(info(4..<5))])
        for index in 0..<CandidateExchange.maximumBuffered + 9 {
            exchange.restarting()
            _ = exchange.gathered(candidates(index..<index + 1))
        }
        let over = exchange.gathered(candidates(0..<1))
        #expect(over == [.ignored(.overLimit)])
    }

    @Test("our own candidates are bounded too")
    func bounded() {
        var exchange = CandidateExchange(peer: "bob")
        _ = exchange.gathered(candidates(0..<CandidateExchange.maximumBuffered))
        let more = exchange.gathered(candidates(0..<1))
        #expect(more == [.ignored(.overLimit)])
    }

    @Test("info data reads and writes by the schema of Appendix A")
    func json() throws {
        let text =
            #"{"candidates":[{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdp_mid":"0","sdp_m_line_index":0}],"end_of_candidates":false}"#
        let data = try JSONValue(parsing: text)
        #expect(CandidateInfo(json: data)?.json == data)
        for bad in [
            "[]", "{}", #"{"candidates":[]}"#, #"{"candidates":[],"end_of_candidates":1}"#,
            #"{"candidates":[],"end_of_candidates":true,"x":1}"#,
            #"{"candidates":[{"candidate":"candidate:1"}],"end_of_candidates":true}"#,
            #"{"candidates":[{"candidate":"x","sdp_mid":"0"}],"end_of_candidates":true}"#,
            #"{"candidates":[{"candidate":"candidate:1","sdp_mid":"0","username_fragment":"abcd"}],"end_of_candidates":true}"#,
            #"{"candidates":[{"candidate":"candidate:1","sdp_mid":"0","sdp_m_line_index":-1}],"end_of_candidates":true}"#,
        ] { #expect(try CandidateInfo(json: JSONValue(parsing: bad)) == nil, "\(bad)") }
        let many: JSONValue = [
            "candidates": .array(Array(repeating: candidates(0..<1)[0].json, count: 65)), "end_of_candidates": false,
        ]
        #expect(CandidateInfo(json: many) == nil)
    }
}
