import DSIPIdentity
import DSIPSignaling
import Encoding

/// The endpoint that answers for its targets: presence from bindings, publications from their publishers (DSIP §9.3, §22).
///
/// It holds policy, records and subscriptions; it verifies nothing and signs nothing. A target that is closed to the
/// subscriber and a target that does not exist get one answer.
public struct SubscriptionAuthority: Sendable {
    /// Bounds; a subscription beyond them is refused like an unauthorized one.
    public struct Limits: Hashable, Sendable {
        public var subscriptions = 100_000
        public var subscriptionsPerDevice = 256
        public var publicationsPerPublisher = 256
        public var publications = 100_000
        public var statementsPerPublication = 64
        public init() {}
    }

    public let limits: Limits
    var policies: [String: SubscriptionPolicy] = [:]
    private var capabilities: [String: String] = [:]
    var records = PublicationStore()
    var subscriptions: [ULID: Subscription] = [:]
    private var byTarget: [String: Set<ULID>] = [:]
    private var byDevice: [DID: Set<ULID>] = [:]
    private var presence: [DID: Set<DID>] = [:]
    private var bindings: [DID: DID] = [:]
    private var deadlines = DeadlineQueue<Deadline>()

    private enum Deadline: Hashable, Sendable {
        case subscription(ULID)
        case publication(String)
    }

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// Unix seconds at which `advance(to:)` has something to do.
    public var nextDeadline: Int64? { deadlines.next }

    /// Whether there is no room for another subscription.
    public var isFull: Bool { subscriptions.count >= limits.subscriptions }

    /// Those who hold one.
    public var subscribers: [DID] { Array(byDevice.keys) }

    /// Whether a device of theirs is bound.
    public func isPresent(_ identity: DID) -> Bool { presence[identity] != nil }

    public func isBound(_ device: DID) -> Bool { bindings[device] != nil }

    public mutating func handle(
        _ event: SubscriptionAuthorityEvent,
        at now: Int64
    ) -> [SubscriptionAuthorityAction] {
        var out: [SubscriptionAuthorityAction] = []
        do throws(BroadcastDrop) {
            try apply(event, at: now, into: &out)
        } catch {
            out.append(.drop(error))
        }
        return out
    }

    /// Expires subscriptions and records, by deadline.
    public mutating func advance(to now: Int64) -> [SubscriptionAuthorityAction] {
        var out: [SubscriptionAuthorityAction] = []
        while let due = deadlines.pop(at: now) {
            switch due {
            case .subscription(let id): terminate(id, .sessionExpired, into: &out)
            case .publication(let stream): expire(stream, into: &out)
            }
        }
        return out
    }

    private mutating func apply(
        _ event: SubscriptionAuthorityEvent,
        at now: Int64,
        into out: inout [SubscriptionAuthorityAction]
    ) throws(BroadcastDrop) {
        switch event {
        case .setPolicy(let target, let policy):
            policies[target] = policy
            for id in ids(target) {
                guard let held = subscriptions[id], !mayHold(held.request) else { continue }
                terminate(id, .policyTerminated, into: &out)
            }
        case .issueCapability(let token, let target):
            capabilities[token] = target
        case .forget(let target):
            for id in ids(target) { terminate(id, .sessionExpired, into: &out) }
            policies[target] = nil
            capabilities = capabilities.filter { $0.value != target }
            records.forget(target)
            deadlines.cancel(.publication(target))
        case .gone(let device):
            for id in byDevice[device] ?? [] { remove(id) }
        case .bound(let device, let identity):
            if let previous = bindings[device], previous != identity { unbind(device, into: &out) }
            bindings[device] = identity
            let wasOffline = presence[identity] == nil
            presence[identity, default: []].insert(device)
            if wasOffline { publishChange(identity.string, event: "presence", into: &out) }
        case .unbound(let device):
            unbind(device, into: &out)
        case .receivedSubscribe(let request):
            try subscribe(request, at: now, into: &out)
        case .receivedPublish(let record):
            try records.publish(record, limits: limits)
            if record.state != "ended" {
                deadlines.set(.publication(record.stream), to: record.expiresAt)
            } else {
                deadlines.cancel(.publication(record.stream))
            }
            announce(record.stream, into: &out)
        case .receivedUnpublish(let withdrawal):
            try records.withdraw(withdrawal)
            deadlines.cancel(.publication(withdrawal.stream))
            announce(withdrawal.stream, into: &out)
        case .receivedProvenance(let statement):
            try records.attach(statement, limits: limits)
            out.append(.provenance(stream: statement.stream, processor: statement.processor))
            publishChange(statement.stream, event: "publication", into: &out)
        }
    }

    private mutating func unbind(_ device: DID, into out: inout [SubscriptionAuthorityAction]) {
        guard let identity = bindings.removeValue(forKey: device) else { return }
        presence[identity]?.remove(device)
        guard presence[identity]?.isEmpty == true else { return }
        presence[identity] = nil
        publishChange(identity.string, event: "presence", into: &out)
    }

    // MARK: Subscriptions

    private mutating func subscribe(
        _ request: SubscribeRequest,
        at now: Int64,
        into out: inout [SubscriptionAuthorityAction]
    ) throws(BroadcastDrop) {
        guard request.expiresIn <= Subscription.cap(request.events) else {
            out.append(.error(to: request.device, inReplyTo: request.id, reason: .policySubscriptionLifetime))
            return
        }
        let previous = (byDevice[request.device] ?? []).first { id in
            subscriptions[id].map { $0.request.target == request.target && $0.events == Set(request.events) } ?? false
        }
        guard mayHold(request), subscriptions[request.id] == nil,
            previous != nil || request.expiresIn == 0 || hasRoom(for: request.device)
        else {
            // DSIP §9.3, anti-enumeration.
            out.append(.reject(to: request.device, subscription: request.id, reason: .policyBlocked))
            return
        }
        guard request.expiresIn > 0 else {
            guard let previous else { throw .unknownSubscription }
            remove(previous)
            out.append(.subscription(previous, .terminated))
            return
        }
        if let previous {
            remove(previous)
            out.append(.subscription(previous, .replaced))
        }
        insert(Subscription(request: request, expiresAt: now + request.expiresIn))
        for event in request.events { notify(request.id, event: event, into: &out) }
    }

    private func mayHold(_ request: SubscribeRequest) -> Bool {
        if let token = request.capability, capabilities[token] == request.target { return true }
        switch policies[request.target] {
        case .everyone: return true
        case .only(let allowed): return allowed.contains(request.identity)
        case .listed(let audience): return audience.contains(request.identity)
        // As long as where there is a list (DSIP §9.3, anti-enumeration).
        case nil: return Self.nobody.contains(request.identity)
        }
    }

    private static let nobody = ListedAudience(salt: [UInt8](repeating: 0, count: ListedAudience.saltSize), tags: [])

    private func hasRoom(for device: DID) -> Bool {
        subscriptions.count < limits.subscriptions && (byDevice[device]?.count ?? 0) < limits.subscriptionsPerDevice
    }

    private mutating func insert(_ subscription: Subscription) {
        let request = subscription.request
        subscriptions[request.id] = subscription
        byTarget[request.target, default: []].insert(request.id)
        byDevice[request.device, default: []].insert(request.id)
        deadlines.set(.subscription(request.id), to: subscription.expiresAt)
    }

    private mutating func remove(_ id: ULID) {
        guard let request = subscriptions.removeValue(forKey: id)?.request else { return }
        byTarget[request.target]?.remove(id)
        if byTarget[request.target]?.isEmpty == true { byTarget[request.target] = nil }
        byDevice[request.device]?.remove(id)
        if byDevice[request.device]?.isEmpty == true { byDevice[request.device] = nil }
        deadlines.cancel(.subscription(id))
    }

    private mutating func terminate(_ id: ULID, _ reason: Reason, into out: inout [SubscriptionAuthorityAction]) {
        guard let event = subscriptions[id]?.request.events.first else { return }
        notify(id, event: event, ending: reason, into: &out)
        remove(id)
    }

    // MARK: Notifications

    /// In id order, the order in which several subscriptions are reached.
    private func ids(_ target: String) -> [ULID] { (byTarget[target] ?? []).sorted() }

    private mutating func expire(_ stream: String, into out: inout [SubscriptionAuthorityAction]) {
        guard records.expire(stream) else { return }
        announce(stream, into: &out)
    }

    private mutating func announce(_ stream: String, into out: inout [SubscriptionAuthorityAction]) {
        guard let record = records[stream] else { return }
        out.append(.publication(stream: stream, state: record.state))
        publishChange(stream, event: "publication", into: &out)
    }

    private mutating func publishChange(
        _ target: String,
        event: String,
        into out: inout [SubscriptionAuthorityAction]
    ) {
        for id in ids(target) where subscriptions[id]?.events.contains(event) == true {
            notify(id, event: event, into: &out)
        }
    }

    private mutating func notify(
        _ id: ULID,
        event: String,
        ending reason: Reason? = nil,
        into out: inout [SubscriptionAuthorityAction]
    ) {
        guard var subscription = subscriptions[id] else { return }
        subscription.seq += 1
        subscriptions[id] = subscription
        let request = subscription.request
        var notification = SubscriptionNotice(
            to: request.device,
            subscription: id,
            seq: subscription.seq,
            isTerminal: reason != nil,
            reason: reason,
            event: event,
            state: "none",
            publication: nil,
            provenance: []
        )
        if event == "presence" {
            let online = DID(request.target).map { presence[$0] != nil } ?? false
            notification.state = online ? "available" : "offline"
        } else if let record = records[request.target] {
            notification.state = record.state
            notification.publication = record.publication.id
            notification.provenance = record.processors
        }
        out.append(.notify(notification))
    }
}

/// A subscription at its authority: soft state, gone unless renewed.
struct Subscription: Hashable, Sendable {
    let request: SubscribeRequest
    /// Unix seconds.
    let expiresAt: Int64
    var seq: Int64 = 0

    init(request: SubscribeRequest, expiresAt: Int64) {
        self.request = request
        self.expiresAt = expiresAt
    }

    var events: Set<String> { Set(request.events) }

    /// Seconds; the tightest of the event classes named (DSIP §9.3).
    static func cap(_ events: [String]) -> Int64 { events.contains("presence") ? 3_600 : 86_400 }
}
