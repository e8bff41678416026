import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers

/// Connections to the services that our mailboxes and hubs deposit at, one for each address and DID. M§4.3, M§5.2
///
/// A link is dialled when there is something to send, keeps the order in which it was given, fails what it holds as soon as it has no
/// connection (the host behind it retries with its own backoff), and ends when it has been idle. Who answers must be the DID that was
/// asked for. The number of links, what waits on each, and how long an answer may take are bounded.
final class ServiceLinks: Sendable {
    struct Environment: Sendable {
        var key: SigningKey
        var roots: TrustRoots
        /// Addresses that strangers may make us dial.
        var allows: @Sendable ([UInt8]) -> Bool
        var source: any VerificationSource
        var replay: SharedReplayWindow
        /// Links at once.
        var maximum: Int
        var metrics: RelayMetrics
        var clock: @Sendable () -> Int64
        var logger: Logger
    }

    /// What came of one deposit.
    typealias Answered = @Sendable (_ id: ULID, _ by: DID, _ answer: ServiceAnswer) -> Void

    /// After which a link on which nothing moves is closed.
    static let idleLimit = Duration.seconds(120)

    private struct Place: Hashable {
        var uri: String
        var did: DID
    }

    private struct State {
        var links: [Place: ServiceLink] = [:]
        var isClosed = false
    }

    private let environment: Environment
    private let answered: Answered
    private let state = NIOLockedValueBox(State())

    init(_ environment: Environment, answered: @escaping Answered) {
        self.environment = environment
        self.answered = answered
    }

    /// Signs and sends; what comes of it is told by `answered`, unless nobody acknowledges it.
    func deposit(_ message: MailboxMessage, at service: HubReference, isAnswered: Bool) {
        let key = environment.key
        send(
            ServiceLink.Item(id: message.id, size: 0, isAnswered: isAnswered) { try? message.signed(by: key) },
            to: service
        )
    }

    /// Sends what a device signed, unchanged.
    func forward(_ envelope: Envelope, id: ULID, to service: HubReference, isAnswered: Bool) {
        send(ServiceLink.Item(id: id, size: envelope.bytes.count, isAnswered: isAnswered) { envelope }, to: service)
    }

    private func send(_ item: ServiceLink.Item, to service: HubReference) {
        guard let link = link(to: service), link.send(item) else {
            environment.metrics.deposits.add("unsent")
            if item.isAnswered { answered(item.id, service.did, .unreachable) }
            return
        }
        environment.metrics.deposits.add("sent")
    }

    private func link(to service: HubReference) -> ServiceLink? {
        guard let uri = service.uri, let address = try? RelayAddress(uri) else { return nil }
        let place = Place(uri: uri, did: service.did)
        let (link, idle) = state.withLockedValue { state -> (ServiceLink?, ServiceLink?) in
            if state.isClosed { return (nil, nil) }
            if let link = state.links[place] { return (link, nil) }
            var idle: ServiceLink?
            if state.links.count >= environment.maximum {
                // The one that has been of no use for longest makes room, if there is such a one.
                let unused = state.links.filter { $0.value.isIdle }.min { $0.value.lastUse < $1.value.lastUse }
                guard let unused else { return (nil, nil) }
                idle = state.links.removeValue(forKey: unused.key)
            }
            let link = ServiceLink(address, to: service.did, environment, answered: answered)
            state.links[place] = link
            return (link, idle)
        }
        idle?.close()
        environment.metrics.links.set(state.withLockedValue(\.links.count))
        return link
    }

    /// Once a second: what nobody answered is given up, and idle links end.
    func tick() {
        let links = state.withLockedValue(\.links)
        let now = ContinuousClock.now
        for link in links.values { link.giveUpUnanswered(at: now) }
        let idle = state.withLockedValue { state -> [ServiceLink] in
            let places = state.links.filter { $0.value.isIdle && now - $0.value.lastUse > ServiceLinks.idleLimit }.keys
            return places.compactMap { state.links.removeValue(forKey: $0) }
        }
        for link in idle { link.close() }
        if !idle.isEmpty { environment.metrics.links.set(state.withLockedValue(\.links.count)) }
    }

    func close() {
        let links = state.withLockedValue { state in
            state.isClosed = true
            defer { state.links = [:] }
            return state.links.values
        }
        for link in links { link.close() }
    }
}
