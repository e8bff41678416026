import DSIPBroadcast
import DSIPIdentity
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import NIOHTTP1

/// What a publisher says of its streams, and a processor of somebody else's (DSIP §22).
///
/// The protocol answers a refused record with an `error` and an accepted one with nothing, so each is followed: it is published when its
/// authority hands it back.
extension Agent {
    /// What is to be published; the publisher is the current identity.
    public struct Draft: Sendable {
        /// A stream id, or what follows the publisher's DID and a colon in one.
        public var stream: String
        public var title: String?
        public var state: Publish.State
        public var integrity: String?
        public var variants: [Publish.Variant]
        public var policy: [String: String]
        /// Seconds.
        public var lifetime: Int64
        /// Published anew before it ends, as long as this agent runs and until it is taken back.
        public var isRenewed: Bool

        public init(
            stream: String,
            title: String? = nil,
            state: Publish.State = .live,
            integrity: String? = nil,
            variants: [Publish.Variant],
            policy: [String: String] = [:],
            lifetime: Int64 = 21_600,
            isRenewed: Bool = false
        ) {
            self.stream = stream
            self.title = title
            self.state = state
            self.integrity = integrity
            self.variants = variants
            self.policy = policy
            self.lifetime = lifetime
            self.isRenewed = isRenewed
        }
    }

    public func publish(_ draft: Draft) async throws(AgentError) -> Broadcast {
        guard let desk = desks[current] else { throw AgentError(.notFound, "There is no identity yet.") }
        let stream = try ownStream(draft.stream, of: desk)
        guard !draft.variants.isEmpty else { throw AgentError(.badRequest, "A stream needs at least one variant.") }
        guard (60...BroadcastVerifier.maximumAge).contains(draft.lifetime) else {
            throw AgentError(.badRequest, "A record lives from 60 seconds to a day.")
        }
        let body = Publish(
            publisher: desk.identity,
            streamID: stream,
            title: draft.title,
            state: draft.state,
            integrity: draft.integrity,
            variants: draft.variants,
            policy: draft.policy.isEmpty ? nil : MediaPolicy(draft.policy)
        )
        let id = try await say(body, for: draft.lifetime, desk, at: desk.relay)
        let found = try await watch(stream)
        guard let watch = watched[stream] else { return found }
        try await confirm(id) { watch.record?.id == id }
        watch.renewal = draft.isRenewed ? draft.lifetime : nil
        keepWatched()
        reschedule()
        return broadcast(watch)
    }

    /// Says the record once more, as it is, before it ends. Processors say anew what they do with it (DSIP §22.1).
    func renew(_ watch: WatchedStream) {
        guard let lifetime = watch.renewal, let record = watch.record, let desk = desks[watch.publisher] else { return }
        watch.renewedAt = now()
        Task {
            // Where the relay is away, or refuses, it is tried again while the record lasts.
            guard let id = try? await say(record.publish, for: lifetime, desk, at: watch.path) else { return }
            try? await confirm(id) { watch.record?.id == id }
            reschedule()
        }
    }

    /// Takes back what this identity published.
    public func unpublish(_ stream: String) async throws(AgentError) -> Broadcast {
        guard let desk = desks[current] else { throw AgentError(.notFound, "There is no identity yet.") }
        let stream = try ownStream(stream, of: desk)
        let found = try await watch(stream)
        guard let watch = watched[stream], let record = watch.record, found.state != .unavailable else {
            throw AgentError(.notFound, "Nothing is published as \(stream).")
        }
        watch.renewal = nil
        keepWatched()
        if watch.state == .withdrawn { return found }
        let body = Unpublish(publisher: desk.identity, streamID: stream, publication: record.id)
        let id = try await say(body, for: ProtocolLimits.replayWindow - 10, desk, at: desk.relay)
        try await confirm(id) { watch.state == .withdrawn }
        return broadcast(watch)
    }

    /// Says what this identity did with a stream: transcoded, relayed or repackaged it (DSIP §22.3).
    public func attest(
        _ stream: String,
        operation: String,
        input: String,
        output: String,
        uri: String?
    ) async throws(AgentError) -> Broadcast {
        let found = try await watch(stream)
        guard let watch = watched[found.stream], let record = watch.record, let desk = desks[current] else {
            throw AgentError(.notFound, "There is no record of \(stream) to say something about.")
        }
        guard record.variants.contains(where: { $0.id == input }) else {
            let variants = record.variants.map(\.id).joined(separator: ", ")
            throw AgentError(.badRequest, "The publisher advertises no variant “\(input)”, but \(variants).")
        }
        let body = Provenance(
            originalStream: record.streamID,
            originalPublication: record.id,
            processor: desk.identity,
            operation: operation,
            inputVariant: input,
            outputVariant: output,
            outputURI: uri
        )
        let lifetime = max(1, record.expiresAt - now())
        let id = try await say(body, for: lifetime, desk, at: watch.path)
        try await confirm(id) { watch.statements.contains { $0.id == id } }
        return broadcast(watch)
    }

    /// How somebody who can play these takes a stream (DSIP §22.1).
    public func choose(_ stream: String, _ capabilities: ReceiverCapabilities) throws(AgentError) -> JSONValue {
        guard let watch = watched[stream] else { throw AgentError(.notFound, "You do not follow \(stream).") }
        guard let reception = broadcast(watch).reception(capabilities) else {
            throw AgentError(.notFound, "There is no record of \(stream) yet.")
        }
        return [
            "variant": .optional(reception.variant?.id), "integrity": .string(reception.integrity.rawValue),
            "delivered_by": .array(reception.deliveredBy.map { .string($0.string) }),
            "transcoded_by": .array(reception.transcodedBy.map { .string($0.string) }),
        ]
    }

    static let maximumStationSDP = 64 << 10

    /// Exchanges a page's offer to receive for the station's answer, at the address that the publisher signed.
    ///
    /// The text names `transport:webrtc` and no exchange for it; here a variant at an `https` address is spoken to by WHEP
    /// (draft-ietf-wish-whep): the offer in a POST, the answer in what comes back. The page itself talks to nobody but its agent.
    func receive(_ stream: String, variant id: String, offer: String) async throws(AgentError) -> String {
        guard let record = watched[stream]?.record else { throw AgentError(.notFound, "You do not follow \(stream).") }
        guard let variant = record.variants.first(where: { $0.id == id }), variant.transport == "transport:webrtc"
        else {
            throw AgentError(.notFound, "The publisher advertises no WebRTC variant “\(id)”.")
        }
        guard variant.uri.hasPrefix("https://") else {
            throw AgentError(.notAllowed, "Only https addresses are spoken to, and this is \(variant.uri).")
        }
        let type = "application/sdp"
        let response: GuardedHTTPClient.Response
        do {
            response = try await stationClient.send(
                .init(
                    .POST,
                    variant.uri,
                    headers: [("Content-Type", type), ("Accept", type)],
                    body: Array(offer.utf8)
                ),
                limit: Agent.maximumStationSDP
            )
        } catch {
            throw AgentError(.unreachable, "The station did not answer: \(error.reason).")
        }
        let found = response.header("Content-Type")?.lowercased() ?? ""
        guard response.status == 201 || response.status == 200, found.hasPrefix(type) else {
            throw AgentError(.unreachable, "The station refused (HTTP \(response.status)).")
        }
        return String(decoding: response.body, as: UTF8.self)
    }

    // MARK: Saying

    private func ownStream(_ text: String, of desk: Desk) throws(AgentError) -> String {
        let stream = text.hasPrefix("did:") ? text : "\(desk.identity.string):\(text)"
        guard !text.isEmpty, StreamID.isStream(stream, of: desk.identity) else {
            throw AgentError(
                .badRequest,
                "A stream of yours is \(desk.identity.string), or that with a colon and a name behind it."
            )
        }
        return stream
    }

    private func say(_ body: some MessageBody, for lifetime: Int64, _ desk: Desk, at path: String)
        async throws(AgentError) -> ULID
    {
        guard await links.link(owner: desk.identity, url: path).ready(within: .seconds(8)) != nil else {
            throw AgentError(.unreachable, "The relay \(path) cannot be reached. Try again when it can.")
        }
        let stamp = Message.Stamp(
            id: makeID(),
            from: desk.identity,
            issuedAt: now(),
            lifetime: lifetime,
            version: VersionBlock(profiles: [.verifiedBroadcast])
        )
        let message = Message(stamp, body)
        // Read back as everybody will: a malformed member is ours to complain about.
        guard let payload = try? JSONDocument(scanning: message.payload()) else {
            throw AgentError(.badRequest, "This cannot be published.")
        }
        do throws(Rejection) {
            _ = try Message(decoding: payload)
        } catch {
            throw AgentError(.badRequest, "This cannot be published: \(error.detail).")
        }
        broadcastRefusals[stamp.id] = .some(nil)
        transmit(message, desk, path: path)
        return stamp.id
    }

    /// Waits until the authority has done as it was told.
    private func confirm(_ id: ULID, _ isDone: () -> Bool) async throws(AgentError) {
        defer { broadcastRefusals[id] = nil }
        await settle { isDone() || broadcastRefusals[id] != .some(nil) }
        if isDone() { return }
        switch broadcastRefusals[id] ?? nil {
        case nil:
            throw AgentError(.unreachable, "The relay has not confirmed it. It may have; list what you follow to see.")
        case .policyRateLimited?:
            throw AgentError(.rateLimited, "The relay takes no more of these. Withdraw something first, or wait.")
        case .transportEnvelopeTooLarge?:
            throw AgentError(.tooLarge, "The relay takes no record this large. Name fewer variants.")
        case let reason?:
            throw AgentError(.notAllowed, "The relay refused it (\(reason.token)).")
        }
    }

    /// - Returns: whether it was about something that waits here for an answer.
    func receiveBroadcastRefusal(_ report: ErrorReport) -> Bool {
        guard let id = report.inReplyTo, broadcastRefusals[id] != nil else { return false }
        broadcastRefusals[id] = .some(report.reason)
        return true
    }
}
