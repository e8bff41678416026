import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding

/// The host with the connections it speaks on; used by one thread at a time, under ``MailboxDesk``'s lock.
struct MailboxOffice {
    enum Word: Sendable {
        case message(ServiceMessage)
        case envelope(Envelope)
        case close
    }

    /// What goes out on one connection, in order.
    struct Delivery: Sendable {
        var connection: SignalingConnection
        var words: [Word]
    }

    struct Outcome: Sendable {
        var deliveries: [Delivery]
        /// Everything but what goes out on connections.
        var actions: [HostAction]
        var claims: [(MailboxDesk.BlobClaim, isKept: Bool)]
    }

    private struct Line {
        var connection: SignalingConnection
        /// Whether it is bound as a device of somebody served here.
        var isDevice = false
    }

    /// Nil before the relay listens, and after it has stopped.
    var host: MailboxHost?
    private var ids: [SignalingConnection: ConnectionID] = [:]
    private var lines: [ConnectionID: Line] = [:]
    private var nextID: UInt64 = 1

    mutating func take(_ input: MailboxDesk.Input, scope: ServiceScope, at now: Int64) {
        guard let host else { return }
        switch input {
        case .received(let message, let connection):
            // It may have ended while its message waited.
            guard let device = connection.device else { return }
            let id = line(connection, device, message, scope, at: now)
            host.received(message, on: id, at: now)
        case .closed(let connection):
            guard let id = ids.removeValue(forKey: connection) else { return }
            lines[id] = nil
            host.unbound(id)
        case .answered(let id, let service, let answer): host.answered(id, by: service, answer, at: now)
        case .resolved(let did): host.resolved(did, at: now)
        case .fetched(let blob, let response): host.fetched(blob, response, at: now)
        case .read(let blob, let bytes): host.read(blob, bytes, at: now)
        case .stored(let claim): host.storedBlob(claim.sha256, size: claim.size, by: claim.owner, at: now)
        case .tick: host.advance(to: now)
        }
    }

    /// Commits, and sorts what may go out.
    mutating func finish(_ batch: [MailboxDesk.Input], at now: Int64) -> Outcome {
        guard let host else { return Outcome(deliveries: [], actions: [], claims: batch.claims.map { ($0, false) }) }
        var outcome = Outcome(deliveries: [], actions: [], claims: [])
        var places: [ConnectionID: Int] = [:]
        func say(_ word: Word, on id: ConnectionID) {
            guard let line = lines[id] else { return }
            if let place = places[id] {
                outcome.deliveries[place].words.append(word)
            } else {
                places[id] = outcome.deliveries.count
                outcome.deliveries.append(Delivery(connection: line.connection, words: [word]))
            }
        }
        for action in host.commit(at: now) {
            switch action {
            case .send(let message, let id): say(.message(message), on: id)
            case .relay(let envelope, let id): say(.envelope(envelope), on: id)
            case .close(let id): say(.close, on: id)
            default: outcome.actions.append(action)
            }
        }
        // A commit that failed has taken the claim back.
        outcome.claims = batch.claims.map { ($0, (try? host.isBlobStored($0.sha256)) ?? false) }
        return outcome
    }

    /// The number of the connection, which is bound as what its first messages show it to be: a device at the first word that only an owner
    /// has for a mailbox. So whoever merely deposits here gets no mailbox, though a `hello` says the same of both.
    private mutating func line(
        _ connection: SignalingConnection,
        _ device: SignalingConnection.Device,
        _ message: Verified<MailboxMessage>,
        _ scope: ServiceScope,
        at now: Int64
    ) -> ConnectionID {
        let id: ConnectionID
        if let known = ids[connection] {
            id = known
        } else {
            id = ConnectionID(nextID)
            nextID += 1
            ids[connection] = id
            lines[id] = Line(connection: connection)
        }
        if lines[id]?.isDevice == false, message.isOfOwner(of: device), message.mayMessage,
            message.unresolved == nil,
            scope.serves(message.principal)
        {
            lines[id]?.isDevice = true
            host?.bound(
                device: device.device,
                of: message.principal,
                delegation: message.delegation,
                on: id,
                at: now
            )
        }
        return id
    }
}

extension Verified<MailboxMessage> {
    /// Whether only an owner's device has this to say to a mailbox.
    fileprivate func isOfOwner(of device: SignalingConnection.Device) -> Bool {
        guard body.from == device.device else { return false }
        if body.kind.isOfOwner { return true }
        guard case .deposit(let deposit) = body.body else { return false }
        // What goes on to a hub, and history.
        return deposit.recipient == nil && deposit.depositClass == .archive
    }
}

extension [MailboxDesk.Input] {
    fileprivate var claims: [MailboxDesk.BlobClaim] {
        compactMap { if case .stored(let claim) = $0 { claim } else { nil } }
    }
}
