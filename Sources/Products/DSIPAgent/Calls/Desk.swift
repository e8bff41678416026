import DSIPDiscovery
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding

/// One of our identities at work: its engine, its calls, and the key this device signs with for it.
///
/// Confined to the agent actor.
final class Desk {
    let identity: DID
    /// This device's key; the identity's own for a throw-away identity, which has no devices.
    let key: SigningKey
    /// For the protected header of all we send (DSIP §7.4); empty when the identity signs itself.
    var delegations: [Envelope]
    /// When its renewal was last tried. Unix seconds.
    var renewalTriedAt: Int64 = 0
    var relay: String
    var name: String
    var engine: EndpointEngine
    var calls: [ULID: LiveCall] = [:]
    /// Where the identity is, as it is published.
    var hint: HintPublisher
    /// When that is said again, Unix seconds; nil while it is not.
    var announceAt: Int64?
    /// That it is there at this moment, as it is published.
    var presence: PresencePublisher
    /// When that is said again, Unix seconds; nil while it is not.
    var presenceAt: Int64?
    /// Who may see that the identity is there, as its relay was told on this connection.
    var toldAudience: SubscriptionPolicy?
    /// Nil where this device may not carry messages.
    var mail: MessagingDesk?

    init(
        identity: DID,
        key: SigningKey,
        delegations: [Envelope],
        relay: String,
        name: String,
        contacts: ContactBook,
        lastPresence: Int64
    ) {
        self.identity = identity
        self.key = key
        self.delegations = delegations
        self.relay = relay
        self.name = name
        self.hint = HintPublisher(subject: identity)
        self.presence = PresencePublisher(subject: identity, lastSeq: lastPresence)
        self.engine = EndpointEngine(device: key.did, identity: identity, contacts: contacts)
    }

    /// Whether a new incoming call finds the person in another one.
    func isBusy(except id: ULID) -> Bool { calls.values.contains { $0.id != id && $0.call.state != .ended } }
}
