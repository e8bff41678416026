import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MLS
import Support
import Synchronization

/// Mailbox services with devices at them, all in one thread: every message is really signed, verified and carried as its bytes.
///
/// The service may be restarted after each commit, before anything that it says is let out twice or lost: what it says is carried out
/// by the world, what it knew besides its store is gone.
final class HostWorld {
    static let start: Int64 = 1_760_000_000
    var now = HostWorld.start
    var random = SeededRandom(seed: 7)
    /// Every service begins anew from its store after each commit.
    var restarts = false
    /// Services whose deposits at others are lost: they hear that the other was not reached.
    var cut: Set<DID> = []
    let documents = Documents()
    private(set) var nodes: [DID: Node] = [:]
    private var devices: [ConnectionID: Device] = [:]
    private var links: [ConnectionID: (from: Node, to: Node)] = [:]
    private var lastConnection: UInt64 = 0

    /// What can be resolved; known to a host once it has asked.
    final class Documents: Sendable {
        private let state = Mutex<(all: [DID: DIDDocument], known: Set<DID>)>(([:], []))

        func put(_ document: DIDDocument) { state.withLock { $0.all[document.id] = document } }
        func resolve(_ did: DID) { state.withLock { _ = $0.known.insert(did) } }

        func lookup(_ did: DID) -> DocumentLookup {
            state.withLock { state in
                guard state.known.contains(did) else { return .unknown }
                return state.all[did].map(DocumentLookup.found) ?? .unresolvable
            }
        }
    }

    final class Node {
        let key: SigningKey
        let service: MailboxHost.Service
        var limits: MailboxHost.Limits
        var store = MemoryMailboxStore()
        var host: MailboxHost
        var replay = ReplayWindow()
        var verifier = EnvelopeVerifier(
            policy: VerificationPolicy(
                supported: SupportedVersions(profiles: [.interactiveMedia, MessagingProfile.id]),
                isRouter: true
            )
        )
        var woken: [(device: DID, envelope: ULID)] = []
        var fetches: [BlobReference] = []
        var closed: [ConnectionID] = []
        var revoked: [DID] = []

        init(_ key: SigningKey, _ service: MailboxHost.Service, _ limits: MailboxHost.Limits, _ documents: Documents)
            throws
        {
            self.key = key
            self.service = service
            self.limits = limits
            host = try MailboxHost(
                service,
                store: store,
                limits: limits,
                documents: documents.lookup,
                random: SeededRandom(seed: 11),
                at: HostWorld.start
            )
        }
    }

    enum Answer: Equatable {
        case accepted(Accepted)
        case refused(Reason, retryAfter: Int64?)
        case packages([EncodedBytes])
        case items(Int, next: Cursor?)

        var accepted: Accepted? { if case .accepted(let accepted) = self { accepted } else { nil } }
        var reason: Reason? { if case .refused(let reason, _) = self { reason } else { nil } }
    }

    // MARK: Making

    func key() -> SigningKey {
        let seed = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // Any 32 bytes are a key.
        return try! SigningKey(selfIssued: Curve25519.Signing.PrivateKey(rawRepresentation: seed))
    }

    func node(_ name: String, limits: MailboxHost.Limits = MailboxHost.Limits()) throws -> Node {
        let key = key()
        let service = MailboxHost.Service(
            did: key.did,
            uri: "wss://\(name).example/dsip",
            blobEndpoint: "https://\(name).example/blobs"
        )
        let node = try Node(key, service, limits, documents)
        nodes[key.did] = node
        return node
    }

    func connection() -> ConnectionID {
        lastConnection += 1
        return ConnectionID(lastConnection)
    }

    /// A device of `identity`, bound at `node`.
    func device(of identity: SigningKey, at node: Node) throws -> Device {
        let device = try Device(self, key: key(), identity: identity, node: node)
        bind(device)
        return device
    }

    func bind(_ device: Device) {
        device.connection = connection()
        devices[device.connection] = device
        device.isBound = true
        device.node.host.bound(
            device: device.did,
            of: device.identity.did,
            delegation: Delegation.decode(device.delegation),
            on: device.connection,
            at: now
        )
        settle(device.node)
    }

    /// Reaches a service that is not its own: a hello, and no mailbox.
    func attach(_ device: Device) {
        device.connection = connection()
        devices[device.connection] = device
    }

    func detach(_ device: Device) { devices[device.connection] = nil }

    func unbind(_ device: Device) {
        devices[device.connection] = nil
        device.isBound = false
        device.node.host.unbound(device.connection)
    }

    func restart(_ node: Node) {
        node.store = node.store.reopened()
        // A store that opened once opens again.
        node.host = try! MailboxHost(
            node.service,
            store: node.store,
            limits: node.limits,
            documents: documents.lookup,
            random: SeededRandom(seed: random.next()),
            at: now
        )
        for (connection, device) in devices.sorted(by: { $0.key < $1.key })
        where device.node === node && device.isBound {
            node.host.bound(
                device: device.did,
                of: device.identity.did,
                delegation: Delegation.decode(device.delegation),
                on: connection,
                at: now
            )
        }
        node.host.advance(to: now)
    }

    // MARK: Carrying

    /// Sends a device's message to its service.
    @discardableResult
    func send(
        _ body: MailboxMessage.Body,
        from device: Device,
        to service: DID? = nil,
        lifetime: Int64 = 30
    ) throws -> Answer? {
        let message = MailboxMessage(
            id: ULID(milliseconds: UInt64(now) * 1000, using: &random),
            from: device.did,
            to: service ?? device.node.service.did,
            issuedAt: now,
            expiresAt: now + lifetime,
            body: body
        )
        let envelope = try Envelope(signing: message.json.utf8, by: device.key, delegations: [device.delegation])
        receive(envelope, at: device.node, on: device.connection)
        settle(device.node)
        return device.answers[message.id]
    }

    private func receive(_ envelope: Envelope, at node: Node, on connection: ConnectionID) {
        let verdict = node.verifier.verify(
            envelope.bytes,
            at: now,
            replay: &node.replay,
            documents: documents.lookup,
            reading: { (view) throws(MessagingError) in try MailboxMessage(view) }
        )
        switch verdict {
        case .accepted(let verified): node.host.received(verified, on: connection, at: now)
        case .refused(let fault, let id, let from, _):
            node.host.refused(fault, id: id, from: from, on: connection, at: now)
        case .needs(let did):
            documents.resolve(did)
            receive(envelope, at: node, on: connection)
        case .rejected(let rejection): preconditionFailure("\(rejection.code) \(rejection.detail)")
        }
    }

    /// Commits, and carries out what the host says until it says no more.
    ///
    /// One that restarts does so once for what came to it: what it sends again after that is heard.
    func settle(_ node: Node) {
        var restarts = restarts
        while true {
            let actions = node.host.commit(at: now)
            if restarts { restart(node) }
            restarts = false
            guard !actions.isEmpty else { return }
            for action in actions { carry(out: action, of: node) }
        }
    }

    private func carry(out action: HostAction, of node: Node) {
        switch action {
        case .send(let message, let connection):
            // It fits a frame, and is what it was when it was read again.
            let envelope = try! message.signed(by: node.key)
            precondition(envelope.bytes.count <= ProtocolLimits.frame, "a frame of \(envelope.bytes.count) bytes")
            if let device = devices[connection] {
                device.received(message)
            } else if let link = links[connection] {
                hand(message, envelope, to: link.from, from: node)
            }
        case .relay(let envelope, let connection): devices[connection]?.received(relayed: envelope)
        case .deposit(let message, let service, let isAnswered):
            let envelope = try! ServiceMessage.profile(message).signed(by: node.key)
            deposit(envelope, id: message.id, at: service, from: node, isAnswered: isAnswered)
        case .forward(let envelope, let id, let service, let isAnswered):
            deposit(envelope, id: id, at: service, from: node, isAnswered: isAnswered)
        case .resolve(let did):
            documents.resolve(did)
            node.host.resolved(did, at: now)
        case .close(let connection): node.closed.append(connection)
        case .revoked(let revocation, _): node.revoked.append(revocation.device)
        case .wake(let device, _, let envelope): node.woken.append((device, envelope))
        case .fetch(let blob): node.fetches.append(blob)
        case .read(let blob): node.host.read(blob, nil, at: now)
        case .deleteBlob, .handoverExpired: break
        }
    }

    private func deposit(_ envelope: Envelope, id: ULID, at service: HubReference, from node: Node, isAnswered: Bool) {
        precondition(envelope.bytes.count <= ProtocolLimits.frame, "a frame of \(envelope.bytes.count) bytes")
        guard !cut.contains(node.service.did), let target = nodes[service.did], service.uri == target.service.uri else {
            return node.host.answered(id, by: service.did, .unreachable, at: now)
        }
        let known = links.first { $0.value.from === node && $0.value.to === target }?.key
        let link = known ?? connection()
        links[link] = (node, target)
        receive(envelope, at: target, on: link)
        settle(target)
    }

    private func hand(_ message: ServiceMessage, _ envelope: Envelope, to origin: Node, from node: Node) {
        switch message {
        case .profile(let message):
            guard case .accepted(let accepted) = message.body else { return }
            origin.host.answered(accepted.inReplyTo, by: node.service.did, .accepted(accepted, envelope), at: now)
        case .error(let message):
            guard case .error(let report) = message.body, let id = report.inReplyTo else { return }
            let answer = ServiceAnswer.refused(report.reason, retryAfter: report.retryAfter, envelope)
            origin.host.answered(id, by: node.service.did, answer, at: now)
        }
    }

    // MARK: Time

    /// Lets time pass, and every service do what is due meanwhile.
    func pass(_ seconds: Int64) {
        let end = now + seconds
        while true {
            let due = nodes.values.compactMap { $0.host.deadline }.min() ?? .max
            guard due <= end else { break }
            now = max(now, due)
            for node in nodes.values.sorted(by: { $0.service.did < $1.service.did }) {
                node.host.advance(to: now)
                settle(node)
            }
            // What is due at once again waits for the next second.
            if nodes.values.contains(where: { ($0.host.deadline ?? .max) <= now }) { now += 1 }
        }
        now = end
    }
}
