import DSIPBroadcast
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOConcurrencyHelpers
import NIOCore

/// The relay as the authority of the publications it holds (DSIP §9.3, §22): it keeps records and statements as their signers made them,
/// and tells subscribers what is current, enclosing both, so that nobody need take its word.
///
/// Every stream it holds is open to everybody. Everything else that can be subscribed to is closed, and what is closed and what is not
/// there get one answer. Subscriptions are soft state and gone with the process; records outlive it.
final class BroadcastDesk: Sendable {
    struct Parts: Sendable {
        var voice: RelayVoice
        var writer: StoreWriter
        var metrics: RelayMetrics
        var scope: ServiceScope
        var limits = Limits.authority
    }

    /// With these a `notify` always fits its frame: the record and every statement, base64url around all of it.
    enum Limits {
        /// Bytes of an envelope.
        static let record = 8 << 10
        static let statement = 4 << 10
        /// Of one publication.
        static let statements = 8
        /// Seconds for which a stream that is over is remembered, so that its subscribers hear how it ended.
        static let memory: Int64 = 3_600
        /// Streams published from one address: identities cost nothing to make.
        static let streamsPerAddress = 64

        static var authority: SubscriptionAuthority.Limits {
            var limits = SubscriptionAuthority.Limits()
            limits.subscriptions = 10_000
            limits.subscriptionsPerDevice = 32
            limits.publications = 1_000
            limits.publicationsPerPublisher = 16
            limits.statementsPerPublication = statements
            return limits
        }
    }

    /// What is kept of one stream beside the authority's own record.
    private struct Stream {
        var record: Envelope
        /// Where it came from; nil once it has outlived the process that was told.
        var address: AddressKey?
        var statements: [(about: Processing, envelope: Envelope)] = []
        /// Unix seconds at which it is forgotten.
        var until: Int64
    }

    /// One processor may say several things of a publication, each once.
    private struct Processing: Hashable {
        var processor: DID
        var operation: String
        var input: String
        var output: String

        init(_ statement: Provenance) {
            (processor, operation) = (statement.processor, statement.operation)
            (input, output) = (statement.inputVariant, statement.outputVariant)
        }
    }

    private struct State {
        var authority: SubscriptionAuthority
        var streams: [String: Stream] = [:]
        var nextForgetting: Int64?
    }

    private let parts: Parts
    private let state: NIOLockedValueBox<State>

    init(_ parts: Parts, restoring stored: [StoredBroadcast]) {
        self.parts = parts
        state = NIOLockedValueBox(State(authority: SubscriptionAuthority(limits: parts.limits)))
        let now = parts.voice.clock()
        state.withLockedValue { state in
            // What was said of a publication comes after it, whatever its signer's clock says.
            let messages = stored.compactMap(\.decoded).sorted { ($0.rank, $0.message.id) < ($1.rank, $1.message.id) }
            for (message, _, envelope, identity) in messages {
                _ = apply(message, by: identity, envelope, at: now, &state)
            }
            _ = state.authority.advance(to: now)
        }
        parts.metrics.publications.set(state.withLockedValue { $0.streams.count })
    }

    /// `publish`, `unpublish`, `provenance`, or a `subscribe` to this relay, from a bound device.
    ///
    /// - Parameter isHere: whether a device is connected; when there is no room, the subscriptions of those that are not make it.
    func received(
        _ message: Verified<Message>,
        at address: AddressKey,
        isHere: (DID) -> Bool
    ) -> [AuthorityWord] {
        let (body, now) = (message.body, parts.voice.clock())
        if case .subscribe = body.body {
            guard let event = SubscriptionAuthorityEvent(message) else { return [] }
            let full = state.withLockedValue { $0.authority.isFull ? $0.authority.subscribers : [] }
            let away = full.filter { !isHere($0) }
            return state.withLockedValue { state in
                for device in away { _ = state.authority.handle(.gone(device: device), at: now) }
                return words(state.authority.handle(event, at: now), state)
            }
        }
        // Kept as DSIP-JOSE, which everybody reads who will be handed it.
        guard message.envelope.form == .jose else { return [refusal(body, .transportRoutingRefused)] }
        let size = message.envelope.bytes.count
        let limit = if case .provenance = body.body { Limits.statement } else { Limits.record }
        guard size <= limit else { return [refusal(body, .transportEnvelopeTooLarge)] }
        if case .publish(let publish) = body.body {
            guard parts.scope.serves(message.principal), publish.streamID.utf8.count <= StreamID.maximumBytes else {
                return [refusal(body, .transportRoutingRefused)]
            }
        }
        let actions = state.withLockedValue { state -> [AuthorityWord]? in
            if case .publish(let publish) = body.body, state.streams[publish.streamID] == nil,
                state.streams.values.count(where: { $0.address == address }) >= Limits.streamsPerAddress
            {
                return nil
            }
            guard let actions = apply(body, by: message.principal, message.envelope, at: now, &state) else {
                return nil
            }
            if case .drop(let drop)? = actions.last {
                // One answer to whoever may not and to whoever names what is not here.
                return [refusal(body, drop == .tooMany ? .policyRateLimited : .transportRoutingRefused)]
            }
            if case .publish(let publish) = body.body { state.streams[publish.streamID]?.address = address }
            guard let stream = body.stream, let kept = state.streams[stream] else { return [] }
            parts.writer.submit(
                .broadcast(
                    StoredBroadcast(
                        id: body.id,
                        stream: stream,
                        identity: message.principal,
                        replaces: body.type == .publish,
                        until: kept.until,
                        envelope: message.envelope.bytes
                    )
                )
            )
            return words(actions, state)
        }
        parts.metrics.publications.set(state.withLockedValue { $0.streams.count })
        return actions ?? [refusal(body, .policyRateLimited)]
    }

    /// Once a second: what has run out.
    func tick() -> [AuthorityWord] {
        let now = parts.voice.clock()
        return state.withLockedValue { state in
            guard min(state.authority.nextDeadline ?? .max, state.nextForgetting ?? .max) <= now else { return [] }
            var out = words(state.authority.advance(to: now), state)
            for (stream, kept) in state.streams where kept.until <= now {
                let actions = state.authority.handle(.forget(target: stream), at: now)
                out += words(actions, state)
                state.streams[stream] = nil
                parts.writer.submit(.dropBroadcast(stream))
            }
            state.nextForgetting = state.streams.values.map(\.until).min()
            parts.metrics.publications.set(state.streams.count)
            return out
        }
    }

    // MARK: State

    /// - Returns: nil when there is no room for another.
    private func apply(
        _ message: Message,
        by identity: DID,
        _ envelope: Envelope,
        at now: Int64,
        _ state: inout State
    ) -> [SubscriptionAuthorityAction]? {
        guard let event = SubscriptionAuthorityEvent(message, by: identity), let stream = message.stream else {
            return []
        }
        if case .provenance(let statement) = message.body, let kept = state.streams[stream],
            kept.statements.count >= Limits.statements,
            !kept.statements.contains(where: { $0.about == Processing(statement) })
        {
            return nil
        }
        var actions = state.authority.handle(event, at: now)
        if case .drop? = actions.last { return actions }
        switch message.body {
        case .publish:
            let end = min(message.expiresAt, message.issuedAt + BroadcastVerifier.maximumAge)
            state.streams[stream] = Stream(record: envelope, until: end + Limits.memory)
            state.nextForgetting = min(state.nextForgetting ?? .max, end + Limits.memory)
            actions = state.authority.handle(.setPolicy(target: stream, .everyone), at: now) + actions
        case .provenance(let statement):
            state.streams[stream]?.statements.removeAll { $0.about == Processing(statement) }
            state.streams[stream]?.statements.append((Processing(statement), envelope))
        default: break
        }
        return actions
    }

    private func refusal(_ message: Message, _ reason: Reason) -> AuthorityWord {
        AuthorityWord(.error(message.id, reason), to: message.from)
    }

    private func words(_ actions: [SubscriptionAuthorityAction], _ state: State) -> [AuthorityWord] {
        var enclosures: [ULID: [(name: String, value: JSONValue)]] = [:]
        return actions.compactMap { action in
            AuthorityWord(action) { id in
                let enclosed = enclosures[id] ?? enclosure(of: id, state)
                enclosures[id] = enclosed
                return enclosed
            }
        }
    }

    private func enclosure(of publication: ULID, _ state: State) -> [(name: String, value: JSONValue)] {
        guard
            let stream = state.authority.stream(of: publication).flatMap({ state.streams[$0] })
        else { return [] }
        return [
            ("record", stream.record.json),
            ("statements", .array(stream.statements.map(\.envelope.json))),
        ]
    }
}

extension StoredBroadcast {
    /// Nil for a row that cannot be read back.
    fileprivate var decoded: (message: Message, rank: Int, envelope: Envelope, identity: DID)? {
        guard let envelope = Envelope(envelope),
            let document = try? JSONDocument(scanning: envelope.decodedPayload()),
            let message = try? Message(decoding: document)
        else { return nil }
        let rank = message.type == .publish ? 0 : message.type == .provenance ? 1 : 2
        return (message, rank, envelope, identity)
    }
}

extension Message {
    /// The stream that the message is about; nil for types that are about none.
    fileprivate var stream: String? {
        switch body {
        case .publish(let publish): publish.streamID
        case .unpublish(let unpublish): unpublish.streamID
        case .provenance(let statement): statement.originalStream
        default: nil
        }
    }
}

extension Switchboard {
    /// Messages of broadcasts, which nobody is called by.
    func received(_ connection: SignalingConnection, broadcast message: Verified<Message>) {
        let outgoing = broadcasts.received(message, at: AddressKey(connection.remoteAddress)) { device in
            state.withLockedValue { $0.lines[device] != nil }
        }
        tell(outgoing, answering: connection)
    }
}
