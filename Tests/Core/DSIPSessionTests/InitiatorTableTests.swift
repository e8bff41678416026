import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

@Suite("Initiator table (DSIP §12.4)")
struct InitiatorTableTests {
    let session = Cast.id(1)

    @Test("IDLE: placing a call sends the invite and starts T-Establish")
    func placeCall() {
        var alice = Endpoint(Cast.alicePhone)
        #expect(
            alice.does(.placeCall(session: session, to: Cast.bob)) == [
                sends(.invite, Cast.bob, session), .startTimer(.establish, session: session, seconds: 15),
            ]
        )
        #expect(alice.state(session) == .inviting)
        #expect(alice.engine.nextDeadline == Cast.start + 15)
    }

    @Test("IDLE: an id is used once, live or ended")
    func idIsUsedOnce() {
        var alice = Endpoint.inviting(session)
        #expect(alice.does(.placeCall(session: session, to: Cast.carol)) == [.refused(.invalidState)])
        _ = alice.does(.cancel(session: session))
        #expect(alice.does(.placeCall(session: session, to: Cast.carol)) == [.refused(.invalidState)])
    }

    @Test("INVITING: progress is shown and leads to PROCEEDING")
    func progress() {
        var alice = Endpoint.inviting(session)
        let ringing = Cast.signal(.progress, 2, from: Cast.bobPhone, session: session, status: "ringing")
        #expect(
            alice.receives(ringing) == [
                .stopTimer(.establish, session: session),
                .ui(.progress(.ringing, device: Cast.bobPhone), session: session),
                .startTimer(.ring, session: session, seconds: 120),
            ]
        )
        #expect(alice.state(session) == .proceeding)
    }

    @Test("INVITING, PROCEEDING: an answer starts media, and an identity-addressed invite is cancelled elsewhere")
    func answer() {
        for (var alice, timer) in [
            (Endpoint.inviting(session), EndpointTimer.establish), (Endpoint.proceeding(session), .ring),
        ] {
            let answer = Cast.signal(.answer, 3, from: Cast.bobPhone, session: session, answeredBy: "user")
            #expect(
                alice.receives(answer) == [
                    .stopTimer(timer, session: session), .media(.start, session: session),
                    .ui(.answered(.user, device: Cast.bobPhone), session: session),
                    sends(.cancel, Cast.bob, session, .sessionAnsweredElsewhere),
                ]
            )
            #expect(alice.state(session) == .active)
            #expect(alice.engine.nextDeadline == nil)
        }
    }

    @Test("INVITING: the answer of a device that was addressed itself cancels nothing")
    func answerOfDevice() {
        var alice = Endpoint.inviting(session, to: Cast.bobPhone)
        let answer = Cast.signal(.answer, 3, from: Cast.bobPhone, session: session, answeredBy: "gateway")
        #expect(
            alice.receives(answer) == [
                .stopTimer(.establish, session: session), .media(.start, session: session),
                .ui(.answered(.gateway, device: Cast.bobPhone), session: session),
            ]
        )
    }

    @Test("INVITING, PROCEEDING: a reject is surfaced and ends the attempt")
    func reject() {
        for (var alice, timer) in [
            (Endpoint.inviting(session), EndpointTimer.establish), (Endpoint.proceeding(session), .ring),
        ] {
            let reject = Cast.signal(.reject, 3, from: Cast.bobPhone, session: session, reason: .userDeclined)
            #expect(
                alice.receives(reject) == [
                    .stopTimer(timer, session: session), .ui(.ended(.userDeclined), session: session),
                ]
            )
            #expect(alice.state(session) == .ended)
        }
    }

    @Test("INVITING, PROCEEDING: abandoning sends cancel user.cancelled")
    func abandon() {
        for (var alice, timer) in [
            (Endpoint.inviting(session), EndpointTimer.establish), (Endpoint.proceeding(session), .ring),
        ] {
            #expect(
                alice.does(.cancel(session: session)) == [
                    .stopTimer(timer, session: session), sends(.cancel, Cast.bob, session, .userCancelled),
                ]
            )
        }
    }

    @Test("INVITING, PROCEEDING: the relay's no-response ends the attempt without a cancel")
    func noResponse() {
        for (var alice, timer) in [
            (Endpoint.inviting(session), EndpointTimer.establish), (Endpoint.proceeding(session), .ring),
        ] {
            let error = Cast.signal(.error, 3, from: Cast.relay, session: session, reason: .transportNoResponse)
            #expect(
                alice.receives(error) == [
                    .stopTimer(timer, session: session), .ui(.ended(.transportNoResponse), session: session),
                ]
            )
            let late = Cast.signal(.answer, 4, from: Cast.bobPhone, session: session, answeredBy: "user")
            #expect(alice.receives(late) == [sends(.bye, Cast.bobPhone, session, .sessionFailed)])
        }
    }

    @Test("INVITING: no-response from anyone but the relay the invite went through is shown, no more")
    func noResponseOfStranger() {
        var alice = Endpoint.inviting(session)
        let error = Cast.signal(.error, 3, from: Cast.carolPhone, session: session, reason: .transportNoResponse)
        #expect(alice.receives(error) == [.ui(.error(.transportNoResponse, inReplyTo: nil), session: session)])
        #expect(alice.state(session) == .inviting)
    }

    @Test("INVITING: an invite that cannot be sent on ends without a message")
    func inviteFailed() {
        var alice = Endpoint.inviting(session)
        #expect(
            alice.does(.inviteFailed(session: session, reason: .transportUnknownRecipient)) == [
                .stopTimer(.establish, session: session), .ui(.ended(.transportUnknownRecipient), session: session),
            ]
        )
    }

    @Test("INVITING: progress, answer and reject of someone who was not invited change nothing")
    func strangers() {
        for type in [MessageType.progress, .answer, .reject] {
            var alice = Endpoint.inviting(session)
            let forged = Cast.signal(
                type,
                3,
                from: Cast.carolPhone,
                session: session,
                reason: .userDeclined,
                status: "ringing",
                answeredBy: "user"
            )
            #expect(alice.receives(forged) == [.drop(.notParty)])
            #expect(alice.state(session) == .inviting)
        }
    }

    @Test("INVITING: an answer the media binding cannot use ends its leg and nothing else")
    func unusableAnswer() {
        var alice = Endpoint.inviting(session)
        let answer = Cast.signal(.answer, 3, from: Cast.bobPhone, session: session, answeredBy: "user")
        #expect(
            alice.does(.receivedUnusableAnswer(answer)) == [sends(.bye, Cast.bobPhone, session, .mediaFailed)]
        )
        #expect(alice.state(session) == .inviting)
        let other = Cast.signal(.answer, 4, from: Cast.bobLaptop, session: session, answeredBy: "user")
        #expect(alice.receives(other).contains(.media(.start, session: session)))
    }

    @Test("INVITING: replies to an update are not the attempt's outcome")
    func updateRepliesBeforeAnswer() {
        for type in [MessageType.answer, .reject] {
            var alice = Endpoint.inviting(session)
            let reply = Cast.signal(
                type,
                3,
                from: Cast.bobPhone,
                session: session,
                reason: .sessionGlare,
                answeredBy: "user",
                inReplyTo: Cast.id(9)
            )
            #expect(alice.receives(reply) == invalidState(reply))
        }
    }

    @Test("ACTIVE: a late answer of another leg is told already-answered, that leg only")
    func lateAnswer() {
        var alice = Endpoint.active(session)
        let late = Cast.signal(.answer, 3, from: Cast.bobLaptop, session: session, answeredBy: "user")
        #expect(alice.receives(late) == [sends(.bye, Cast.bobLaptop, session, .sessionAlreadyAnswered)])
        #expect(alice.state(session) == .active)
    }

    @Test("ACTIVE: hanging up sends bye and stops media; bye of the peer stops media")
    func end() {
        var alice = Endpoint.active(session)
        #expect(
            alice.does(.hangUp(session: session)) == [
                sends(.bye, Cast.bobPhone, session, .userHangup), .media(.stop, session: session),
            ]
        )
        alice = Endpoint.active(session)
        let bye = Cast.signal(.bye, 3, from: Cast.bobPhone, session: session, reason: .userHangup)
        #expect(
            alice.receives(bye) == [
                .media(.stop, session: session), .ui(.ended(.userHangup), session: session),
            ]
        )
    }

    @Test("ACTIVE: a bye of a leg that is not the peer does not end the call")
    func byeOfOtherLeg() {
        var alice = Endpoint.active(session)
        let bye = Cast.signal(.bye, 3, from: Cast.bobLaptop, session: session, reason: .userHangup)
        #expect(alice.receives(bye) == [.drop(.notParty)])
        #expect(alice.state(session) == .active)
    }

    @Test("ENDED: a late answer is told what the invite came to")
    func lateAnswersAfterTheEnd() {
        let late = Cast.signal(.answer, 50, from: Cast.bobLaptop, session: session, answeredBy: "user")
        var withdrawn = Endpoint.proceeding(session)
        _ = withdrawn.does(.cancel(session: session))
        #expect(withdrawn.receives(late) == [sends(.bye, Cast.bobLaptop, session, .sessionCancelled)])

        var rejected = Endpoint.proceeding(session)
        _ = rejected.receives(Cast.signal(.reject, 3, from: Cast.bobPhone, session: session, reason: .userDeclined))
        #expect(rejected.receives(late) == [sends(.bye, Cast.bobLaptop, session, .sessionFailed)])

        var answered = Endpoint.active(session)
        _ = answered.does(.hangUp(session: session))
        #expect(answered.receives(late) == [sends(.bye, Cast.bobLaptop, session, .sessionAlreadyAnswered)])
        #expect(answered.state(session) == .ended)
    }

    @Test("Any state: what does not fit is answered with invalid-state and changes nothing")
    func invalid() {
        let cases: [(Endpoint, [MessageType])] = [
            (.inviting(session), [.bye, .update, .info, .cancel]),
            (.proceeding(session), [.bye, .update, .info, .cancel]),
            (.active(session), [.progress, .cancel]),
        ]
        for (endpoint, types) in cases {
            for type in types {
                var alice = endpoint
                let before = alice.state(session)
                let message = Cast.signal(
                    type,
                    30,
                    from: Cast.bobPhone,
                    session: session,
                    reason: .userHangup,
                    status: "ringing"
                )
                #expect(alice.receives(message) == invalidState(message), "\(type)")
                #expect(alice.state(session) == before)
            }
        }
    }

    @Test("ENDED: everything but a late answer is dropped, an error is shown")
    func afterTheEnd() {
        var alice = Endpoint.active(session)
        _ = alice.does(.hangUp(session: session))
        for type in [MessageType.bye, .info, .update, .progress, .reject, .cancel] {
            let message = Cast.signal(type, 30, from: Cast.bobPhone, session: session, reason: .userHangup)
            #expect(alice.receives(message) == [.drop(.endedSession)])
        }
        let error = Cast.signal(.error, 31, from: Cast.bobPhone, session: session, reason: .sessionInvalidState)
        #expect(alice.receives(error) == [.ui(.error(.sessionInvalidState, inReplyTo: nil), session: session)])
    }

    @Test("A message for a session nobody knows is told so; an error about one is only shown")
    func unknownSession() {
        var alice = Endpoint(Cast.alicePhone)
        let bye = Cast.signal(.bye, 3, from: Cast.bobPhone, session: session, reason: .userHangup)
        #expect(
            alice.receives(bye) == [
                sends(.error, Cast.bobPhone, session, .sessionUnknownSession, inReplyTo: bye.id)
            ]
        )
        let error = Cast.signal(.error, 4, from: Cast.bobPhone, session: session, reason: .sessionUnknownSession)
        #expect(alice.receives(error) == [.ui(.error(.sessionUnknownSession, inReplyTo: nil), session: nil)])
        #expect(alice.does(.hangUp(session: session)) == [.refused(.unknownSession)])
    }

    @Test("A reason of an unknown category is taken for session.failed")
    func unknownReason() {
        var alice = Endpoint.proceeding(session)
        let reject = Cast.signal(
            .reject,
            3,
            from: Cast.bobPhone,
            session: session,
            reason: Reason("x-contactcenter.queue-full")
        )
        #expect(alice.receives(reject).last == .ui(.ended(.sessionFailed), session: session))
    }

    @Test("Sessions are bounded, and the ended are forgotten after the replay window")
    func bounds() {
        var configuration = EndpointConfiguration()
        configuration.maximumSessions = 3
        configuration.maximumEnded = 5
        var alice = Endpoint(Cast.alicePhone, configuration: configuration)
        for number in 1...3 { _ = alice.does(.placeCall(session: Cast.id(UInt64(number)), to: Cast.bob)) }
        #expect(alice.does(.placeCall(session: Cast.id(4), to: Cast.bob)) == [.refused(.tooMany)])
        let invite = Cast.signal(.invite, 5, from: Cast.carolPhone, to: Cast.alice)
        #expect(alice.receives(invite) == [sends(.reject, Cast.carolPhone, invite.id, .endpointUnavailable)])
        for number in 10...100 {
            _ = alice.receives(Cast.signal(.invite, UInt64(number), from: Cast.carolPhone, to: Cast.alice))
        }
        #expect(alice.engine.sessionCount <= 3 + 5 + 1)
        _ = alice.waits(20)
        _ = alice.waits(301)
        #expect(alice.engine.sessionCount == 0)
    }
}
