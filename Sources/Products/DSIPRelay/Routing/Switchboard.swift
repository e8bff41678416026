import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers
import NIOPosix

/// The relay's routing shell: verified messages in, the router's actions carried out (DSIP §12.7, §13.2, §13.3).
///
/// One lock guards the router and the lines; under it nothing is verified, signed, read or written, only queued. What the relay
/// signs itself leaves after the lock is given up. An envelope that is held counts as accepted when the store has it: until then its
/// sender has been told nothing, and if the store cannot take it the sender is refused.
final class Switchboard: SignalingServerDelegate {
    struct State {
        var router: RelayRouter
        var lines: [DID: Line] = [:]
        var nextHandle: UInt64 = 1
        var heldBytes = 0
        /// Live attempts that the store has.
        var storedAttempts: Set<ULID> = []
        /// Whether the last write succeeded.
        var storeWorks = true
    }

    let state: NIOLockedValueBox<State>
    let voice: RelayVoice
    /// That of all connections.
    let replay: SharedReplayWindow
    let gate: Gatekeeper
    let documents: RelayDocuments
    let store: any RelayStore
    let writer: StoreWriter
    let readers: NIOThreadPool
    let metrics: RelayMetrics
    let scope: ServiceScope
    /// Nil when messaging is off.
    let desk: MailboxDesk?
    /// Nil when ratchet conversations are off.
    let ratchet: RatchetDesk?
    /// Nil when push is off.
    let wakes: WakeDesk?
    /// The publications that this relay is the authority of.
    let broadcasts: BroadcastDesk
    let presence: PresenceDesk
    let logger: Logger
    let clock: @Sendable () -> Int64

    init(_ parts: Parts, restoring stored: StoredState) {
        var router = RelayRouter(configuration: parts.routing)
        router.restore(held: stored.held.map { $0.held(RelayParcel(stored: $0)) }, known: stored.known)
        router.restore(attempts: stored.attempts.map(\.record), at: parts.voice.clock())
        var state = State(router: router)
        state.nextHandle = stored.nextHandle
        state.storedAttempts = Set(stored.attempts.map(\.session))
        state.heldBytes = stored.held.reduce(0) { $0 + $1.size }
        self.state = NIOLockedValueBox(state)
        self.voice = parts.voice
        self.replay = parts.replay
        self.gate = parts.gate
        self.documents = parts.documents
        self.store = parts.store
        self.writer = parts.writer
        self.readers = parts.readers
        self.metrics = parts.metrics
        self.scope = parts.routing.scope
        self.desk = parts.desk
        self.ratchet = parts.ratchet
        self.wakes = parts.wakes
        self.broadcasts = BroadcastDesk(
            .init(voice: parts.voice, writer: parts.writer, metrics: parts.metrics, scope: parts.routing.scope),
            restoring: stored.broadcasts
        )
        self.presence = PresenceDesk(parts.voice, parts.routing.scope)
        self.logger = parts.logger
        self.clock = parts.voice.clock
        for record in stored.revocations { documents.insert(record) }
        metrics.heldEnvelopes.set(stored.held.count)
        metrics.heldBytes.set(state.heldBytes)
    }

    struct Parts {
        var routing: RouterConfiguration
        var voice: RelayVoice
        var replay: SharedReplayWindow
        var gate: Gatekeeper
        var documents: RelayDocuments
        var store: any RelayStore
        var writer: StoreWriter
        var readers: NIOThreadPool
        var metrics: RelayMetrics
        var desk: MailboxDesk?
        var ratchet: RatchetDesk?
        var wakes: WakeDesk?
        var logger: Logger
    }

    var storeWorks: Bool { state.withLockedValue(\.storeWorks) }

    // MARK: Connections

    func admits(_ connection: SignalingConnection, bytes: Int) -> Bool {
        guard let device = connection.device else { return true }
        if gate.admitsFrame(from: device.device, isService: device.isService) { return true }
        metrics.limited.add("envelopes")
        return false
    }

    func bound(
        _ connection: SignalingConnection,
        _ hello: Verified<Message>,
        replacing previous: SignalingConnection.Device?
    ) {
        let device = hello.body.from
        guard scope.admitsHello(from: hello.identity) else {
            refuse(.transportHelloRejected, to: device, hello.body, over: connection)
            return connection.close(.policyViolation)
        }
        let now = clock()
        let (replaced, utterances, words) = state.withLockedValue {
            state -> (SignalingConnection?, [Utterance], [AuthorityWord]) in
            if let previous, previous.device != device { hangUp(previous.device, connection, at: now, &state) }
            var replaced: SignalingConnection?
            if let old = state.lines[device], old.connection !== connection {
                replaced = old.connection
                hangUp(device, old.connection, at: now, &state)
            }
            var line = Line(
                connection: connection,
                identity: hello.identity,
                delegatedAt: hello.delegation?.issuedAt,
                waiting: state.lines[device]?.waiting
            )
            line.knownUntil = remember(device, hello.identity, at: now, &state)
            state.lines[device] = line
            var actions: [RelayAction] = []
            state.router.bind(
                device,
                identity: hello.identity,
                reading: connection.reads,
                at: now,
                into: &actions
            )
            metrics.bound.set(state.lines.count)
            wakes?.bound(device)
            return (replaced, perform(actions, &state), presence.bound(device, hello.identity))
        }
        // A renewed hello of the same device goes on being pushed to; another's has yet to ask.
        if let previous, previous.device != device || previous.identity != hello.identity { desk?.closed(connection) }
        // One device, one line (DSIP §13.2): the new connection takes the place of the old.
        replaced?.close(.goingAway)
        say(utterances)
        tell(words)
        if previous?.device != device {
            let opensStored = hello.body.version.extensions.contains(StoredMessage.extensionID)
            ratchet?.submit(.bound(device, connection, reads: connection.reads, opensStored: opensStored))
        }
    }

    func closed(_ connection: SignalingConnection, _ device: SignalingConnection.Device?) {
        desk?.closed(connection)
        ratchet?.submit(.closed(connection))
        guard let device else { return }
        let now = clock()
        state.withLockedValue { state in
            hangUp(device.device, connection, at: now, &state)
            metrics.bound.set(state.lines.count)
        }
    }

    func rejected(_ connection: SignalingConnection, _ rejection: Rejection) {
        metrics.rejected.add(rejection.code.rawValue)
    }

    // MARK: Messages

    func received(_ connection: SignalingConnection, _ message: Verified<Message>) {
        let type = message.body.type
        metrics.received.add(type.rawValue)
        if let limit = limit(message, from: connection) {
            metrics.limited.add(limit.name)
            return refuse(
                limit.reason,
                to: message.body.from,
                message.body,
                over: connection,
                retryAfter: limit.seconds
            )
        }
        switch message.body.body {
        case .delegationRevocation(let statement): return revoke(statement, message)
        case .keyRotation(let statement):
            // What is cached under the old key is not to be relied on; the document decides (DSIP §7.5).
            return documents.forget(statement.subject)
        case .subscribe(let subscribe) where message.body.to == voice.key.did:
            return received(connection, subscribe: message, subscribe)
        case .publish, .unpublish, .provenance: return received(connection, broadcast: message)
        case .error where message.body.to == voice.key.did: return
        default: break
        }
        let now = clock()
        let signal = Signal(message)
        let parcel = RelayParcel(message.envelope.bytes)
        let utterances = state.withLockedValue { state -> [Utterance] in
            var actions: [RelayAction] = []
            state.router.receive(signal, parcel, at: now, into: &actions)
            let bound = state.lines.count
            let utterances = perform(actions, &state)
            // A line that turned out dead has been taken down. What reached nobody is routed once more, to be held; an invite is
            // offered again by its attempt when the device is back.
            guard state.lines.count < bound, !parcel.isDelivered, parcel.row == nil, signal.type != .invite else {
                return utterances
            }
            actions.removeAll()
            state.router.receive(signal, parcel, at: now, into: &actions)
            return utterances + perform(actions, &state)
        }
        if !utterances.isEmpty { say(utterances) }
        // Whoever is connected rings already; the others ring, too, if they come while it rings.
        if signal.type == .invite, let recipient = message.body.to {
            wakes?.stored(message.body.id, for: recipient, .call)
        }
    }

    private struct Limit {
        var name: String
        var reason: Reason
        var seconds: Int
    }

    private func limit(_ message: Verified<Message>, from connection: SignalingConnection) -> Limit? {
        if let seconds = gate.admitsEnvelope(from: message.body.from) {
            return Limit(name: "envelopes", reason: .transportRateLimited, seconds: seconds)
        }
        return switch message.body.body {
        case .invite:
            gate.admitsInvite(from: message.principal).map {
                Limit(name: "invites", reason: .transportRateLimited, seconds: $0)
            }
        case .introduction:
            message.body.to.flatMap {
                gate.admitsIntroduction(from: message.principal, at: AddressKey(connection.remoteAddress), to: $0)
            }.map { Limit(name: "introductions", reason: .policyRateLimited, seconds: $0) }
        default: nil
        }
    }

    private func refuse(
        _ reason: Reason,
        to device: DID,
        _ message: Message,
        over connection: SignalingConnection,
        retryAfter: Int? = nil
    ) {
        metrics.refused.add(reason.token)
        guard message.type != .error,
            let bytes = voice.error(
                reason,
                to: device,
                session: message.session,
                inReplyTo: message.id,
                retryAfter: retryAfter,
                in: connection.form
            )
        else { return }
        connection.send(bytes)
    }

    // MARK: Revocation

    /// DSIP §7.4: whoever hands it in, a valid revocation only removes authority; the binding ends at once.
    private func revoke(_ statement: DelegationRevocationStatement, _ message: Verified<Message>) {
        // Signed by the subject's own key, never by a device.
        guard message.signer.did == statement.subject else { return }
        let record = StoredRevocation(
            subject: statement.subject,
            device: statement.device,
            revokedAt: statement.revokedAt,
            envelope: message.envelope.bytes
        )
        revoke(record)
    }

    func revoke(_ record: StoredRevocation) {
        documents.insert(record)
        let now = clock()
        let (ended, isKnown) = state.withLockedValue { state -> (SignalingConnection?, Bool) in
            let line = state.lines[record.device]
            // One that is here under a later delegation goes on being woken.
            if line == nil || (line?.delegatedAt ?? .max) <= record.revokedAt { wakes?.revoked(record.device) }
            let isKnown = state.router.devices(of: record.subject).isEmpty == false || state.lines[record.device] != nil
            guard let line = state.lines[record.device], line.identity == record.subject,
                (line.delegatedAt ?? .max) <= record.revokedAt
            else { return (nil, isKnown) }
            hangUp(record.device, line.connection, at: now, &state)
            metrics.bound.set(state.lines.count)
            return (line.connection, isKnown)
        }
        ratchet?.submit(.revoked(record))
        // Records of strangers are believed while this process lives; only those of identities here are worth a row.
        if isKnown { writer.submit(.revoke(record)) }
        guard let ended else { return }
        if let bytes = voice.error(
            .transportHelloRejected,
            to: record.device,
            inReplyTo: nil,
            in: ended.form
        ) {
            ended.send(bytes)
        }
        ended.close(.policyViolation)
    }

    /// A document hosted here may publish revocations, too.
    func revoke(publishedBy record: NameRecord) {
        guard let text = record.document, let document = try? DIDDocument(parsing: text, expecting: record.did) else {
            return
        }
        for envelope in document.delegationRevocations {
            guard let revocation = try? DelegationRevocation.verify(envelope, document: document) else { continue }
            revoke(
                StoredRevocation(
                    subject: revocation.subject,
                    device: revocation.device,
                    revokedAt: revocation.revokedAt,
                    envelope: envelope.bytes
                )
            )
        }
    }

    // MARK: Time

    /// Once a second.
    func tick() {
        let now = clock()
        let utterances = state.withLockedValue { state -> [Utterance] in
            guard let due = state.router.nextDeadline, due <= now else { return [] }
            var actions: [RelayAction] = []
            state.router.advance(to: now, into: &actions)
            return perform(actions, &state)
        }
        say(utterances)
        writeAttempts()
        tell(broadcasts.tick() + presence.tick())
    }

    /// Now and then: those who stay bound stay known, and who is long gone is forgotten.
    func renewKnown() {
        let now = clock()
        state.withLockedValue { state in
            for (device, line) in state.lines {
                let until = remember(device, line.identity, at: now, &state)
                state.lines[device]?.knownUntil = until
            }
        }
        writer.submit(.forget(before: now))
    }

    /// Writes that `device` and its identity are known, unless what is written lasts long enough.
    private func remember(_ device: DID, _ identity: DID, at now: Int64, _ state: inout State) -> Int64 {
        let retention = state.router.configuration.offlineRetentionSeconds
        let until = now + retention
        if let line = state.lines[device], line.identity == identity, line.knownUntil > until - retention / 8 {
            return line.knownUntil
        }
        guard retention > 0, scope.serves(identity) else { return until }
        writer.submit(.known(KnownRecipient(recipient: device, identity: identity, until: until)))
        if identity != device {
            writer.submit(.known(KnownRecipient(recipient: identity, identity: identity, until: until)))
        }
        return until
    }

    /// The line of `device` is gone, if it is still that of `connection`. What it was still owed from the store goes back.
    func hangUp(_ device: DID, _ connection: SignalingConnection, at now: Int64, _ state: inout State) {
        guard let line = state.lines[device], line.connection === connection else { return }
        state.lines[device] = nil
        _ = remember(device, line.identity, at: now, &state)
        state.router.unbind(device, at: now)
        wakes?.unbound(device)
        presence.unbound(device)
        giveBack(line.waiting ?? [], &state)
    }
}
