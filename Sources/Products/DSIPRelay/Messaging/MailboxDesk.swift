import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Synchronization

/// The shell of the mailboxes and hubs of this relay: what reaches them queues here, one thread lets ``MailboxHost`` judge it, and what
/// that answers goes out once it is on disk. M§9.3
///
/// Whatever has gathered while one commit ran goes together into the next, so the fsync is paid once a batch. The queue is bounded: beyond
/// it a deposit is refused as a full disk would refuse it, which its sender knows to wait out. Nothing is signed here: answers to a connection
/// are signed on its event loop, in their order.
final class MailboxDesk: Sendable {
    /// Seconds after which somebody may try again who was refused for want of room.
    static let retryAfter = 30

    enum Input: Sendable {
        case received(Verified<MailboxMessage>, SignalingConnection)
        case closed(SignalingConnection)
        case answered(ULID, by: DID, ServiceAnswer)
        case resolved(DID)
        case fetched(BlobReference, BlobResponse)
        case read(BlobReference, [UInt8]?)
        case stored(BlobClaim)
        case tick
    }

    /// A blob that is on disk, for its owner. `done` is told whether the claim is, too.
    struct BlobClaim: Sendable {
        var sha256: String
        var size: Int64
        var owner: DID
        var done: @Sendable (Bool) -> Void
    }

    struct Parts: Sendable {
        var store: any MailboxStore
        var limits: MailboxHost.Limits
        var scope: ServiceScope
        var voice: RelayVoice
        var documents: RelayDocuments
        var blobs: BlobStore
        var replicator: BlobReplicator
        var metrics: RelayMetrics
        var logger: Logger
    }

    private struct State {
        /// Unix seconds at which the host wants to be woken.
        var deadline: Int64?
        var resolving: Set<DID> = []
        /// Connections that the host has been told of.
        var known: Set<SignalingConnection> = []
    }

    private static let maximumResolving = 256

    let parts: Parts
    let office: Mutex<MailboxOffice>
    let uploads = NIOLockedValueBox(UploadLedger())
    private let links: NIOLockedValueBox<ServiceLinks?>
    private let queue = BatchQueue<Input>(.init(waiting: 8192, bytes: 64 << 20))
    private let state = NIOLockedValueBox(State())
    private let observers: NIOLockedValueBox<Observers>

    /// Who else hears of what the mailboxes find.
    struct Observers: Sendable {
        /// The owner revoked a delegation.
        var revoked: @Sendable (StoredRevocation) -> Void = { _ in }
        /// Something came for a device that is away.
        var away: @Sendable (_ device: DID, _ envelope: ULID) -> Void = { _, _ in }
    }

    init(_ parts: Parts) {
        self.parts = parts
        self.office = Mutex(MailboxOffice())
        self.links = NIOLockedValueBox(nil)
        self.observers = NIOLockedValueBox(Observers())
    }

    /// Opens the mailboxes; until then everything is refused.
    ///
    /// - Parameter service: as others reach it, which is known once the relay listens.
    func open(_ service: MailboxHost.Service, links: ServiceLinks, _ observers: Observers) throws(RelayError) {
        self.links.withLockedValue { $0 = links }
        self.observers.withLockedValue { $0 = observers }
        let (parts, now) = (parts, parts.voice.clock())
        do throws(StoreFailure) {
            try office.withLock { office throws(StoreFailure) in
                let (documents, clock) = (parts.documents, parts.voice.clock)
                office.host = try MailboxHost(
                    service,
                    store: parts.store,
                    limits: parts.limits,
                    documents: { documents.document(of: $0, at: clock()) },
                    at: now
                )
            }
        } catch {
            throw RelayError(.storage, "the mailboxes cannot be opened: \(error)")
        }
        // What waited for the last run to go on.
        submit(.tick)
    }

    // MARK: Inputs

    /// A message of the profile, from a connection whose `hello` was verified.
    func received(_ message: Verified<MailboxMessage>, on connection: SignalingConnection) {
        parts.metrics.mailboxMessages.add(message.body.kind.rawValue)
        // A device speaks for itself on its own connection; only deposits are handed on by others. M§5.2
        if message.body.kind.isOfOwner, message.body.from != connection.device?.device {
            return refuse(.policyBlocked, message, connection)
        }
        state.withLockedValue { _ = $0.known.insert(connection) }
        guard submit(.received(message, connection)) else {
            return refuse(.mailboxQuotaExceeded, message, connection, retryAfter: 1)
        }
    }

    func refuse(
        _ reason: Reason,
        _ message: Verified<MailboxMessage>,
        _ connection: SignalingConnection,
        retryAfter: Int? = nil
    ) {
        parts.metrics.refused.add(reason.token)
        let bytes = parts.voice.error(
            reason,
            to: message.body.from,
            inReplyTo: message.body.id,
            retryAfter: retryAfter
        )
        if let bytes { connection.send(bytes) }
    }

    func closed(_ connection: SignalingConnection) {
        if state.withLockedValue({ $0.known.remove(connection) }) != nil { submit(.closed(connection)) }
    }

    func answered(_ id: ULID, _ service: DID, _ answer: ServiceAnswer) { submit(.answered(id, by: service, answer)) }

    /// Once a second.
    func tick() {
        links.withLockedValue { $0 }?.tick()
        let now = parts.voice.clock()
        if state.withLockedValue({ $0.deadline.map { $0 <= now } ?? false }) { submit(.tick) }
    }

    /// - Returns: false when too much waits.
    @discardableResult
    func submit(_ input: Input) -> Bool {
        let isTaken = queue.submit(input, size: input.size) { [self] in work($0) }
        if !isTaken, case .stored(let claim) = input { claim.done(false) }
        return isTaken
    }

    /// Ends after what waits; nothing is taken any more.
    func stop() async {
        links.withLockedValue { $0 }?.close()
        await queue.stop()
        office.withLock { $0.host = nil }
        await parts.replicator.stop()
    }

    // MARK: The thread

    /// The thread is the only one that speaks to the host but for questions about blobs.
    private func work(_ batch: [Input]) {
        let (now, scope) = (parts.voice.clock(), parts.scope)
        parts.metrics.mailboxWaiting.set(queue.count)
        parts.metrics.mailboxBatch.observe(Double(batch.count))
        let (outcome, deadline) = office.withLock { office -> (MailboxOffice.Outcome, Int64?) in
            for input in batch { office.take(input, scope: scope, at: now) }
            return (office.finish(batch, at: now), office.host?.deadline)
        }
        state.withLockedValue { $0.deadline = deadline }
        for delivery in outcome.deliveries { deliver(delivery) }
        for action in outcome.actions { perform(action) }
        for (claim, isKept) in outcome.claims { claim.done(isKept) }
    }

    /// Signs and sends on the connection's own loop, all of a batch in one turn.
    private func deliver(_ delivery: MailboxOffice.Delivery) {
        let (key, metrics) = (parts.voice.key, parts.metrics)
        let connection = delivery.connection
        connection.eventLoop.execute {
            for word in delivery.words {
                switch word {
                case .message(let message):
                    if case .error(let error) = message, case .error(let report) = error.body {
                        metrics.refused.add(report.reason.token)
                    }
                    // A peer that reads too slowly loses its connection here, and what is kept for it stays kept: it syncs when it is
                    // back. M§5.4
                    if let envelope = try? message.signed(by: key) { connection.send(envelope.bytes) }
                case .envelope(let envelope): connection.send(envelope.bytes)
                case .close: connection.close(.policyViolation)
                }
            }
        }
    }

    private func perform(_ action: HostAction) {
        switch action {
        case .send, .relay, .close: break
        case .deposit(let message, let service, let isAnswered):
            links.withLockedValue { $0 }?.deposit(message, at: service, isAnswered: isAnswered)
        case .forward(let envelope, let id, let hub, let isAnswered):
            links.withLockedValue { $0 }?.forward(envelope, id: id, to: hub, isAnswered: isAnswered)
        case .resolve(let did): resolve(did)
        case .revoked(let revocation, let envelope):
            observers.withLockedValue(\.revoked)(
                StoredRevocation(
                    subject: revocation.subject,
                    device: revocation.device,
                    revokedAt: revocation.revokedAt,
                    envelope: envelope.bytes
                )
            )
        case .wake(let device, _, let envelope): observers.withLockedValue(\.away)(device, envelope)
        case .fetch(let blob): fetch(blob)
        case .read(let blob): read(blob)
        case .deleteBlob(let sha256): dropUnowned(sha256)
        case .handoverExpired(_, _, let missing):
            parts.metrics.handoversExpired.add()
            parts.logger.notice("A hub never handed over a group's last items", metadata: ["missing": "\(missing)"])
        }
    }

    private func resolve(_ did: DID) {
        let isNew: Bool? = state.withLockedValue { state in
            if state.resolving.contains(did) { return false }
            guard state.resolving.count < MailboxDesk.maximumResolving else { return nil }
            state.resolving.insert(did)
            return true
        }
        // Too many at once: as if it could not be found; whoever needs it asks again.
        guard let isNew else { return answerResolved(did) }
        guard isNew else { return }
        Task { [self] in
            await parts.documents.resolve(did)
            state.withLockedValue { _ = $0.resolving.remove(did) }
            answerResolved(did)
        }
    }

    private func answerResolved(_ did: DID) { submit(.resolved(did)) }
}

extension MailboxDesk.Input {
    /// Bytes of what a peer sent; 0 for what is bounded already, which always finds room.
    fileprivate var size: Int {
        if case .received(let message, _) = self { message.envelope.bytes.count } else { 0 }
    }
}

extension MailboxMessage.Kind {
    /// Whether it is a device's word to its own mailbox, which nobody hands on.
    var isOfOwner: Bool {
        switch self {
        case .sync, .keyPackages, .mailboxConfig: true
        case .deposit, .accepted, .items, .keyPackageFetch, .blobPut: false
        }
    }
}
