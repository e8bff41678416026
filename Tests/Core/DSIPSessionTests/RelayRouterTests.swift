import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

/// A router and its clock, for scripts; what it does is said in words.
private struct Relay {
    final class Letter: Parcel {}

    var router: RelayRouter
    var now = Cast.start
    var held: [Held] = []

    init(_ configuration: RouterConfiguration = RouterConfiguration()) {
        router = RelayRouter(configuration: configuration)
    }

    mutating func binds(_ device: DID) -> [String] {
        does { router, now, out in router.bind(device, identity: Cast.identity(of: device), at: now, into: &out) }
    }

    mutating func unbinds(_ device: DID) { router.unbind(device, at: now) }

    mutating func receives(_ signal: Signal) -> [String] {
        does { router, now, out in router.receive(signal, Letter(), at: now, into: &out) }
    }

    mutating func waits(_ seconds: Int64) -> [String] {
        now += seconds
        return does { router, now, out in router.advance(to: now, into: &out) }
    }

    mutating func does(_ body: (inout RelayRouter, Int64, inout [RelayAction]) -> Void) -> [String] {
        var actions: [RelayAction] = []
        body(&router, now, &actions)
        for action in actions { if case .queue(let row) = action { held.append(row) } }
        return actions.map(Relay.words)
    }

    static func name(_ did: DID) -> String { String(did.string.dropFirst("did:example:".count)) }

    static func words(_ action: RelayAction) -> String {
        switch action {
        case .deliver(let delivery): "\(delivery.type) to \(name(delivery.device)) (\(delivery.cause))"
        case .forward(let forward): "\(forward.type) of \(name(forward.from)) forwarded to \(name(forward.to))"
        case .queue(let held):
            held.isMissed ? "missed kept for \(name(held.to))" : "\(held.type) held for \(name(held.to))"
        case .dequeue(let held, let why): "\(held.type) for \(name(held.to)) \(why)"
        case .error(let error): "\(error.reason) to \(name(error.to))"
        case .drop(let drop): "dropped \(drop.rawValue)"
        case .report(let report): "report \(report.seq) to \(name(report.to)): \(report.state) \(report.devices)"
        case .missed(let device, let held): "missed call of \(name(held.identity)) told to \(name(device))"
        }
    }
}

@Suite("Relay router (DSIP §12.7, §13.2, §13.3, §13.6, §19.4)")
struct RelayRouterTests {
    let session = Cast.id(1)

    private func invite(_ number: UInt64 = 1, to: DID = Cast.bob, seconds: Int64 = 30, report: Bool = false) -> Signal {
        Cast.signal(
            .invite,
            number,
            from: Cast.alicePhone,
            to: to,
            expiresAt: Cast.start + seconds,
            wantsDeliveryReport: report
        )
    }

    private func fromLeg(_ type: MessageType, _ number: UInt64, _ leg: DID, reason: Reason? = nil) -> Signal {
        Cast.signal(
            type,
            number,
            from: leg,
            to: Cast.alicePhone,
            session: session,
            expiresAt: Cast.start + 600,
            reason: reason,
            status: "ringing",
            answeredBy: "user"
        )
    }

    private func cancel(_ number: UInt64, to: DID = Cast.bob, reason: Reason = .userCancelled) -> Signal {
        Cast.signal(
            .cancel,
            number,
            from: Cast.alicePhone,
            to: to,
            session: session,
            expiresAt: Cast.start + 600,
            reason: reason
        )
    }

    /// Alice, and both of Bob's devices, are bound; the invite has reached both.
    private func ringing() -> Relay {
        var relay = Relay()
        for device in [Cast.alicePhone, Cast.bobPhone, Cast.bobLaptop] { _ = relay.binds(device) }
        _ = relay.receives(invite())
        return relay
    }

    @Test("An invite is forked to every device of the identity, in device order")
    func fork() {
        var relay = Relay()
        for device in [Cast.bobPhone, Cast.bobLaptop] { _ = relay.binds(device) }
        #expect(relay.receives(invite()) == ["invite to bob-laptop (fork)", "invite to bob-phone (fork)"])
        #expect(relay.receives(invite()) == ["dropped duplicate-invite"])
    }

    @Test("The initiator's cancel reaches the legs that have not terminated")
    func cancelPerLeg() {
        var relay = ringing()
        #expect(relay.receives(fromLeg(.answer, 2, Cast.bobPhone)) == ["answer of bob-phone forwarded to alice-phone"])
        #expect(relay.receives(cancel(3, reason: .sessionAnsweredElsewhere)) == ["cancel to bob-laptop (cancel)"])
        #expect(relay.receives(fromLeg(.progress, 4, Cast.bobLaptop)) == ["dropped leg-terminated"])
        #expect(relay.router.attempt(session)?.outcome == .answered)
    }

    @Test("An answer is never withheld, whatever became of its leg")
    func answerNeverWithheld() {
        var relay = ringing()
        _ = relay.receives(fromLeg(.reject, 2, Cast.bobLaptop, reason: .endpointBusy))
        _ = relay.receives(cancel(3))
        for leg in [Cast.bobPhone, Cast.bobLaptop] {
            let number: UInt64 = leg == Cast.bobPhone ? 4 : 5
            #expect(
                relay.receives(fromLeg(.answer, number, leg)) == [
                    "answer of \(Relay.name(leg)) forwarded to alice-phone"
                ]
            )
        }
        #expect(relay.router.attempt(session)?.outcome == .cancelled)
        #expect(relay.router.attempt(session)?.legs[Cast.bobLaptop] == .rejected)
    }

    @Test("A cancel to one leg's device ends that leg alone")
    func targetedCancel() {
        var relay = ringing()
        #expect(relay.receives(cancel(2, to: Cast.bobLaptop)) == ["cancel to bob-laptop (cancel)"])
        #expect(relay.router.attempt(session)?.outcome == nil)
        #expect(relay.receives(cancel(3, to: Cast.bobLaptop)) == ["dropped leg-terminated"])
    }

    @Test("A cancel of someone who did not invite is not the attempt's")
    func cancelOfStranger() {
        var relay = ringing()
        _ = relay.receives(Cast.signal(.cancel, 2, from: Cast.carolPhone, to: Cast.bob, session: session))
        #expect(relay.router.attempt(session)?.legs[Cast.bobPhone] == .delivered)
    }

    @Test(
        "The most informative reject is the outcome",
        arguments: [
            (Reason.endpointBusy, Reason.userDeclined, "bob-phone"), (.userDeclined, .endpointBusy, "bob-laptop"),
            (.mediaUnsupported, .policyBlocked, "bob-laptop"), (.mediaUnsupported, .endpointUnavailable, "bob-phone"),
        ]
    )
    func bestReject(_ first: Reason, _ second: Reason, _ winner: String) {
        var relay = ringing()
        #expect(relay.receives(fromLeg(.reject, 2, Cast.bobLaptop, reason: first)).isEmpty)
        #expect(
            relay.receives(fromLeg(.reject, 3, Cast.bobPhone, reason: second)) == [
                "reject of \(winner) forwarded to alice-phone"
            ]
        )
    }

    @Test("Legs that never say a word expire after the invite, and the relay speaks for itself")
    func silence() {
        var relay = ringing()
        #expect(relay.waits(31).isEmpty)
        #expect(relay.waits(1) == ["transport.no-response to alice-phone"])
        #expect(relay.waits(300).isEmpty)
        #expect(relay.router.attemptCount == 0)
    }

    @Test("A leg that rings is waited for as long as the initiator would")
    func ringingLegIsWaitedFor() {
        var relay = ringing()
        _ = relay.receives(fromLeg(.progress, 2, Cast.bobPhone))
        #expect(relay.waits(40).isEmpty)
        #expect(relay.router.attempt(session)?.legs[Cast.bobLaptop] == .expired)
        #expect(relay.waits(300) == ["transport.no-response to alice-phone"])
    }

    @Test("A device that binds while the attempt lives becomes a leg; after the invite's end it does not")
    func lateLeg() {
        var relay = Relay()
        _ = relay.binds(Cast.bobPhone)
        _ = relay.receives(invite(report: true))
        #expect(
            relay.binds(Cast.bobLaptop) == ["report 2 to alice-phone: delivered 2", "invite to bob-laptop (lateLeg)"]
        )
        _ = relay.receives(fromLeg(.progress, 2, Cast.bobPhone))
        relay.unbinds(Cast.bobLaptop)
        #expect(relay.binds(Cast.bobLaptop) == ["invite to bob-laptop (lateLeg)"], "it had said nothing yet")
        relay.now += 31
        relay.unbinds(Cast.bobLaptop)
        #expect(relay.binds(Cast.bobLaptop).isEmpty)
    }

    @Test("An invite to someone known and away is held, reported, and becomes an attempt on return")
    func heldInvite() {
        var relay = Relay()
        _ = relay.binds(Cast.bobPhone)
        relay.unbinds(Cast.bobPhone)
        #expect(relay.receives(invite(report: true)) == ["invite held for bob", "report 1 to alice-phone: held 0"])
        #expect(
            relay.binds(Cast.bobPhone) == ["invite to bob-phone (flush)", "report 2 to alice-phone: delivered 1"]
        )
        #expect(relay.router.attempt(session)?.legs == [Cast.bobPhone: .delivered])
        #expect(relay.router.heldCount == 0)
    }

    @Test("A held invite that was cancelled or ran out is a missed call on return", arguments: [true, false])
    func missedCall(_ isCancelled: Bool) {
        var relay = Relay()
        _ = relay.binds(Cast.bobPhone)
        relay.unbinds(Cast.bobPhone)
        _ = relay.receives(invite())
        #expect(
            (isCancelled ? relay.receives(cancel(2)) : relay.waits(31)) == [
                "invite for bob \(isCancelled ? "cancelled" : "expired")", "missed kept for bob",
            ]
        )
        #expect(relay.waits(3600).isEmpty)
        #expect(relay.binds(Cast.bobPhone) == ["missed call of alice told to bob-phone"])
        #expect(relay.binds(Cast.bobPhone).isEmpty)
    }

    @Test("Held envelopes of the identity and of the device are flushed together, in arrival order")
    func flushOrder() {
        var relay = Relay()
        _ = relay.binds(Cast.bobPhone)
        relay.unbinds(Cast.bobPhone)
        let later = Cast.start + 600
        for (number, to) in [(2, Cast.bobPhone), (3, Cast.bob), (4, Cast.bobPhone)] as [(UInt64, DID)] {
            let type: MessageType = to == Cast.bob ? .grant : .info
            _ = relay.receives(
                Cast.signal(type, number, from: Cast.alicePhone, to: to, session: session, expiresAt: later)
            )
        }
        #expect(
            relay.binds(Cast.bobPhone) == [
                "info to bob-phone (flush)", "grant to bob-phone (flush)", "info to bob-phone (flush)",
            ]
        )
    }

    @Test("Without an attempt everything is routed by `to`: nothing is lost by a restart")
    func restart() {
        var before = ringing()
        _ = before.receives(fromLeg(.answer, 2, Cast.bobPhone))
        before.unbinds(Cast.bobPhone)
        _ = before.receives(
            Cast.signal(
                .info,
                3,
                from: Cast.alicePhone,
                to: Cast.bobPhone,
                session: session,
                expiresAt: Cast.start + 600
            )
        )
        var after = Relay()
        after.router.restore(held: before.held, known: before.router.knownRecipients)
        _ = after.binds(Cast.alicePhone)
        let bye = Cast.signal(
            .bye,
            4,
            from: Cast.alicePhone,
            to: Cast.bobPhone,
            session: session,
            expiresAt: Cast.start + 600,
            reason: .userHangup
        )
        #expect(after.receives(bye) == ["bye held for bob-phone"])
        #expect(after.binds(Cast.bobPhone) == ["info to bob-phone (flush)", "bye to bob-phone (flush)"])
        #expect(
            after.receives(fromLeg(.progress, 5, Cast.bobPhone)) == ["progress to alice-phone (routed)"]
        )
        #expect(after.receives(cancel(6)) == ["cancel to bob-phone (routed)"])
    }

    @Test("A live attempt comes back after a restart: late legs ring, and the best reject is still told")
    func restartWhileRinging() throws {
        var configuration = RouterConfiguration()
        configuration.tracksAttemptChanges = true
        var before = Relay(configuration)
        for device in [Cast.alicePhone, Cast.bobPhone] { _ = before.binds(device) }
        _ = before.receives(invite(report: true))
        #expect(before.router.takeAttemptChanges().count == 1)
        #expect(before.router.takeAttemptChanges().isEmpty)
        _ = before.receives(fromLeg(.reject, 2, Cast.bobPhone, reason: .endpointBusy))
        // The only leg has spoken: nothing is left to keep.
        guard case .ended(let gone)? = before.router.takeAttemptChanges().first else {
            Issue.record("the end was not told")
            return
        }
        #expect(gone == session)

        before = Relay(configuration)
        for device in [Cast.alicePhone, Cast.bobPhone, Cast.bobLaptop] { _ = before.binds(device) }
        _ = before.receives(invite(report: true))
        _ = before.receives(fromLeg(.reject, 2, Cast.bobPhone, reason: .userDeclined))
        guard case .live(let record)? = before.router.takeAttemptChanges().first else {
            Issue.record("the attempt was not told")
            return
        }
        #expect(record.best?.reason == .userDeclined && record.reports == 1)
        #expect(record.until == Cast.start + 32)

        var after = Relay(configuration)
        after.router.restore(held: [], known: before.router.knownRecipients)
        after.router.restore(attempts: [record, record], at: after.now)
        #expect(after.router.takeAttemptChanges().isEmpty)
        _ = after.binds(Cast.alicePhone)
        #expect(after.binds(Cast.bobLaptop) == ["invite to bob-laptop (lateLeg)"], "it had said nothing yet")
        #expect(after.binds(Cast.bobPhone).isEmpty, "it has declined")
        #expect(
            after.receives(fromLeg(.reject, 3, Cast.bobLaptop, reason: .endpointBusy)) == [
                "reject of bob-phone forwarded to alice-phone"
            ]
        )
        #expect(after.receives(invite()) == ["dropped duplicate-invite"])
    }

    @Test("A cancel waits for a leg that has lost its connection")
    func cancelForLegAway() {
        var relay = ringing()
        relay.unbinds(Cast.bobLaptop)
        #expect(relay.receives(cancel(2)) == ["cancel held for bob-laptop", "cancel to bob-phone (cancel)"])
        #expect(relay.binds(Cast.bobLaptop) == ["cancel to bob-laptop (flush)"])
    }

    @Test("A leg's word is held for a calling device that has lost its connection")
    func callerAway() {
        var relay = ringing()
        relay.unbinds(Cast.alicePhone)
        #expect(relay.receives(fromLeg(.answer, 2, Cast.bobPhone)) == ["answer held for alice-phone"])
        #expect(relay.binds(Cast.alicePhone) == ["answer to alice-phone (flush)"])
    }

    @Test("Unknown recipients are refused, but not introductions")
    func unknownRecipient() {
        var relay = Relay()
        #expect(relay.receives(invite(to: Cast.nobody)) == ["transport.unknown-recipient to alice-phone"])
        let introduction = Cast.signal(.introduction, 2, from: Cast.carolPhone, to: Cast.nobody)
        #expect(relay.receives(introduction) == ["introduction held for nobody"])
    }

    @Test("Who was known is forgotten after the retention")
    func forgotten() {
        var relay = Relay()
        _ = relay.binds(Cast.bobPhone)
        _ = relay.waits(90_000)
        #expect(relay.router.knownCount == 2, "it is bound still")
        relay.unbinds(Cast.bobPhone)
        _ = relay.waits(86_401)
        #expect(relay.router.knownCount == 0)
        #expect(relay.receives(invite()) == ["transport.unknown-recipient to alice-phone"])
    }

    @Test("The store is bounded: refused beyond it, introductions in silence")
    func bounds() {
        var configuration = RouterConfiguration()
        configuration.maximumHeldPerRecipient = 20
        configuration.maximumHeld = 22
        var relay = Relay(configuration)
        _ = relay.binds(Cast.bobPhone)
        relay.unbinds(Cast.bobPhone)
        for number in 0..<16 {
            _ = relay.receives(Cast.signal(.introduction, UInt64(number), from: Cast.carolPhone, to: Cast.bob))
        }
        #expect(
            relay.receives(Cast.signal(.introduction, 16, from: Cast.carolPhone, to: Cast.bob)) == [
                "dropped introduction-not-carried"
            ]
        )
        for number in 17..<21 { _ = relay.receives(invite(UInt64(number))) }
        #expect(relay.receives(invite(21)) == ["transport.routing-refused to alice-phone"])
        for number in 22..<26 {
            _ = relay.receives(Cast.signal(.introduction, UInt64(number), from: Cast.carolPhone, to: Cast.nobody))
        }
        #expect(relay.router.heldCount == 22)
        let cancelled = relay.receives(
            Cast.signal(.cancel, 30, from: Cast.alicePhone, to: Cast.bob, session: Cast.id(17), reason: .userCancelled)
        )
        #expect(cancelled.first == "invite for bob cancelled", "a cancel only shrinks the store")
    }

    @Test("A private relay carries what served identities send and are sent, and holds for them alone")
    func privateScope() {
        var configuration = RouterConfiguration()
        configuration.scope = .private([Cast.bob])
        var relay = Relay(configuration)
        for device in [Cast.alicePhone, Cast.bobPhone, Cast.carolPhone] { _ = relay.binds(device) }
        #expect(relay.receives(invite()) == ["invite to bob-phone (fork)"])
        #expect(
            relay.receives(fromLeg(.progress, 2, Cast.bobPhone)) == ["progress of bob-phone forwarded to alice-phone"]
        )
        #expect(relay.receives(invite(3, to: Cast.carol)) == ["transport.routing-refused to alice-phone"])
        #expect(
            relay.receives(Cast.signal(.introduction, 4, from: Cast.alicePhone, to: Cast.carol)) == [
                "dropped introduction-not-carried"
            ]
        )
        relay.unbinds(Cast.alicePhone)
        let bye = Cast.signal(.bye, 5, from: Cast.bobPhone, to: Cast.alicePhone, session: Cast.id(9))
        #expect(relay.receives(bye) == ["transport.routing-refused to bob-phone"])
        #expect(ServiceScope.closed([Cast.bob]).admitsHello(from: Cast.alice) == false)
        #expect(configuration.scope.admitsHello(from: Cast.alice))
    }
}
