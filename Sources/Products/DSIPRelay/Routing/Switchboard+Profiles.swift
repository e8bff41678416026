import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport

extension Switchboard {
    /// Messages of profiles go to whoever serves the profile; what a device may send of them is bounded by itself. M§14.3
    func received(_ connection: SignalingConnection, profile message: Verified<any Sendable>) {
        if let config = message.narrowed(as: PushConfig.self) { wakes?.configured(config, on: connection) }
        if let request = message.narrowed(as: WakeRequest.self) {
            guard gate.admitsMessage(from: message.principal, isService: false) == nil else { return }
            wakes?.requested(request, on: connection)
            return
        }
        if let config = message.narrowed(as: PresenceConfig.self) {
            guard gate.admitsMessage(from: message.principal, isService: false) == nil else { return }
            return tell(presence.configured(config, on: connection), answering: connection)
        }
        if let ratchet, received(connection, message, ratchet) { return }
        guard let desk, let message = message.narrowed(as: MailboxMessage.self) else { return }
        let isService = connection.device?.isService ?? false
        if let seconds = gate.admitsMessage(from: message.principal, isService: isService) {
            metrics.limited.add("messages")
            return desk.refuse(.policyRateLimited, message, connection, retryAfter: seconds)
        }
        if case .keyPackageFetch = message.body.body, let seconds = gate.admitsFetch(from: message.principal) {
            metrics.limited.add("key-packages")
            return desk.refuse(.policyRateLimited, message, connection, retryAfter: seconds)
        }
        desk.received(message, on: connection)
    }

    /// - Returns: whether it is of ratchet conversations.
    private func received(
        _ connection: SignalingConnection,
        _ message: Verified<any Sendable>,
        _ ratchet: RatchetDesk
    ) -> Bool {
        func limited(_ head: ExtensionHead) -> Bool {
            guard let seconds = gate.admitsMessage(from: message.principal, isService: false) else { return false }
            metrics.limited.add("messages")
            ratchet.refuse(.policyRateLimited, head, connection, retryAfter: seconds)
            return true
        }
        if let message = message.narrowed(as: RatchetMessage.self) {
            if !limited(message.body.head) { ratchet.received(message, on: connection) }
        } else if let statement = message.narrowed(as: RatchetStatement.self) {
            if !limited(statement.body.head) { ratchet.received(statement, on: connection) }
        } else if let stored = message.narrowed(as: StoredMessage.self) {
            // Keys that sign envelopes cost nothing, so it counts by where they come from.
            if let seconds = gate.admitsStored(at: AddressKey(connection.remoteAddress)) {
                metrics.limited.add("stored")
                ratchet.refuse(.policyRateLimited, stored.body.head, connection, retryAfter: seconds)
            } else {
                ratchet.received(stored, on: connection)
            }
        } else if let upload = message.narrowed(as: PreKeys.self) {
            if !limited(upload.body.head) { ratchet.received(upload, on: connection) }
        } else if let fetch = message.narrowed(as: PreKeyFetch.self) {
            if !limited(fetch.body.head) { ratchet.received(fetch, on: connection) }
        } else if case .accepted(let accepted)? = message.narrowed(as: MailboxMessage.self)?.body.body,
            connection.device?.device == message.device
        {
            // A mailbox has no ear for it, and what is nobody's envelope here says nothing.
            ratchet.submit(.acknowledged(accepted.inReplyTo, connection))
        } else {
            return false
        }
        return true
    }
}

extension SignalingConnection.Device {
    /// Whether it may be another relay: a did:web that speaks for itself, or through an instance of its own. People's devices speak for
    /// identities that are more than a host name.
    var isService: Bool { identity.method == "web" && !identity.string.dropFirst("did:web:".count).contains(":") }
}
