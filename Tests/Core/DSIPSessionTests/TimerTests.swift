import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

@Suite("Timers (DSIP §12.9, §12.10)")
struct TimerTests {
    let session = Cast.id(1)

    private func progress(_ number: UInt64, _ status: String, ring: Int64? = nil, queue: Int64? = nil) -> Signal {
        Cast.signal(
            .progress,
            number,
            from: Cast.bobPhone,
            session: session,
            status: status,
            ringTimeout: ring,
            queueTimeout: queue
        )
    }

    private func timeout(_ timer: EndpointTimer) -> [EndpointAction] {
        [
            .timerFired(timer, session: session), sends(.cancel, Cast.bob, session, .sessionTimeout),
            .ui(.ended(.sessionTimeout), session: session),
        ]
    }

    @Test("The table: defaults and bounds")
    func table() {
        #expect(EndpointTimer.establish.clamped(1) == 5 && EndpointTimer.establish.clamped(99) == 60)
        #expect(EndpointTimer.ring.clamped(10) == 30 && EndpointTimer.ring.clamped(999) == 300)
        #expect(EndpointTimer.ringLocal.clamped(nil) == 120)
        #expect(EndpointTimer.queue.clamped(2400) == 1800)
        #expect(
            EndpointConfiguration(establishSeconds: 2, ringSeconds: 1, ringLocalSeconds: 900).ringLocalSeconds == 300
        )
    }

    @Test("T-Establish cancels after 15 s of silence, and not a second before")
    func establish() {
        var alice = Endpoint.inviting(session)
        #expect(alice.waits(14).isEmpty)
        #expect(alice.waits(1) == timeout(.establish))
    }

    @Test("T-Ring cancels 120 s after the first ringing; a repeated ringing does not extend it")
    func ring() {
        var alice = Endpoint.proceeding(session)
        #expect(alice.waits(100).isEmpty)
        #expect(
            alice.receives(progress(3, "ringing")) == [
                .ui(.progress(.ringing, device: Cast.bobPhone), session: session)
            ]
        )
        #expect(alice.waits(20) == timeout(.ring))
    }

    @Test("A ring_timeout restarts T-Ring, clamped to its bounds", arguments: [(10, 30), (240, 240), (900, 300)])
    func ringTimeout(_ asked: Int64, _ given: Int64) {
        var alice = Endpoint.proceeding(session)
        #expect(
            alice.receives(progress(3, "ringing", ring: asked)).last
                == .startTimer(.ring, session: session, seconds: given)
        )
        #expect(alice.waits(given - 1).isEmpty)
        #expect(alice.waits(1) == timeout(.ring))
    }

    @Test(
        "trying and forwarded start T-Ring as a backstop when nothing runs",
        arguments: ["trying", "forwarded", "pondering"]
    )
    func backstop(_ status: String) {
        var alice = Endpoint.inviting(session)
        let actions = alice.receives(progress(3, status))
        #expect(actions.last == .startTimer(.ring, session: session, seconds: 120))
        #expect(alice.receives(progress(4, status)).count == 1)
        #expect(alice.waits(120) == timeout(.ring))
    }

    @Test("queued replaces T-Ring by T-Queue, capped at 1800 s; ringing brings T-Ring back")
    func queue() {
        var alice = Endpoint.proceeding(session)
        #expect(
            alice.receives(progress(3, "queued", queue: 5000)) == [
                .ui(.progress(.queued, device: Cast.bobPhone), session: session), .stopTimer(.ring, session: session),
                .startTimer(.queue, session: session, seconds: 1800),
            ]
        )
        #expect(
            alice.receives(progress(4, "ringing")) == [
                .ui(.progress(.ringing, device: Cast.bobPhone), session: session), .stopTimer(.queue, session: session),
                .startTimer(.ring, session: session, seconds: 120),
            ]
        )
    }

    @Test("T-Queue's expiry cancels; trying does not disturb it")
    func queueExpires() {
        var alice = Endpoint.inviting(session)
        _ = alice.receives(progress(3, "queued", queue: 60))
        #expect(alice.receives(progress(4, "trying")).count == 1)
        #expect(alice.waits(59).isEmpty)
        #expect(alice.waits(1) == timeout(.queue))
    }

    @Test("The fourth queued in a row is T-Queue's expiry; a ringing between starts the count anew")
    func requeueLimit() {
        var alice = Endpoint.inviting(session)
        for number in 3...5 { _ = alice.receives(progress(UInt64(number), "queued", queue: 60)) }
        _ = alice.receives(progress(6, "ringing"))
        for number in 7...9 { _ = alice.receives(progress(UInt64(number), "queued", queue: 60)) }
        #expect(alice.state(session) == .proceeding)
        #expect(
            alice.receives(progress(10, "queued", queue: 60)) == [
                .ui(.progress(.queued, device: Cast.bobPhone), session: session), .stopTimer(.queue, session: session),
                sends(.cancel, Cast.bob, session, .sessionTimeout), .ui(.ended(.sessionTimeout), session: session),
            ]
        )
    }

    @Test("T-Ring-Local rejects user.no-answer, without a missed call")
    func ringLocal() {
        var bob = Endpoint.offered(1)
        _ = bob.does(.alert(session: session, ringTimeout: 45))
        #expect(bob.waits(44).isEmpty)
        #expect(
            bob.waits(1) == [
                .timerFired(.ringLocal, session: session), sends(.reject, Cast.alicePhone, session, .userNoAnswer),
                .ui(.ended(.userNoAnswer), session: session),
            ]
        )
    }

    @Test("Timers of several sessions fire by deadline, then in the order they were started")
    func order() {
        var alice = Endpoint(Cast.alicePhone)
        for number in [3, 1, 2] as [UInt64] { _ = alice.does(.placeCall(session: Cast.id(number), to: Cast.bob)) }
        let fired = alice.waits(60).compactMap { action -> ULID? in
            if case .timerFired(_, let session) = action { session } else { nil }
        }
        #expect(fired == [Cast.id(3), Cast.id(1), Cast.id(2)])
        #expect(alice.engine.nextDeadline == nil)
    }

    @Test("A timer that is due fires before the event that comes with it")
    func dueTimerFirst() {
        var alice = Endpoint.proceeding(session)
        alice.now += 500
        let answer = Cast.signal(.answer, 5, from: Cast.bobPhone, session: session, answeredBy: "user")
        #expect(
            alice.receives(answer) == timeout(.ring) + [sends(.bye, Cast.bobPhone, session, .sessionCancelled)]
        )
    }
}
