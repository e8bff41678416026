import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging

/// Being woken: browsers that show a notification when nobody is bound (`push-wake/1.0`, docs/relay.md).
///
/// The relay is told again whenever it has answered: it replaces what it knew, and a relay that was set up anew knows it, too.
extension Agent {
    /// What the relay of the current identity offers to browsers, as `applicationServerKey`; null when it wakes none.
    func pushKey() -> JSONValue {
        let key = desks[current].flatMap { links.capabilities(at: $0.relay) }?.other["push"]
            .flatMap { PushCapability($0) }?.vapidKey
        return ["public_key": .optional(key.map { Base64URL.encode($0) })]
    }

    /// A browser's subscription (RFC 8030, RFC 8291); the newest few are kept.
    func subscribe(endpoint: String, p256dh: String, auth: String) throws(AgentError) {
        let json: JSONValue = [
            "kind": .string(PushTarget.Kind.webPush.rawValue), "endpoint": .string(endpoint), "p256dh": .string(p256dh),
            "auth": .string(auth),
        ]
        let target: PushTarget
        do throws(MessagingError) {
            target = try PushTarget(json)
        } catch {
            throw AgentError(.badRequest, "This is no subscription of a browser: \(error.detail).")
        }
        var targets = try pushTargets().filter { $0.json["endpoint"] != json["endpoint"] }
        targets.append(target)
        try savePush(Array(targets.suffix(PushConfig.maximumTargets)))
    }

    func unsubscribe(endpoint: String) throws(AgentError) {
        try savePush(try pushTargets().filter { $0.json["endpoint"]?.string != endpoint })
    }

    private func savePush(_ targets: [PushTarget]) throws(AgentError) {
        try store.set(Agent.pushSetting, JSONValue.array(targets.map(\.json)).text)
        for desk in desks.values where links.connected(owner: desk.identity, url: desk.relay) != nil {
            sendPush(desk, isWithdrawal: targets.isEmpty)
        }
    }

    private func pushTargets() throws(AgentError) -> [PushTarget] {
        guard let text = try store.setting(Agent.pushSetting), let list = try? JSONValue(parsing: text).array else {
            return []
        }
        return list.prefix(PushConfig.maximumTargets).compactMap { try? PushTarget($0) }
    }

    /// Tells a desk's relay how this device is woken.
    func sendPush(_ desk: Desk, isWithdrawal: Bool = false) {
        guard let relay = links.connected(owner: desk.identity, url: desk.relay),
            links.capabilities(at: desk.relay)?.other["push"] != nil, let targets = try? pushTargets(),
            !targets.isEmpty || isWithdrawal
        else { return }
        let config = PushConfig(
            id: makeID(),
            from: desk.key.did,
            to: relay.identity,
            issuedAt: now(),
            expiresAt: now() + MessagingProfile.maximumLifetime,
            targets: targets
        )
        say(config.json, until: config.head.expiresAt, desk)
    }

    /// Nobody looks at this agent: the browsers that want to know are woken by way of the relay, which alone can.
    private func wakePages(_ kind: Wake.Kind, for envelope: ULID, _ desk: Desk) {
        guard configuration.mode == .full, !hub.hasListeners,
            let relay = links.connected(owner: desk.identity, url: desk.relay),
            links.capabilities(at: desk.relay)?.other["push"] != nil, let targets = try? pushTargets(), !targets.isEmpty
        else { return }
        wokenFor = wokenFor.suffix(63) + [envelope]
        let request = WakeRequest(
            id: makeID(),
            from: desk.key.did,
            to: relay.identity,
            issuedAt: now(),
            expiresAt: now() + MessagingProfile.maximumLifetime,
            kind: kind,
            envelope: envelope
        )
        say(request.json, until: request.head.expiresAt, desk)
    }

    func wakePages(forCall session: ULID, _ desk: Desk) { wakePages(.call, for: session, desk) }

    /// A message that has just come and that a page would make a sound for. It is told of once, whatever becomes of it afterwards.
    func wakePages(for message: MessageRecord, _ desk: Desk) {
        guard !message.isMine, message.isContent, !message.isRetracted, !toldOf.contains(message.id),
            message.receivedAt >= now() - Agent.newMessageSeconds,
            let conversation = try? desk.mail?.store.conversation(message.conversation),
            message.order > conversation.readOrder
        else { return }
        toldOf = toldOf.suffix(63) + [message.id]
        if !conversation.isMuted, !conversation.isRequest { wakePages(.message, for: message.id, desk) }
    }

    private static let newMessageSeconds: Int64 = 60

    /// Says something to the desk's own relay, in this device's name.
    func say(_ payload: JSONValue, until end: Int64, _ desk: Desk) {
        guard let envelope = try? Envelope(signing: payload.utf8, by: desk.key, delegations: desk.delegations) else {
            return logger.error("a word to the relay could not be signed")
        }
        var item = RelayLink.Item(envelope: envelope, expiresAt: end)
        item.isMail = true
        links.link(owner: desk.identity, url: desk.relay).enqueue(item)
    }

    private static let pushSetting = "push"
}
