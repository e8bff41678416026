import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

@Suite("Responder table (DSIP §12.4)")
struct ResponderTableTests {
    let session = Cast.id(1)

    @Test("IDLE: an invite is offered")
    func invite() {
        var bob = Endpoint(Cast.bobPhone)
        let invite = Cast.signal(.invite, 1, from: Cast.alicePhone, to: Cast.bob, expiresAt: Cast.start + 30)
        #expect(bob.receives(invite) == [.ui(.offered, session: session)])
        #expect(bob.state(session) == .offered)
    }

    @Test("IDLE: an invite after its expires_at is rejected session.expired")
    func expiredInvite() {
        var bob = Endpoint(Cast.bobPhone)
        let invite = Cast.signal(.invite, 1, from: Cast.alicePhone, to: Cast.bob, expiresAt: Cast.start - 1)
        #expect(bob.receives(invite) == [sends(.reject, Cast.alicePhone, session, .sessionExpired)])
    }

    @Test("IDLE: a second invite under a held id is invalid, or dropped once the session ended")
    func sameIDAgain() {
        var bob = Endpoint.offered(1)
        let again = Cast.signal(.invite, 1, from: Cast.alicePhone, to: Cast.bob, session: session)
        #expect(bob.receives(again) == invalidState(again))
        _ = bob.does(.autoReject(session: session, reason: .endpointBusy))
        #expect(bob.receives(again) == [.drop(.endedSession)])
    }

    @Test("OFFERED: policy alerts, with progress ringing and T-Ring-Local")
    func alert() {
        var bob = Endpoint.offered(1)
        #expect(
            bob.does(.alert(session: session, ringTimeout: 60)) == [
                .send(Outbound(.progress, to: Cast.alicePhone, session: session, status: .ringing, ringTimeout: 60)),
                .startTimer(.ringLocal, session: session, seconds: 60),
            ]
        )
        #expect(bob.state(session) == .alerting)
        #expect(bob.does(.alert(session: session)) == [.refused(.invalidState)])
    }

    @Test("OFFERED: policy rejects")
    func autoReject() {
        var bob = Endpoint.offered(1)
        #expect(
            bob.does(.autoReject(session: session, reason: .endpointBusy)) == [
                sends(.reject, Cast.alicePhone, session, .endpointBusy)
            ]
        )
        #expect(bob.state(session) == .ended)
    }

    @Test("OFFERED: a cancel ends it without a missed call")
    func cancelWhileOffered() {
        var bob = Endpoint.offered(1)
        let cancel = Cast.signal(.cancel, 2, from: Cast.alicePhone, session: session, reason: .userCancelled)
        #expect(bob.receives(cancel) == [.ui(.ended(.userCancelled), session: session)])
    }

    @Test("OFFERED: an invite that ran out before alerting began is rejected session.expired")
    func expiresBeforeAlerting() {
        var bob = Endpoint.offered(1)
        bob.now += 31
        #expect(
            bob.does(.alert(session: session)) == [
                sends(.reject, Cast.alicePhone, session, .sessionExpired),
                .ui(.ended(.sessionExpired), session: session),
            ]
        )
    }

    @Test("OFFERED: a call that was put in a queue may be alerted after its expires_at")
    func alertAfterQueue() {
        var bob = Endpoint.offered(1)
        #expect(
            bob.does(.reportProgress(session: session, status: .queued, queueTimeout: 600)) == [
                .send(Outbound(.progress, to: Cast.alicePhone, session: session, status: .queued, queueTimeout: 600))
            ]
        )
        bob.now += 300
        #expect(bob.does(.alert(session: session)).count == 2)
        #expect(bob.state(session) == .alerting)
    }

    @Test("ALERTING: accepting answers and starts media")
    func accept() {
        var bob = Endpoint.alerting(1)
        #expect(
            bob.does(.accept(session: session, answeredBy: .screening)) == [
                .stopTimer(.ringLocal, session: session),
                .send(Outbound(.answer, to: Cast.alicePhone, session: session, answeredBy: .screening)),
                .media(.start, session: session),
            ]
        )
        #expect(bob.state(session) == .active)
    }

    @Test("ALERTING: declining rejects user.declined")
    func decline() {
        var bob = Endpoint.alerting(1)
        #expect(
            bob.does(.decline(session: session)) == [
                .stopTimer(.ringLocal, session: session), sends(.reject, Cast.alicePhone, session, .userDeclined),
            ]
        )
    }

    @Test(
        "ALERTING: a cancel by the caller or its timer is a missed call",
        arguments: [Reason.userCancelled, .sessionTimeout]
    )
    func missedCall(_ reason: Reason) {
        var bob = Endpoint.alerting(1)
        let cancel = Cast.signal(.cancel, 2, from: Cast.alicePhone, session: session, reason: reason)
        #expect(
            bob.receives(cancel) == [
                .stopTimer(.ringLocal, session: session), .ui(.missedCall, session: session),
                .ui(.ended(reason), session: session),
            ]
        )
    }

    @Test("ALERTING: answered elsewhere is never a missed call")
    func answeredElsewhere() {
        var bob = Endpoint.alerting(1)
        let cancel = Cast.signal(.cancel, 2, from: Cast.alicePhone, session: session, reason: .sessionAnsweredElsewhere)
        #expect(
            bob.receives(cancel) == [
                .stopTimer(.ringLocal, session: session), .ui(.ended(.sessionAnsweredElsewhere), session: session),
            ]
        )
    }

    @Test("ALERTING: another device of the caller's identity may cancel, a stranger may not")
    func whoMayCancel() {
        var bob = Endpoint.alerting(1)
        let forged = Cast.signal(.cancel, 2, from: Cast.carolPhone, session: session, reason: .userCancelled)
        #expect(bob.receives(forged) == [.drop(.notParty)])
        var cancel = Cast.signal(.cancel, 3, from: Cast.did("alice-tablet"), session: session, reason: .userCancelled)
        cancel.identity = Cast.alice
        #expect(bob.receives(cancel).contains(.ui(.missedCall, session: session)))
    }

    @Test("ACTIVE: a cancel that crossed the answer tears down and is no error")
    func crossedCancel() {
        var bob = Endpoint.answered(1)
        let cancel = Cast.signal(.cancel, 2, from: Cast.alicePhone, session: session, reason: .userCancelled)
        #expect(
            bob.receives(cancel) == [
                .media(.stop, session: session), .ui(.ended(.userCancelled), session: session),
            ]
        )
    }

    @Test("ACTIVE: answered-elsewhere at the leg that answered is invalid, and the call goes on")
    func answeredElsewhereAtAnsweringLeg() {
        var bob = Endpoint.answered(1)
        let cancel = Cast.signal(.cancel, 2, from: Cast.alicePhone, session: session, reason: .sessionAnsweredElsewhere)
        #expect(bob.receives(cancel) == invalidState(cancel))
        #expect(bob.state(session) == .active)
    }

    @Test("ACTIVE: once the caller has spoken, a cancel is late and invalid", arguments: [MessageType.info, .update])
    func lateCancel(_ type: MessageType) {
        var bob = Endpoint.answered(1)
        _ = bob.receives(
            Cast.signal(type, 2, from: Cast.alicePhone, session: session, about: "transport:webrtc")
        )
        let cancel = Cast.signal(.cancel, 3, from: Cast.alicePhone, session: session, reason: .userCancelled)
        #expect(bob.receives(cancel) == invalidState(cancel))
        #expect(bob.state(session) == .active)
    }

    @Test("ACTIVE: bye of the caller, and hanging up")
    func end() {
        var bob = Endpoint.answered(1)
        let bye = Cast.signal(.bye, 2, from: Cast.alicePhone, session: session, reason: .userHangup)
        #expect(
            bob.receives(bye) == [.media(.stop, session: session), .ui(.ended(.userHangup), session: session)]
        )
        bob = Endpoint.answered(1)
        #expect(
            bob.does(.hangUp(session: session, reason: .mediaFailed)) == [
                sends(.bye, Cast.alicePhone, session, .mediaFailed), .media(.stop, session: session),
            ]
        )
    }

    @Test("Any state: what does not fit is answered with invalid-state and changes nothing")
    func invalid() {
        let cases: [(Endpoint, [MessageType])] = [
            (.offered(1), [.bye, .update, .info, .progress, .answer, .reject]),
            (.alerting(1), [.bye, .update, .info, .progress, .answer, .reject]),
            (.answered(1), [.progress, .answer, .reject]),
        ]
        for (endpoint, types) in cases {
            for type in types {
                var bob = endpoint
                let before = bob.state(session)
                let message = Cast.signal(type, 30, from: Cast.alicePhone, session: session, reason: .userHangup)
                #expect(bob.receives(message) == invalidState(message), "\(type)")
                #expect(bob.state(session) == before)
            }
        }
    }

    @Test("Commands that do not fit are refused and change nothing")
    func refusals() {
        var bob = Endpoint.answered(1)
        for command in [
            EndpointEvent.accept(session: session), .decline(session: session), .cancel(session: session),
            .autoReject(session: session, reason: .endpointBusy), .alert(session: session),
            .reportProgress(session: session, status: .trying),
        ] {
            #expect(bob.does(command) == [.refused(.invalidState)])
        }
        #expect(bob.state(session) == .active)
    }
}
