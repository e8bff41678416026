import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// What the relay says in its own name: signed `error`s, delivery reports, missed calls.
struct RelayVoice: Sendable {
    let key: SigningKey
    /// Unix seconds.
    let clock: @Sendable () -> Int64
    /// For connections that do not speak DSIP-JOSE.
    var codecs: [any WireCodec] = []

    func error(
        _ reason: Reason,
        to recipient: DID,
        session: ULID? = nil,
        inReplyTo id: ULID?,
        retryAfter: Int? = nil,
        in form: WireForm = .jose
    ) -> [UInt8]? {
        sign(
            .error(
                stamp(.core),
                to: recipient,
                session: session,
                ErrorReport(reason, retryAfter: retryAfter.map(Int64.init), inReplyTo: id)
            ),
            form
        )
    }

    /// The mailbox has taken something, by other ways than its host's.
    func accepted(_ accepted: Accepted, to recipient: DID, in form: WireForm = .jose) -> [UInt8]? {
        let stamp = stamp(.core)
        let message = MailboxMessage(
            id: stamp.id,
            from: key.did,
            to: recipient,
            issuedAt: stamp.issuedAt,
            expiresAt: stamp.expiresAt,
            body: .accepted(accepted)
        )
        return sign(payload: message.json, in: form)
    }

    /// A message of a profile.
    func sign(payload: JSONValue, in form: WireForm) -> [UInt8]? {
        try? Envelope(signing: payload, by: key, with: codecs.first { $0.form == form }).bytes
    }

    /// Declines a subscription, which `session` names.
    func reject(_ reason: Reason, to recipient: DID, session: ULID, in form: WireForm = .jose) -> [UInt8]? {
        sign(.inSession(session, stamp(.core), to: recipient, Reject(reason)), form)
    }

    /// `delivery-report/1.0`: what became of an invite.
    func report(_ report: DeliveryReport, in form: WireForm = .jose) -> [UInt8]? {
        notify(
            report.to,
            subscription: report.session,
            seq: report.seq,
            ["type": "delivery", "state": .string(report.state.rawValue), "devices": .int(Int64(report.devices))],
            form
        )
    }

    /// `delivery-report/1.0`, to the person called: a call came while nobody was here. `invite` is the caller's own signed word.
    /// - Returns: nil when the invite is too large to travel inside another message.
    func missed(_ invite: ULID, to device: DID, evidence: Envelope) -> [UInt8]? {
        let notice = notify(device, subscription: invite, seq: 1, ["type": "missed", "invite": evidence.json], .jose)
        return notice.flatMap { $0.count <= ProtocolLimits.frame ? $0 : nil }
    }

    /// What a subscriber is told (DSIP §9.3).
    /// - Parameter enclosed: members of the body beside the authority's own.
    func notify(
        _ notice: SubscriptionNotice,
        enclosing enclosed: [(name: String, value: JSONValue)] = [],
        in form: WireForm = .jose
    ) -> [UInt8]? {
        var content: JSONObject = ["type": .string(notice.event), "state": .string(notice.state)]
        if let publication = notice.publication { content["publication"] = .string(publication.description) }
        if !notice.provenance.isEmpty {
            content["provenance"] = .array(notice.provenance.map { .string($0.string) })
        }
        for (name, value) in enclosed { content[name] = value }
        let notify = Notify(
            subscription: notice.subscription,
            seq: notice.seq,
            state: notice.isTerminal ? .terminated : .active,
            reason: notice.reason,
            content: content
        )
        let version = notice.event == Subscribe.presence ? .core : VersionBlock(profiles: [.verifiedBroadcast])
        return sign(Message(stamp(version), to: notice.to, notify), form)
    }

    private func notify(
        _ recipient: DID,
        subscription: ULID,
        seq: Int64,
        _ content: JSONObject,
        _ form: WireForm
    ) -> [UInt8]? {
        let version = VersionBlock(extensions: [.deliveryReport])
        let notify = Notify(subscription: subscription, seq: seq, content: content)
        return sign(Message(stamp(version), to: recipient, notify), form)
    }

    private func stamp(_ version: VersionBlock) -> Message.Stamp {
        var generator = SystemRandomNumberGenerator()
        let now = clock()
        return Message.Stamp(
            id: ULID(milliseconds: UInt64(max(0, now)) * 1000, using: &generator),
            from: key.did,
            issuedAt: now,
            version: version
        )
    }

    private func sign(_ message: Message, _ form: WireForm) -> [UInt8]? {
        try? message.signed(by: key, with: codecs.first { $0.form == form }).bytes
    }
}
