import DSIPIdentity
import DSIPSignaling
import Encoding

extension EndpointEngine {
    mutating func apply(
        _ event: EndpointEvent,
        at now: Int64,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        let settings = configuration
        switch event {
        case .placeCall(let id, let to, let identity, let relay):
            try placeCall(id, to: to, identity: identity, relay: relay, at: now, into: &out)
        case .cancel(let id):
            try initiator(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.withdraw(.userCancelled, showing: false, into: &out)
            }
        case .inviteFailed(let id, let reason):
            try initiator(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.fail(reason, into: &out)
            }
        case .hangUp(let id, let reason):
            try change(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.hangUp(reason, into: &out)
            }
        case .alert(let id, let ringTimeout):
            try responder(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.alert(ringTimeout: ringTimeout, settings, at: now, into: &out)
            }
        case .reportProgress(let id, let status, let queueTimeout):
            try responder(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.report(status, queueTimeout: queueTimeout, into: &out)
            }
        case .autoReject(let id, let reason):
            try responder(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.autoReject(reason, into: &out)
            }
        case .accept(let id, let answeredBy):
            try responder(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.accept(answeredBy, into: &out)
            }
        case .decline(let id, let reason):
            try responder(id, at: now, into: &out) { session, out throws(Refusal) in
                try session.decline(reason, into: &out)
            }
        case .offerUpdate(let session, let id, let answeredBy):
            try dialogue(session, at: now, into: &out) { dialogue, out throws(Refusal) in
                try dialogue.offerUpdate(id, answeredBy: answeredBy, into: &out)
            }
        case .answerUpdate(let session, let id):
            try dialogue(session, at: now, into: &out) { dialogue, out throws(Refusal) in
                try dialogue.answerUpdate(id, into: &out)
            }
        case .rejectUpdate(let session, let id, let reason):
            try dialogue(session, at: now, into: &out) { dialogue, out throws(Refusal) in
                try dialogue.rejectUpdate(id, reason: reason, into: &out)
            }
        case .forgetUpdate(let session, let id):
            try dialogue(session, at: now, into: &out) { dialogue, _ throws(Refusal) in
                try dialogue.forgetUpdate(id)
            }
        case .sendInfo(let session):
            try dialogue(session, at: now, into: &out) { dialogue, out throws(Refusal) in
                out.append(.send(Outbound(.info, to: dialogue.peer, session: session)))
            }
        case .received(let signal):
            receive(signal, at: now, into: &out)
        case .receivedUnusableAnswer(let signal):
            receiveUnusableAnswer(signal, at: now, into: &out)
        case .introduce, .grant, .rejectIntroduction, .revokeGrant, .issueToken, .allow, .disallow,
            .requireFirstContact:
            try applyToContacts(event, into: &out)
        }
    }

    private mutating func placeCall(
        _ id: ULID,
        to: DID,
        identity: DID?,
        relay: DID?,
        at now: Int64,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        // DSIP §12.9: an id is used once.
        guard sessions[id] == nil else { throw .invalidState }
        guard liveCount < configuration.maximumSessions else { throw .tooMany }
        var session = InitiatorSession(id: id, to: to, identity: identity, relay: relay)
        let start = out.count
        session.start(
            grant: contacts.grantForInviting(identity ?? to, at: now),
            configuration,
            into: &out
        )
        keep(.initiator(session), id, at: now, following: out[start...])
    }

    private mutating func applyToContacts(
        _ event: EndpointEvent,
        into out: inout [EndpointAction]
    ) throws(Refusal) {
        switch event {
        case .introduce(let id, let to, let purpose, let token):
            try contacts.introduce(id, to: to)
            out.append(
                .send(Outbound(.introduction, to: to, session: nil, id: id, purpose: purpose, contactToken: token))
            )
        case .grant(let introduction, let id, let scope, let validUntil):
            let grantee = try contacts.grant(introduction: introduction, id: id, scope: scope, validUntil: validUntil)
            out.append(
                .send(
                    Outbound(.grant, to: grantee, session: introduction, id: id, scope: scope, validUntil: validUntil)
                )
            )
        case .rejectIntroduction(let id, let reason):
            let sender = try contacts.rejectIntroduction(id)
            out.append(.send(Outbound(.reject, to: sender, session: id, reason: reason)))
        case .revokeGrant(let id):
            try contacts.revoke(id)
        case .issueToken(let token, let grant):
            try contacts.issueToken(token, grant: grant)
        case .allow(let identity):
            try contacts.setAllowed(identity, true)
        case .disallow(let identity):
            try contacts.setAllowed(identity, false)
        case .requireFirstContact(let required):
            contacts.firstContactRequired = required
        default:
            break
        }
    }

    // MARK: One session

    private mutating func initiator(
        _ id: ULID,
        at now: Int64,
        into out: inout [EndpointAction],
        _ body: (inout InitiatorSession, inout [EndpointAction]) throws(Refusal) -> Void
    ) throws(Refusal) {
        try change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.asInitiator { session throws(Refusal) in try body(&session, &out) }
        }
    }

    private mutating func responder(
        _ id: ULID,
        at now: Int64,
        into out: inout [EndpointAction],
        _ body: (inout ResponderSession, inout [EndpointAction]) throws(Refusal) -> Void
    ) throws(Refusal) {
        try change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.asResponder { session throws(Refusal) in try body(&session, &out) }
        }
    }

    private mutating func dialogue(
        _ id: ULID,
        at now: Int64,
        into out: inout [EndpointAction],
        _ body: (inout Dialogue, inout [EndpointAction]) throws(Refusal) -> Void
    ) throws(Refusal) {
        try change(id, at: now, into: &out) { session, out throws(Refusal) in
            try session.withDialogue { dialogue throws(Refusal) in try body(&dialogue, &out) }
        }
    }
}
