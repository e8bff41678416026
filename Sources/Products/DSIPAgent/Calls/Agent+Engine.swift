import DSIPDialect03
import DSIPIdentity
import DSIPMedia
import DSIPSession
import DSIPSignaling
import Encoding
import Logging

/// Doing what the engine decides. Everything that is sent for a session is sent here.
extension Agent {
    /// Who made the engine act: decides whose doing an ending was.
    enum Origin {
        case command
        case timer
        case received(Verified<Message>, path: String)
    }

    /// - Returns: why the engine refused a command, if it did.
    @discardableResult
    func run(_ event: EndpointEvent, _ desk: Desk, origin: Origin = .command) -> Refusal? {
        let actions = desk.engine.handle(event, at: now())
        return perform(actions, desk, origin)
    }

    @discardableResult
    func perform(_ actions: [EndpointAction], _ desk: Desk, _ origin: Origin) -> Refusal? {
        var refusal: Refusal?
        var touched: Set<ULID> = []
        for action in actions {
            switch action {
            case .send(let outbound):
                if let session = outbound.session { touched.insert(session) }
                send(outbound, desk, origin)
            case .ui(let notice, let session):
                if let session { touched.insert(session) }
                show(notice, session, desk, origin)
            case .media(let instruction, let session):
                touched.insert(session)
                if let live = desk.calls[session] { carryOut(instruction, live, desk, origin) }
            case .info(let about, let session):
                if let live = desk.calls[session], case .received(let message, _) = origin {
                    receiveInfo(about, message, live, desk)
                }
            case .refused(let reason): refusal = reason
            case .drop(let reason): logger.debug("message ignored", metadata: ["why": "\(reason.rawValue)"])
            case .startTimer, .stopTimer, .timerFired: break
            }
        }
        for id in touched.sorted() {
            guard let live = desk.calls[id], desk.engine.session(id)?.state == .ended else { continue }
            finish(live, desk)
        }
        reschedule()
        return refusal
    }

    /// Fires what is due on every desk.
    func advance() {
        for desk in desks.values {
            let actions = desk.engine.advance(to: now())
            if !actions.isEmpty { perform(actions, desk, .timer) }
        }
        renewDelegations()
        advanceMail()
        advanceAnnouncements()
        advanceWatched()
        advanceLooked()
        reschedule()
    }

    // MARK: Sending

    func send(_ outbound: Outbound, _ desk: Desk, _ origin: Origin) {
        let live = outbound.session.flatMap { desk.calls[$0] } ?? outbound.id.flatMap { desk.calls[$0] }
        var path = live?.path ?? desk.relay
        // A reply goes the way the message came.
        var form = live?.form ?? .jose
        if live == nil, case .received(let message, let came) = origin { (path, form) = (came, message.envelope.form) }
        if outbound.type == .grant || outbound.type == .introduction {
            path = contactPath(to: outbound.to, desk) ?? path
        }
        var lifetime = Agent.lifetime(of: outbound.type)
        var version = VersionBlock.interactive
        let body: any MessageBody
        switch outbound.type {
        case .invite:
            guard let live else { return }
            // Once more when the relay says that the form is not read there; not a third time.
            live.invite = live.wasInvited ? nil : outbound
            live.wasInvited = true
            version.extensions = [.deliveryReport]
            body = Invite(
                media: live.media.offer.payload.media,
                transports: live.media.offer.payload.transports,
                identity: presentation(of: desk),
                grant: outbound.grant
            )
        case .progress:
            guard let status = outbound.status.flatMap({ ProgressStatus($0.rawValue) }) else { return }
            body = Progress(status, ringTimeout: outbound.ringTimeout, queueTimeout: outbound.queueTimeout)
        case .answer:
            guard let live, let answer = outbound.inReplyTo == nil ? live.answer : live.updateAnswer,
                let transport = answer.payload.transports.first,
                let by = outbound.answeredBy.flatMap({ AnsweredBy($0.rawValue) })
            else { return }
            body = Answer(
                by: by,
                media: answer.payload.media,
                transport: transport,
                inReplyTo: outbound.inReplyTo
            )
        case .reject:
            body = Reject(
                outbound.reason ?? .sessionFailed,
                detail: (live?.detail ?? pendingDetail).map { .text($0) },
                inReplyTo: outbound.inReplyTo
            )
            live?.detail = nil
        case .cancel: body = Cancel(outbound.reason ?? .userCancelled)
        case .update:
            guard let live, let offer = live.reoffer, let id = outbound.id else { return }
            live.media.sentUpdate(id, offer)
            live.reoffer = nil
            body = Update(
                media: offer.payload.media,
                transports: offer.payload.transports,
                answeredBy: outbound.answeredBy.flatMap { AnsweredBy($0.rawValue) }
            )
        case .info:
            guard let live, !live.outgoingInfo.isEmpty else { return }
            body = live.outgoingInfo.removeFirst()
        case .bye: body = Bye(outbound.reason ?? .userHangup)
        case .error: body = ErrorReport(outbound.reason ?? .sessionFailed, inReplyTo: outbound.inReplyTo)
        case .introduction:
            lifetime = Agent.introductionLifetime
            body = Introduction(
                identity: presentation(of: desk),
                purpose: outbound.purpose,
                contactToken: outbound.contactToken
            )
        case .grant:
            body = Grant(scope: outbound.scope ?? [Grant.inviteScope], validUntil: outbound.validUntil ?? now())
        case .publish, .subscribe, .notify, .unpublish, .provenance, .keyRotation, .delegationRevocation, .hello,
            .reachabilityHint:
            return
        }
        // In the dialect it would stand where nobody looks for it.
        if form == .jose, live != nil { version.extensions += [.sealedBody, .iceRestart] }
        let id = outbound.type == .invite ? outbound.session : outbound.id
        let stamp = Message.Stamp(
            id: id ?? makeID(),
            from: desk.key.did,
            issuedAt: now(),
            lifetime: lifetime,
            version: version
        )
        let session = outbound.type == .invite ? nil : outbound.session
        let message = Message(stamp, to: outbound.to, session: session, body)
        transmit(sealed(message, live), desk, path: path, in: form)
    }

    /// Sealed to whoever is known to open it: relays then read who talks to whom, and not what about (DSIP §10.4).
    private func sealed(_ message: Message, _ live: LiveCall?) -> Message {
        guard let live, live.form == .jose, let to = message.to, to == live.opensSeals || sealable.contains(to),
            let key = DIDKey.keyAgreement(of: to)?.publicKey
        else { return message }
        // What cannot be sealed goes in clear, as to everybody who does not open seals.
        return (try? message.sealed(to: key)) ?? message
    }

    /// Seconds a message may still be delivered. What ends something lives as long as the replay window lets it.
    private static func lifetime(of type: MessageType) -> Int64 {
        switch type {
        case .bye, .cancel, .reject, .grant: ProtocolLimits.replayWindow - 10
        case .answer, .update, .info: 60
        default: ProtocolLimits.inviteValidity
        }
    }

    static let introductionLifetime: Int64 = 7 * 86_400 - 60

    /// Signs and hands to the link, which keeps the order.
    func transmit(_ message: Message, _ desk: Desk, path: String, in form: WireForm = .jose) {
        do {
            let envelope = try message.signed(
                by: desk.key,
                delegations: desk.delegations,
                with: form == .proposal ? ProposalCodec.json : nil
            )
            links.link(owner: desk.identity, url: path)
                .enqueue(RelayLink.Item(envelope: envelope, message: message))
        } catch {
            logger.error("a message could not be signed")
        }
    }

    /// How we present ourselves: a name, and where we can be reached. Both are claims (DSIP §18.2).
    func presentation(of desk: Desk) -> IdentityInfo {
        IdentityInfo(
            displayName: desk.name.isEmpty ? nil : desk.name,
            claims: [["type": .string(Agent.reachabilityClaim), "relay": .string(desk.relay)]]
        )
    }

    static let reachabilityClaim = "reachability"

    /// The relay that someone's claim names, to dial and nothing else.
    static func relayClaim(in identity: IdentityInfo?) -> String? {
        identity?.claims?.first { $0["type"]?.string == reachabilityClaim }?["relay"]?.string
            .flatMap { $0.hasPrefix("wss://") && $0.utf8.count <= 512 ? $0 : nil }
    }

    // MARK: Media

    private func carryOut(_ instruction: MediaInstruction, _ live: LiveCall, _ desk: Desk, _ origin: Origin) {
        switch instruction {
        case .start:
            guard let answer = live.answer else { return }
            live.answer = nil
            let weOffered = live.call.direction == .outgoing
            if weOffered, case .received(let message, _) = origin {
                live.peerDevice = message.body.from
                live.call.canRestart = live.form == .jose && message.body.version.extensions.contains(.iceRestart)
            }
            guard let peer = live.peerDevice else { return }
            live.call.state = .active
            live.call.answeredAt = now()
            live.call.media = Call.Media(answer.payload)
            saveOpen(live)
            if weOffered {
                hub.publish(
                    .description(
                        session: live.call.session,
                        type: .answer,
                        sdp: answer.sdp,
                        update: nil,
                        screen: nil,
                        holder: live.call.holder
                    )
                )
            }
            publish(live)
            let restarts = live.call.canRestart
            apply(
                live.media.begin(answer, peer: peer, weOffered: weOffered, permitsRestart: restarts),
                live,
                desk
            )
        case .stop:
            live.media.end()
        case .applyUpdate:
            guard let answer = live.updateAnswer else { return }
            live.updateAnswer = nil
            live.updateDeadline?.cancel()
            live.updateDeadline = nil
            let weAnswered: Bool
            if case .received = origin { weAnswered = false } else { weAnswered = true }
            if !weAnswered, let update = live.media.ownUpdate {
                hub.publish(
                    .description(
                        session: live.call.session,
                        type: .answer,
                        sdp: answer.sdp,
                        update: update.id.description,
                        screen: nil,
                        holder: live.call.holder
                    )
                )
                do {
                    apply(try live.media.applyUpdateAnswer(answer), live, desk)
                } catch {
                    end(live, desk, .mediaFailed)
                    return
                }
            }
            live.call.media = Call.Media(answer.payload)
            live.call.held = live.media.held
            live.call.remoteHeld = live.media.remoteHeld
            publish(live)
        }
    }

    func apply(_ effects: [CallMedia.Effect], _ live: LiveCall, _ desk: Desk) {
        for effect in effects {
            switch effect {
            case .sendInfo(let candidates):
                for info in live.form == .proposal ? candidates.oneByOne : [candidates] {
                    live.outgoingInfo.append(Info(info))
                    run(.sendInfo(session: live.id), desk)
                }
            case .toPage(let candidates, let end):
                hub.publish(
                    .candidates(
                        session: live.call.session,
                        candidates: .array(candidates.map(\.json)),
                        endOfCandidates: end,
                        holder: live.call.holder
                    )
                )
            case .rateLimited:
                guard let peer = live.peerDevice else { continue }
                let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now())
                transmit(
                    .error(stamp, to: peer, session: live.id, ErrorReport(.policyRateLimited)),
                    desk,
                    path: live.path,
                    in: live.form
                )
            case .flooded: end(live, desk, .mediaFailed)
            }
        }
    }

    private func receiveInfo(_ about: String, _ message: Verified<Message>, _ live: LiveCall, _ desk: Desk) {
        guard about == Info.webRTC, case .info(let info) = message.body.body, let candidates = CandidateInfo(info)
        else {
            return
        }
        apply(live.media.received(candidates, from: message.body.from), live, desk)
    }

    /// Ends an active call for a reason of ours.
    func end(_ live: LiveCall, _ desk: Desk, _ reason: Reason) {
        live.ending = (reason, true)
        run(.hangUp(session: live.id, reason: reason), desk)
    }
}
