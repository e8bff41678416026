import DSIPIdentity
import DSIPMedia
import DSIPSession
import DSIPSignaling
import Encoding

/// What a person can do with calls.
extension Agent {
    /// Calls someone.
    /// - Parameters:
    ///   - to: a DID, `user@host` or a `dsip:` link.
    ///   - sdp: the offer of the page that will hold the media.
    ///   - name: what to call them when they are no contact.
    /// - Throws: `.media`, `.unresolvable`, `.notAllowed`, `.rateLimited`; `.unreachable` when this device’s clock is wrong.
    public func place(
        to input: String,
        sdp: String,
        name: String? = nil,
        page: PageID = .request
    ) async throws(AgentError) -> Call {
        let offer: CheckedOffer
        do {
            offer = try CheckedOffer(own: sdp)
        } catch {
            throw AgentError(.media, "This browser’s offer cannot be used: \(error.detail).")
        }
        let found = try await lookup(input)
        let desk = try desk(for: found.peer.did)
        guard found.peer.did != desk.identity else { throw AgentError(.notAllowed, "This is your own address.") }
        guard !found.peer.blocked else {
            throw AgentError(.notAllowed, "You have blocked \(found.peer.name). Unblock them to call.")
        }
        if let fault = links.link(owner: desk.identity, url: desk.relay).clockFault {
            throw AgentError(.unreachable, Sentences.wrongClock(fault))
        }
        guard !desk.calls.values.contains(where: { $0.call.direction == .outgoing && $0.call.state != .ended }) else {
            throw AgentError(.busy, "You are already in a call. Hang up first.")
        }
        var peer = found.peer
        if peer.namedBy == nil, let name, !name.trimmed.isEmpty { peer.name = name.trimmed }
        let id = makeID()
        var call = Call(
            session: id.description,
            direction: .outgoing,
            peer: peer,
            state: .connecting,
            media: Call.Media(offer.kinds),
            startedAt: now()
        )
        call.holder = page
        call.progress = found.hops
        let live = LiveCall(call, id: id, owner: desk.identity, offer: offer, path: found.relay ?? desk.relay)
        live.form = dialects.form(spokenBy: peer.did)
        desk.calls[id] = live
        publish(live)
        let link = links.link(owner: desk.identity, url: live.path)
        if let relay = await link.ready(within: .seconds(8)) {
            live.add(Hop(.relay, at: now(), "Relay reached.", signer: relay.identity, message: relay.hello.description))
            publish(live)
        }
        guard live.call.state != .ended else { return live.call }
        // The relay hop may be missing here: the invite then waits in the link, and T-Establish decides.
        open(live, name: peer.name)
        run(.placeCall(session: id, to: peer.did, relay: links.relay(at: live.path)?.identity), desk)
        return live.call
    }

    /// The person chose to answer. From here on, and not before, the page has the caller's offer (DSIP §14.1).
    public func open(_ session: String, page: PageID = .request) throws(AgentError) -> JSONValue {
        let (_, live) = try liveCall(session)
        guard live.call.direction == .incoming, live.call.state == .incoming else {
            throw AgentError(.notAllowed, "This call cannot be answered any more.")
        }
        if let holder = live.call.holder, holder != page {
            throw AgentError(.notAllowed, "The call is being answered in another window.")
        }
        live.call.holder = page
        live.opened = true
        publish(live)
        return [
            "sdp": .string(live.media.offer.sdp), "ice_servers": iceServers(),
            "screen": .optional(live.media.offer.screenMid),
        ]
    }

    /// A page that was cut off says again that it holds the media of a call.
    public func claim(_ session: String, page: PageID = .request) throws(AgentError) -> Call {
        let (_, live) = try liveCall(session)
        if let holder = live.call.holder, holder != page, hub.isListening(holder) {
            throw AgentError(.notAllowed, "Another window holds this call.")
        }
        live.abandonment?.cancel()
        live.abandonment = nil
        live.call.holder = page
        publish(live)
        return live.call
    }

    /// - Parameter answeredBy: `user`, or `screening` (DSIP §14.4).
    public func answer(
        _ session: String,
        sdp: String,
        answeredBy: String = "user",
        page: PageID = .request
    ) throws(AgentError) -> Call {
        let (desk, live) = try liveCall(session)
        guard live.call.state == .incoming, live.opened else {
            throw AgentError(.notAllowed, "This call cannot be answered any more.")
        }
        try holds(live, page)
        guard let who = Signal.AnsweredBy(rawValue: answeredBy), who == .user || who == .screening else {
            throw AgentError(.badRequest, "“answered_by” must be user or screening.")
        }
        let answer: CheckedAnswer
        do {
            answer = try CheckedAnswer(own: sdp, to: live.media.offer)
        } catch {
            throw AgentError(.media, "This browser’s answer cannot be used: \(error.detail).")
        }
        live.answer = answer
        live.call.answeredBy = who.rawValue
        live.call.screening = who == .screening
        try command(.accept(session: live.id, answeredBy: who), desk)
        return live.call
    }

    public func decline(_ session: String, busy: Bool = false) throws(AgentError) -> Call {
        let (desk, live) = try liveCall(session)
        let reason: Reason = busy ? .endpointBusy : .userDeclined
        try command(.decline(session: live.id, reason: reason), desk, ending: (live, reason))
        return live.call
    }

    /// Withdraws our call before it is answered.
    public func cancel(_ session: String) throws(AgentError) -> Call {
        let (desk, live) = try liveCall(session)
        guard desk.engine.session(live.id) != nil else {
            // Still on the way to the relay: nothing was sent, so there is nothing to withdraw.
            live.ending = (.userCancelled, true)
            finish(live, desk)
            return live.call
        }
        try command(.cancel(session: live.id), desk, ending: (live, .userCancelled))
        return live.call
    }

    public func hangUp(_ session: String) throws(AgentError) -> Call {
        let (desk, live) = try liveCall(session)
        guard live.isActive else {
            return live.call.direction == .outgoing ? try cancel(session) : try decline(session)
        }
        let reason: Reason = live.call.screening && live.call.direction == .incoming ? .userDeclined : .userHangup
        try command(.hangUp(session: live.id, reason: reason), desk, ending: (live, reason))
        return live.call
    }

    // MARK: Media

    /// Candidates of the page's peer connection; kept until the call is active (B§4.3).
    public func addCandidates(
        _ session: String,
        _ candidates: [SignaledCandidate],
        end: Bool,
        page: PageID = .request
    ) throws(AgentError) {
        let (desk, live) = try liveCall(session)
        try holds(live, page)
        apply(live.media.gathered(candidates, end: end), live, desk)
    }

    /// Offers a change: more media, screen sharing, hold, the end of screening (DSIP §12.8).
    /// - Returns: the update's id.
    public func update(
        _ session: String,
        sdp: String,
        answeredBy: String? = nil,
        screen: String? = nil,
        page: PageID = .request
    ) throws(AgentError) -> String {
        let (desk, live) = try liveCall(session)
        try holds(live, page)
        var who: Signal.AnsweredBy?
        if let answeredBy {
            guard let named = Signal.AnsweredBy(rawValue: answeredBy) else {
                throw AgentError(.badRequest, "“answered_by” must be user, service, screening or gateway.")
            }
            who = named
        }
        guard desk.engine.session(live.id)?.update == nil else {
            throw AgentError(.busy, "Another change of this call is still being agreed. Try again in a moment.")
        }
        do {
            live.reoffer = try live.media.checkOwnUpdate(sdp, screen: screen)
        } catch {
            throw AgentError(.media, "This browser’s new offer cannot be used: \(error.detail).")
        }
        let id = makeID()
        try command(.offerUpdate(session: live.id, id: id, answeredBy: who), desk)
        live.updateDeadline = Task { [weak self] in
            try? await Task.sleep(for: Agent.updatePatience)
            guard !Task.isCancelled else { return }
            await self?.updateExpired(id, session)
        }
        if who == .user { live.call.screening = false }
        if let who { live.call.answeredBy = who.rawValue }
        publish(live)
        return id.description
    }

    /// How long the answer to an update is waited for: their page gives it by itself.
    static let updatePatience: Duration = .seconds(10)

    /// The answer, or the update itself, was lost on a connection that ended: the page may offer again (DSIP §12.8).
    private func updateExpired(_ id: ULID, _ session: String) {
        guard let (desk, live) = try? liveCall(session), live.media.ownUpdate?.id == id else { return }
        run(.forgetUpdate(session: live.id, id: id), desk)
        updateFailed(id, .sessionTimeout, live)
    }

    public func answerUpdate(
        _ session: String,
        update: String,
        sdp: String,
        page: PageID = .request
    ) throws(AgentError) {
        let (desk, live) = try liveCall(session)
        try holds(live, page)
        guard let pending = live.media.theirUpdate, pending.id.description == update else {
            throw AgentError(.notAllowed, "This change is no longer on offer.")
        }
        do {
            live.updateAnswer = try live.media.answerUpdate(sdp)
        } catch {
            throw AgentError(.media, "This browser’s answer cannot be used: \(error.detail).")
        }
        live.call.update = nil
        try command(.answerUpdate(session: live.id, inReplyTo: pending.id), desk)
    }

    public func rejectUpdate(
        _ session: String,
        update: String,
        reason: String? = nil,
        page: PageID = .request
    ) throws(AgentError) {
        let (desk, live) = try liveCall(session)
        try holds(live, page)
        guard let pending = live.media.theirUpdate, pending.id.description == update else {
            throw AgentError(.notAllowed, "This change is no longer on offer.")
        }
        let token: Reason =
            try reason.map { text throws(AgentError) in
                guard let token = Reason(text) else { throw AgentError(.badRequest, "“reason” is no reason token.") }
                return token
            } ?? .userDeclined
        live.media.dropTheirUpdate()
        live.call.update = nil
        try command(.rejectUpdate(session: live.id, inReplyTo: pending.id, reason: token), desk)
        publish(live)
    }

    /// The page says how its peer connection fares; a failed one ends the call (B§8).
    public func reportMedia(_ session: String, state: String, page: PageID = .request) throws(AgentError) {
        let (desk, live) = try liveCall(session)
        try holds(live, page)
        guard state == "failed", live.isActive else { return }
        try command(.hangUp(session: live.id, reason: .mediaFailed), desk, ending: (live, .mediaFailed))
    }

    /// - Parameter digits: 1 to 32 of `0`–`9`, `*`, `#`, `A`–`D` (DSIP §12.12).
    public func sendDigits(_ session: String, _ digits: String) throws(AgentError) {
        let (desk, live) = try liveCall(session)
        guard let tones = DTMFDigits(digits, milliseconds: 160) else {
            throw AgentError(.badRequest, "Digits are 0 to 9, *, # and A to D, at most 32 at a time.")
        }
        live.outgoingInfo.append(Info(tones))
        try command(.sendInfo(session: live.id), desk)
    }

    /// STUN servers the relay named in its signed hello.
    public func iceServers() -> JSONValue {
        let urls = relayStatus.stun
        return urls.isEmpty ? [] : [["urls": .array(urls.map { .string($0) })]]
    }

    // MARK: Parts

    /// - Throws: `.notFound` unless the call is one of ours that has not ended.
    func liveCall(_ session: String) throws(AgentError) -> (Desk, LiveCall) {
        if let id = ULID(session) {
            for desk in desks.values {
                if let live = desk.calls[id] { return (desk, live) }
            }
        }
        throw AgentError(.notFound, "This call has ended.")
    }

    /// Media belong to one page; another must not touch them.
    private func holds(_ live: LiveCall, _ page: PageID) throws(AgentError) {
        guard live.call.holder == page || live.call.holder == nil else {
            throw AgentError(.notAllowed, "Another window holds this call.")
        }
    }

    /// Gives the engine a command of the person; the engine's refusal becomes a sentence.
    func command(
        _ event: EndpointEvent,
        _ desk: Desk,
        ending: (LiveCall, Reason)? = nil
    ) throws(AgentError) {
        if let (live, reason) = ending { live.ending = (reason, true) }
        if let refusal = run(event, desk) {
            ending?.0.ending = nil
            throw AgentError(refusal == .updatePending ? .busy : .notAllowed, Agent.sentence(refusal))
        }
    }

    private static func sentence(_ refusal: Refusal) -> String {
        switch refusal {
        case .unknownSession: "This call has ended."
        case .invalidState: "The call is not at a point where that is possible."
        case .updatePending: "Another change of this call is still being agreed. Try again in a moment."
        case .noPendingUpdate: "This change is no longer on offer."
        case .unknownIntroduction: "This request has been settled already."
        case .unknownGrant: "This permission no longer exists."
        case .tooMany: "There are too many of these at once. Try again later."
        }
    }
}
