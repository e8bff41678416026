import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers
import NIOCore
import Synchronization

/// The shell of the relay's prekeys and of the sealed messages kept for devices: what reaches it queues here, one thread lets ``RatchetHost``
/// judge it, and what that answers goes out once it is on disk.
///
/// As with mailboxes, whatever has gathered while one commit ran goes together into the next, the queue is bounded, and answers are signed
/// on their connection's event loop.
final class RatchetDesk: Sendable {
    enum Input: Sendable {
        case bound(DID, SignalingConnection, reads: Set<WireForm>, opensStored: Bool)
        case closed(SignalingConnection)
        case message(Verified<RatchetMessage>, SignalingConnection)
        case statement(Verified<RatchetStatement>, SignalingConnection)
        case stored(Verified<StoredMessage>, SignalingConnection)
        case upload(Verified<PreKeys>, SignalingConnection)
        case fetch(Verified<PreKeyFetch>, SignalingConnection)
        case acknowledged(ULID, SignalingConnection)
        case revoked(StoredRevocation)
        case tick
    }

    struct Parts: Sendable {
        var store: any MailboxStore
        var limits: RatchetHost.Limits
        var scope: ServiceScope
        var voice: RelayVoice
        var metrics: RelayMetrics
        /// Something came for a device that is away.
        var away: @Sendable (_ device: DID, _ envelope: ULID) -> Void
    }

    /// The host and the connections it speaks on; used by the one thread.
    private struct Office {
        var host: RatchetHost
        var ids: [SignalingConnection: ConnectionID] = [:]
        var connections: [ConnectionID: SignalingConnection] = [:]
        var nextID: UInt64 = 1

        /// Nil when the connection has ended already.
        mutating func id(of connection: SignalingConnection) -> ConnectionID? {
            if let id = ids[connection] { return id }
            guard connection.device != nil else { return nil }
            let id = ConnectionID(nextID)
            nextID += 1
            ids[connection] = id
            connections[id] = connection
            return id
        }
    }

    private let parts: Parts
    private let office: Mutex<Office>
    private let queue = BatchQueue<Input>(.init(waiting: 8192, bytes: 32 << 20))
    /// Unix seconds at which the host wants to be woken.
    private let deadline = Atomic<Int64>(0)

    init(_ parts: Parts) {
        self.parts = parts
        office = Mutex(
            Office(
                host: RatchetHost(
                    parts.voice.key.did,
                    store: parts.store,
                    limits: parts.limits,
                    at: parts.voice.clock()
                )
            )
        )
    }

    // MARK: Inputs

    func received(_ message: Verified<RatchetMessage>, on connection: SignalingConnection) {
        submit(.message(message, connection), about: message.body.head, on: connection)
    }

    func received(_ statement: Verified<RatchetStatement>, on connection: SignalingConnection) {
        submit(.statement(statement, connection), about: statement.body.head, on: connection)
    }

    func received(_ stored: Verified<StoredMessage>, on connection: SignalingConnection) {
        submit(.stored(stored, connection), about: stored.body.head, on: connection)
    }

    func received(_ upload: Verified<PreKeys>, on connection: SignalingConnection) {
        submit(.upload(upload, connection), about: upload.body.head, on: connection)
    }

    func received(_ fetch: Verified<PreKeyFetch>, on connection: SignalingConnection) {
        submit(.fetch(fetch, connection), about: fetch.body.head, on: connection)
    }

    func refuse(
        _ reason: Reason,
        _ head: ExtensionHead,
        _ connection: SignalingConnection,
        retryAfter: Int? = nil
    ) {
        parts.metrics.refused.add(reason.token)
        let bytes = parts.voice.error(
            reason,
            to: head.from,
            inReplyTo: head.id,
            retryAfter: retryAfter,
            in: connection.form
        )
        if let bytes { connection.send(bytes) }
    }

    private func submit(_ input: Input, about head: ExtensionHead, on connection: SignalingConnection) {
        if !submit(input) { refuse(.mailboxQuotaExceeded, head, connection, retryAfter: 1) }
    }

    /// - Returns: false when too much waits.
    @discardableResult
    func submit(_ input: Input) -> Bool {
        queue.submit(input, size: input.size) { [self] in work($0) }
    }

    /// Once a second.
    func tick() {
        let now = parts.voice.clock()
        if deadline.load(ordering: .relaxed) <= now { submit(.tick) }
    }

    /// Ends after what waits; nothing is taken any more.
    func stop() async {
        await queue.stop()
        (parts.store as? SQLiteMailboxStore)?.close()
    }

    // MARK: The thread

    private func work(_ batch: [Input]) {
        let now = parts.voice.clock()
        let (said, next) = office.withLock { office -> ([(RatchetHost.Action, SignalingConnection?)], Int64) in
            for input in batch { take(input, &office, at: now) }
            let actions = office.host.commit(at: now)
            return (actions.map { ($0, $0.connection.flatMap { office.connections[$0] }) }, office.host.deadline)
        }
        deadline.store(next, ordering: .relaxed)
        // What is for one connection leaves in its order.
        for (action, connection) in said { perform(action, connection) }
    }

    private func take(_ input: Input, _ office: inout Office, at now: Int64) {
        switch input {
        case .bound(let device, let connection, let reads, let opensStored):
            guard let id = office.id(of: connection) else { return }
            office.host.bound(device, reading: reads, opensStored: opensStored, on: id, at: now)
        case .closed(let connection):
            guard let id = office.ids.removeValue(forKey: connection) else { return }
            office.connections[id] = nil
            office.host.unbound(id)
        case .message(let message, let connection):
            if let id = office.id(of: connection) { office.host.received(message, on: id, at: now) }
        case .statement(let statement, let connection):
            if let id = office.id(of: connection) { office.host.received(statement, on: id, at: now) }
        case .stored(let stored, let connection):
            if let id = office.id(of: connection) { office.host.received(stored, on: id, at: now) }
        case .upload(let upload, let connection):
            guard let id = office.id(of: connection) else { return }
            office.host.received(upload, isServed: parts.scope.serves(upload.principal), on: id, at: now)
        case .fetch(let fetch, let connection):
            if let id = office.id(of: connection) { office.host.received(fetch, on: id, at: now) }
        case .acknowledged(let id, let connection):
            if let line = office.id(of: connection) { office.host.acknowledged(id, on: line, at: now) }
        case .revoked(let record):
            office.host.revoked(record.device, of: record.subject, at: record.revokedAt)
        case .tick: office.host.advance(to: now)
        }
    }

    private func perform(_ action: RatchetHost.Action, _ connection: SignalingConnection?) {
        let (voice, metrics, form) = (parts.voice, parts.metrics, connection?.form ?? .jose)
        func say(_ bytes: @escaping @Sendable () -> [UInt8]?) {
            connection?.eventLoop.execute { if let bytes = bytes() { connection?.send(bytes) } }
        }
        switch action {
        case .accepted(let id, let device, _):
            metrics.ratchet.add("accepted")
            say { voice.accepted(Accepted(inReplyTo: id), to: device, in: form) }
        case .refused(let reason, let id, let device, let retryAfter, _):
            metrics.refused.add(reason.token)
            say { voice.error(reason, to: device, inReplyTo: id, retryAfter: retryAfter.map { Int($0) }, in: form) }
        case .preKeys(let answer, _):
            metrics.ratchet.add("prekeys")
            say { voice.sign(payload: answer.json, in: form) }
        case .deliver(let envelope, _):
            metrics.ratchet.add("delivered")
            // A peer that reads too slowly loses its connection here; what is kept for it stays kept.
            say { envelope }
        case .wake(let device, let envelope): parts.away(device, envelope)
        case .hangUp: connection?.close(.tryAgainLater)
        }
    }
}

extension RatchetDesk.Input {
    /// Bytes of what a peer sent; 0 for what is bounded already, which always finds room.
    fileprivate var size: Int {
        switch self {
        case .message(let message, _): message.envelope.bytes.count
        case .statement(let statement, _): statement.envelope.bytes.count
        case .stored(let stored, _): stored.envelope.bytes.count
        case .upload(let upload, _): upload.envelope.bytes.count
        case .fetch(let fetch, _): fetch.envelope.bytes.count
        case .revoked(let record): record.envelope.count
        case .acknowledged: 64
        case .bound, .closed, .tick: 0
        }
    }
}

extension RatchetHost.Action {
    fileprivate var connection: ConnectionID? {
        switch self {
        case .accepted(_, _, let id), .refused(_, _, _, _, let id), .preKeys(_, let id), .deliver(_, let id),
            .hangUp(let id):
            id
        case .wake: nil
        }
    }
}
