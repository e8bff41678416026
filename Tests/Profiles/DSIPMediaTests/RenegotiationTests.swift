import DSIPMedia
import DSIPSignaling
import Testing
import WebRTC

@Suite("Renegotiation and one answer") struct RenegotiationTests {
    typealias Action = Renegotiation.Action

    private func credentials(_ fragments: String?...) -> SectionCredentials {
        SectionCredentials(fragments.map { $0.map { ICECredentials(usernameFragment: $0, password: "p-" + $0) } })
    }

    @Test("a rejected re-offer rolls back, and the next one may be sent")
    func rollback() {
        var machine = Renegotiation(local: credentials("aaaa"), remote: credentials("bbbb"))
        let steps: [[Action]] = [
            machine.reoffer(credentials("aaaa", "aaaa")), machine.receivedReject(), machine.receivedReject(),
            machine.reoffer(credentials("aaaa", "aaaa")), machine.receivedAnswer(credentials("bbbb", "bbbb")),
            machine.receivedAnswer(credentials("bbbb")),
        ]
        #expect(
            steps == [
                [.keepPendingOffer], [.rollBack], [], [.keepPendingOffer], [.applyAnswer, .offerBecameCurrent], [],
            ]
        )
    }

    @Test("an update that won over ours rolls ours back first")
    func glare() {
        var machine = Renegotiation(local: credentials("aaaa"), remote: credentials("bbbb"))
        let steps: [[Action]] = [
            machine.reoffer(credentials("aaaa")), machine.receivedReoffer(credentials("bbbb")), machine.answerUpdate(),
            machine.answerUpdate(),
        ]
        #expect(steps == [[.keepPendingOffer], [.rollBack, .showUpdate], [.applyOfferAndAnswer], []])
    }

    @Test("a rejected update leaves the peer connection alone")
    func rejected() {
        var machine = Renegotiation(local: credentials("aaaa"), remote: credentials("bbbb"))
        _ = machine.receivedReoffer(credentials("bbbb"))
        machine.rejectUpdate()
        let late = machine.answerUpdate()
        #expect(late.isEmpty)
    }

    @Test("new credentials on a section that was live are a restart, wherever they come from")
    func restarts() {
        var machine = Renegotiation(local: credentials("aaaa", "aaaa"), remote: credentials("bbbb", nil))
        let steps: [[Action]] = [
            machine.receivedReoffer(credentials("cccc", nil)), machine.reoffer(credentials("aaaa", "zzzz")),
            machine.reoffer(credentials("aaaa", "aaaa")), machine.receivedAnswer(credentials("cccc", "cccc")),
        ]
        #expect(
            steps == [
                [.reject(reason: "media.unsupported", detail: "ice-restart")],
                [.refuse(.iceRestart, detail: "a re-offer MUST keep the ICE credentials")], [.keepPendingOffer],
                [.fail(.iceRestart)],
            ]
        )
    }

    @Test("a new section, and one that moves into the bundle, restart nothing")
    func bundling() {
        var machine = Renegotiation(local: credentials("aaaa"), remote: credentials("bbbb", "cccc"))
        let steps: [[Action]] = [
            machine.receivedReoffer(credentials("bbbb", "bbbb", "dddd")),
            machine.answerUpdate(credentials("aaaa", "aaaa", "aaaa")),
            machine.receivedReoffer(credentials("bbbb", "bbbb", "eeee")),
        ]
        #expect(
            steps == [
                [.showUpdate], [.applyOfferAndAnswer], [.reject(reason: "media.unsupported", detail: "ice-restart")],
            ]
        )
    }

    @Test("where both permit it, an update restarts ICE on both sides, and either may be next")
    func permittedRestart() {
        var machine = Renegotiation(
            local: credentials("aaaa", "aaaa"),
            remote: credentials("bbbb", "bbbb"),
            permitsRestart: true
        )
        let steps: [[Action]] = [
            machine.reoffer(credentials("cccc", "cccc")), machine.receivedAnswer(credentials("dddd", "dddd")),
            machine.receivedReoffer(credentials("eeee", "eeee")), machine.answerUpdate(credentials("ffff", "ffff")),
            machine.reoffer(credentials("ffff", "ffff")), machine.receivedAnswer(credentials("eeee", "eeee")),
        ]
        #expect(
            steps == [
                [.keepPendingOffer, .holdCandidates], [.applyAnswer, .offerBecameCurrent], [.showUpdate],
                [.applyOfferAndAnswer], [.keepPendingOffer], [.applyAnswer, .offerBecameCurrent],
            ]
        )
    }

    @Test("a permitted restart that was refused leaves the credentials as they were")
    func refusedRestart() {
        var machine = Renegotiation(local: credentials("aaaa"), remote: credentials("bbbb"), permitsRestart: true)
        let steps: [[Action]] = [
            machine.reoffer(credentials("cccc")), machine.receivedReject(), machine.reoffer(credentials("aaaa")),
            machine.receivedAnswer(credentials("bbbb")),
        ]
        #expect(
            steps == [
                [.keepPendingOffer, .holdCandidates], [.rollBack], [.keepPendingOffer],
                [.applyAnswer, .offerBecameCurrent],
            ]
        )
    }

    @Test("a restart of some sections, an answer that restarts alone, and one that does not follow are refused")
    func halfRestarts() {
        func machine() -> Renegotiation {
            Renegotiation(
                local: credentials("aaaa", "xxxx"),
                remote: credentials("bbbb", "yyyy"),
                permitsRestart: true
            )
        }
        var partial = machine()
        let steps: [[Action]] = [
            partial.reoffer(credentials("cccc", "xxxx")), partial.receivedReoffer(credentials("bbbb", "zzzz")),
        ]
        #expect(
            steps == [
                [.refuse(.iceRestart, detail: "a re-offer MUST keep the ICE credentials")],
                [.reject(reason: "media.unsupported", detail: "ice-restart")],
            ]
        )
        var alone = machine()
        _ = alone.reoffer(credentials("aaaa", "xxxx"))
        let restarted = alone.receivedAnswer(credentials("dddd", "eeee"))
        #expect(restarted == [.fail(.iceRestart)])
        var unmoved = machine()
        _ = unmoved.reoffer(credentials("cccc", "dddd"))
        let stayed = unmoved.receivedAnswer(credentials("bbbb", "yyyy"))
        #expect(stayed == [.fail(.iceRestart)])
        var ours = machine()
        _ = ours.receivedReoffer(credentials("eeee", "ffff"))
        let answered = ours.answerUpdate(credentials("aaaa", "xxxx"))
        #expect(
            answered == [
                .refuse(.iceRestart, detail: "an answer restarts ICE when its offer does, and only then")
            ]
        )
    }

    @Test("the slot of a stopped section may be used again by another")
    func recycledSlot() {
        var machine = Renegotiation(local: credentials("aaaa", "aaaa"), remote: credentials("bbbb", "bbbb"))
        let steps: [[Action]] = [
            machine.receivedReoffer(credentials("bbbb", nil)), machine.answerUpdate(credentials("aaaa", nil)),
            machine.receivedReoffer(credentials("bbbb", "dddd")),
        ]
        #expect(steps == [[.showUpdate], [.applyOfferAndAnswer], [.showUpdate]])
    }

    @Test("of three legs the first valid answer is applied, and its repetition changes nothing")
    func oneAnswer() throws {
        let offer = try Fixture.offer()
        let good = Fixture.payload(Fixture.sdp([Fixture.answering(Fixture.audio)]), ice: nil)
        let bad = Fixture.payload(Fixture.sdp([Fixture.audio]), ice: nil)
        let elsewhere = MediaPayload(media: good.media, transports: [TransportDescriptor("transport:rtp")])
        var selection = AnswerSelection(offer: offer)
        let first = selection.receivedAnswer(bad, from: "laptop")
        #expect(first == .release(reason: "media.failed", error: MediaBindingError(.setupInvalid, on: .answer, "")))
        let other = selection.receivedAnswer(elsewhere, from: "tv")
        #expect(other == .release(reason: "media.failed", error: MediaBindingError(.sdpMissing, on: .answer, "")))
        guard case .apply(let answer) = selection.receivedAnswer(good, from: "phone") else {
            Issue.record("not applied")
            return
        }
        let party = selection.party
        #expect(answer.payload == good && party == "phone")
        let again = selection.receivedAnswer(good, from: "phone")
        let late = selection.receivedAnswer(good, from: "laptop")
        #expect(again == .ignore && late == .release(reason: "session.already-answered", error: nil))
    }

    @Test("credentials come from live sections alone")
    func liveSections() throws {
        var rejected = Fixture.video
        rejected.port = 0
        let offer = try CheckedOffer(own: Fixture.sdp([Fixture.audio, rejected]))
        #expect(offer.iceCredentials.sections.map { $0?.usernameFragment } == ["abcd", nil])
    }
}
