import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

@Suite("Glare, renegotiation, info (DSIP §12.6, §12.8, §12.12)")
struct NegotiationTests {
    let session = Cast.id(10)

    private func update(_ number: UInt64, answeredBy: String? = nil) -> Signal {
        Cast.signal(.update, number, from: Cast.bobPhone, session: session, answeredBy: answeredBy)
    }

    // MARK: Glare

    @Test("Our smaller id wins: the inbound invite is rejected")
    func glareWon() {
        var alice = Endpoint.inviting(session)
        let inbound = Cast.signal(.invite, 11, from: Cast.bobPhone, to: Cast.alice)
        #expect(alice.receives(inbound) == [sends(.reject, Cast.bobPhone, inbound.id, .sessionGlare)])
        #expect(alice.state(session) == .inviting)
    }

    @Test("Their smaller id wins: ours is withdrawn and theirs offered, even where first contact is required")
    func glareLost() {
        var alice = Endpoint(Cast.alicePhone, contacts: ContactBook(firstContactRequired: true))
        _ = alice.does(.placeCall(session: session, to: Cast.bob))
        let inbound = Cast.signal(.invite, 9, from: Cast.bobPhone, to: Cast.alice)
        #expect(
            alice.receives(inbound) == [
                .stopTimer(.establish, session: session), sends(.cancel, Cast.bob, session, .sessionGlare),
                .ui(.ended(.sessionGlare), session: session), .ui(.offered, session: inbound.id),
            ]
        )
    }

    @Test("Of several invites of ours only the smallest of all stays")
    func glareOfSeveral() {
        var alice = Endpoint.inviting(session)
        _ = alice.does(.placeCall(session: Cast.id(12), to: Cast.bob))
        let inbound = Cast.signal(.invite, 13, from: Cast.bobPhone, to: Cast.alice)
        #expect(
            alice.receives(inbound) == [
                .stopTimer(.establish, session: Cast.id(12)), sends(.cancel, Cast.bob, Cast.id(12), .sessionGlare),
                .ui(.ended(.sessionGlare), session: Cast.id(12)),
                sends(.reject, Cast.bobPhone, inbound.id, .sessionGlare),
            ]
        )
    }

    @Test("Both sides, whichever message arrives first, come to one session")
    func glareConverges() {
        var alice = Endpoint(Cast.alicePhone)
        var bob = Endpoint(Cast.bobPhone)
        _ = alice.does(.placeCall(session: Cast.id(1), to: Cast.bob))
        _ = bob.does(.placeCall(session: Cast.id(2), to: Cast.alice))
        _ = alice.receives(Cast.signal(.invite, 2, from: Cast.bobPhone, to: Cast.alice))
        _ = bob.receives(Cast.signal(.invite, 1, from: Cast.alicePhone, to: Cast.bob))
        #expect(alice.engine.liveSessions.map(\.id) == [Cast.id(1)])
        #expect(bob.engine.liveSessions.map(\.id) == [Cast.id(1)])
        #expect(bob.state(Cast.id(1)) == .offered)
    }

    // MARK: Renegotiation

    @Test("An update is answered through in_reply_to, and only then applied")
    func updateAnswered() {
        var alice = Endpoint.active(session)
        #expect(
            alice.does(.offerUpdate(session: session, id: Cast.id(20))) == [
                .send(Outbound(.update, to: Cast.bobPhone, session: session, id: Cast.id(20)))
            ]
        )
        #expect(alice.engine.session(session)?.isRenegotiating == true)
        let answer = Cast.signal(.answer, 21, from: Cast.bobPhone, session: session, inReplyTo: Cast.id(20))
        #expect(alice.receives(answer) == [.media(.applyUpdate, session: session)])
        #expect(alice.receives(answer) == [.drop(.staleUpdateReply)])
    }

    @Test("A rejected update leaves the session as it was")
    func updateRejected() {
        var alice = Endpoint.active(session)
        _ = alice.does(.offerUpdate(session: session, id: Cast.id(20)))
        let reject = Cast.signal(
            .reject,
            21,
            from: Cast.bobPhone,
            session: session,
            reason: .mediaUnsupported,
            inReplyTo: Cast.id(20)
        )
        #expect(alice.receives(reject) == [.ui(.updateRejected(Cast.id(20), .mediaUnsupported), session: session)])
        #expect(alice.state(session) == .active)
    }

    @Test("One update at a time, in either direction")
    func oneUpdate() {
        var alice = Endpoint.active(session)
        _ = alice.does(.offerUpdate(session: session, id: Cast.id(20)))
        #expect(alice.does(.offerUpdate(session: session, id: Cast.id(22))) == [.refused(.updatePending)])
        #expect(alice.does(.forgetUpdate(session: session, id: Cast.id(20))).isEmpty)
        #expect(alice.receives(update(23)) == [.ui(.updateOffered(Cast.id(23)), session: session)])
        #expect(alice.does(.offerUpdate(session: session, id: Cast.id(24))) == [.refused(.updatePending)])
        #expect(
            alice.does(.rejectUpdate(session: session, inReplyTo: Cast.id(23), reason: .mediaUnsupported)) == [
                sends(.reject, Cast.bobPhone, session, .mediaUnsupported, inReplyTo: Cast.id(23))
            ]
        )
        #expect(
            alice.does(.answerUpdate(session: session, inReplyTo: Cast.id(23))) == [.refused(.noPendingUpdate)]
        )
    }

    @Test("Update glare: the smaller id proceeds")
    func updateGlare() {
        var alice = Endpoint.active(session)
        _ = alice.does(.offerUpdate(session: session, id: Cast.id(20)))
        #expect(
            alice.receives(update(21)) == [
                sends(.reject, Cast.bobPhone, session, .sessionGlare, inReplyTo: Cast.id(21))
            ]
        )
        #expect(
            alice.receives(update(19)) == [
                .ui(.updateRejected(Cast.id(20), .sessionGlare), session: session),
                .ui(.updateOffered(Cast.id(19)), session: session),
            ]
        )
    }

    @Test("A second update before the first resolves discards both")
    func updatePending() {
        var alice = Endpoint.active(session)
        _ = alice.receives(update(20))
        #expect(
            alice.receives(update(21)) == [
                sends(.error, Cast.bobPhone, session, .sessionUpdatePending, inReplyTo: Cast.id(21))
            ]
        )
        #expect(alice.engine.session(session)?.update == nil)
    }

    @Test("An update that ends screening says who is there now")
    func screeningEnds() {
        var alice = Endpoint.active(session)
        #expect(
            alice.receives(update(20, answeredBy: "user")) == [
                .ui(.updateOffered(Cast.id(20)), session: session),
                .ui(.answered(.user, device: Cast.bobPhone), session: session),
            ]
        )
    }

    // MARK: Info

    @Test("info is handed to a known binding, an unknown about is ignored")
    func info() {
        var alice = Endpoint.active(session)
        func about(_ about: String) -> Signal {
            Cast.signal(.info, 30, from: Cast.bobPhone, session: session, about: about)
        }
        #expect(alice.receives(about("media:dtmf")) == [.info(about: "media:dtmf", session: session)])
        #expect(alice.receives(about("x-future:thing")) == [.drop(.unknownAbout)])
        #expect(alice.does(.sendInfo(session: session)) == [sends(.info, Cast.bobPhone, session)])
    }

    @Test("A flood of info is refused once and then ignored, until the next minute")
    func infoFlood() {
        var configuration = EndpointConfiguration()
        configuration.infoPerMinute = 3
        var alice = Endpoint.active(session)
        alice.engine.configuration = configuration
        let info = Cast.signal(.info, 30, from: Cast.bobPhone, session: session, about: "media:dtmf")
        let outcomes = (0..<5).map { _ in alice.receives(info) }
        #expect(outcomes[2] == [.info(about: "media:dtmf", session: session)])
        #expect(
            outcomes[3] == [sends(.error, Cast.bobPhone, session, .policyRateLimited, inReplyTo: info.id)]
        )
        #expect(outcomes[4] == [.drop(.rateLimited)])
        alice.now += 60
        #expect(alice.receives(info) == [.info(about: "media:dtmf", session: session)])
    }
}

@Suite("First contact (DSIP §19.4)")
struct FirstContactTests {
    private func introduction(_ number: UInt64, token: String? = nil) -> Signal {
        Cast.signal(.introduction, number, from: Cast.carolPhone, to: Cast.bob, contactToken: token)
    }

    private func invite(_ number: UInt64, grant: ULID? = nil) -> Signal {
        Cast.signal(.invite, number, from: Cast.carolPhone, to: Cast.bob, grant: grant)
    }

    private func bob() -> Endpoint { Endpoint(Cast.bobPhone, contacts: ContactBook(firstContactRequired: true)) }

    @Test("A stranger's invite is rejected without a ring; an introduction makes no session")
    func stranger() {
        var bob = bob()
        #expect(
            bob.receives(invite(1)) == [
                sends(.reject, Cast.carolPhone, Cast.id(1), .policyFirstContactRequired)
            ]
        )
        #expect(
            bob.receives(introduction(2)) == [
                .ui(.introductionReceived(Cast.id(2), from: Cast.carol, token: false), session: nil)
            ]
        )
        #expect(bob.receives(introduction(2)) == [.drop(.duplicateIntroduction)])
        #expect(bob.engine.liveSessions.isEmpty)
    }

    @Test("A grant goes to the introducing identity and admits until its end, within its scope")
    func grant() {
        var bob = bob()
        _ = bob.receives(introduction(2))
        let end = Cast.start + 100
        #expect(
            bob.does(.grant(introduction: Cast.id(2), id: Cast.id(3), scope: ["dsip.invite"], validUntil: end)) == [
                .send(
                    Outbound(
                        .grant,
                        to: Cast.carol,
                        session: Cast.id(2),
                        id: Cast.id(3),
                        scope: ["dsip.invite"],
                        validUntil: end
                    )
                )
            ]
        )
        #expect(bob.receives(invite(4)) == [.ui(.offered, session: Cast.id(4))])
        bob.now += 101
        #expect(
            bob.receives(invite(5)).first == sends(.reject, Cast.carolPhone, Cast.id(5), .policyFirstContactRequired)
        )
    }

    @Test("A revoked grant admits nobody")
    func revoke() {
        var bob = bob()
        _ = bob.receives(introduction(2))
        _ = bob.does(.grant(introduction: Cast.id(2), id: Cast.id(3), scope: ["dsip.invite"], validUntil: .max))
        #expect(bob.does(.revokeGrant(Cast.id(3))).isEmpty)
        #expect(bob.does(.revokeGrant(Cast.id(3))) == [.refused(.unknownGrant)])
        #expect(
            bob.receives(invite(4)).first == sends(.reject, Cast.carolPhone, Cast.id(4), .policyFirstContactRequired)
        )
    }

    @Test("A contact token grants the first introduction that carries it, and is used up")
    func token() {
        var bob = bob()
        _ = bob.does(.issueToken("card", grant: Cast.id(9)))
        let actions = bob.receives(introduction(2, token: "card"))
        #expect(actions.first == .ui(.introductionReceived(Cast.id(2), from: Cast.carol, token: true), session: nil))
        #expect(actions.count == 2)
        #expect(bob.receives(invite(3)) == [.ui(.offered, session: Cast.id(3))])
        #expect(
            bob.receives(introduction(4, token: "card")) == [
                .ui(.introductionReceived(Cast.id(4), from: Cast.carol, token: false), session: nil)
            ]
        )
    }

    @Test("Requests are bounded, by identity and in total")
    func bounds() {
        var bob = bob()
        for number in 1...4 { _ = bob.receives(introduction(UInt64(number))) }
        #expect(bob.receives(introduction(5)) == [.drop(.requestsFull)])
        #expect(bob.engine.contacts.requests.count == 4)
    }

    @Test("The sender hears a grant or a rejection of its own introduction only")
    func outcomes() {
        var alice = Endpoint(Cast.alicePhone)
        _ = alice.does(.introduce(id: Cast.id(1), to: Cast.bob, purpose: "hello"))
        var forged = Cast.signal(.grant, 2, from: Cast.carolPhone, session: Cast.id(1))
        forged.scope = ["dsip.invite"]
        #expect(alice.receives(forged) == [.drop(.unknownIntroduction)])
        var grant = Cast.signal(.grant, 3, from: Cast.bobPhone, session: Cast.id(1))
        grant.scope = ["dsip.invite"]
        grant.validUntil = Cast.start + 1000
        #expect(alice.receives(grant) == [.ui(.granted(by: Cast.bob, grant: Cast.id(3)), session: nil)])
        #expect(
            alice.does(.placeCall(session: Cast.id(4), to: Cast.bob)).first
                == .send(Outbound(.invite, to: Cast.bob, session: Cast.id(4), grant: Cast.id(3)))
        )
    }

    @Test("A contact book is what it was after a restart")
    func restore() {
        var bob = bob()
        _ = bob.receives(introduction(2))
        _ = bob.does(.issueToken("card", grant: Cast.id(9)))
        _ = bob.does(.allow(Cast.alice))
        _ = bob.does(.introduce(id: Cast.id(8), to: Cast.alice, purpose: nil))
        let book = bob.engine.contacts
        #expect(ContactBook(restoring: book.snapshot) == book)
    }
}
