import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport

extension Switchboard {
    /// Messages of profiles go to whoever serves the profile; what a device may send of them is bounded by itself. M§14.3
    func received(_ connection: SignalingConnection, profile message: Verified<any Sendable>) {
        if let config = message.narrowed(as: PushConfig.self) { wakes?.configured(config, on: connection) }
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
}

extension SignalingConnection.Device {
    /// Whether it may be another relay: a did:web that speaks for itself, or through an instance of its own. People's devices speak for
    /// identities that are more than a host name.
    var isService: Bool { identity.method == "web" && !identity.string.dropFirst("did:web:".count).contains(":") }
}
