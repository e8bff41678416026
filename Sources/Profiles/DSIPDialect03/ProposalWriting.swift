import DSIPIdentity
import DSIPSignaling
import Encoding

/// A message of the core as one of the proposal: the other direction of the dialect, pure.
///
/// What the proposal has a word for goes under that word; the rest of a core message goes into `core`, which others pass over.
struct ProposalWriting {
    private let source: Message
    /// Members of the core's JSON that have not found a place yet.
    private var rest: JSONObject

    private static let common = ["dsip", "type", "id", "from", "to", "session", "issued_at", "expires_at"]

    init(_ message: Message) {
        source = message
        rest = JSONObject(members: (message.json.object ?? [:]).members.filter { !Self.common.contains($0.name) })
    }

    /// The message without its signature.
    ///
    /// - Throws: `.unsupported` for candidates that are not one alone.
    mutating func object() throws(IdentityError) -> JSONObject {
        var own: JSONObject = [:]
        let type = try write(&own)
        var object: JSONObject = [
            "type": .string(type), "id": .string(ProposalID.text(source.id)), "ts": .int(source.issuedAt),
            "ttl": .int(max(1, source.expiresAt - source.issuedAt)), "from": .string(source.from.string),
        ]
        if let to = source.to { object["to"] = .string(to.string) }
        if let session = source.session { object["correlates"] = .string(ProposalID.text(session)) }
        if let capabilities { object["cap"] = capabilities }
        for member in own.members { object[member.name] = member.value }
        if !rest.isEmpty { object["core"] = .object(rest) }
        return object
    }

    /// - Returns: the proposal's type.
    private mutating func write(_ own: inout JSONObject) throws(IdentityError) -> String {
        switch source.body {
        case .invite(let invite):
            if let (media, net) = ProposalMedia.write(invite.transports) { take(media, net, into: &own) }
            own["identity"] = identity(invite.identity)
            own["economics"] = ["rate_msat_per_sec": 0, "dest": nil]
            return "dsip.invite"
        case .answer(let answer):
            if let (media, net) = ProposalMedia.write(answer.transports) { take(media, net, into: &own) }
            return "dsip.answer"
        case .update(let update):
            var changes: JSONObject = [:]
            if let (media, net) = ProposalMedia.write(update.transports ?? []) { take(media, net, into: &changes) }
            own["changes"] = .object(changes)
            return "dsip.update"
        case .progress:
            var changes: JSONObject = [:]
            for name in ["status", "ring_timeout", "queue_timeout"] {
                changes[name] = rest[name]
                rest[name] = nil
            }
            own["changes"] = .object(changes)
            return "dsip.update"
        case .info(let info): return try write(info, &own)
        case .bye(let bye): return ending(bye.reason, &own)
        case .cancel(let cancel): return ending(cancel.reason, &own)
        case .reject(let reject): return error(reject.reason, &own)
        case .error(let report):
            // What it is about, when that is no session yet: a refused invite.
            if source.session == nil { own["correlates"] = report.inReplyTo.map { .string(ProposalID.text($0)) } }
            return error(report.reason, &own)
        case .introduction, .grant, .publish, .subscribe, .notify, .unpublish, .provenance, .keyRotation,
            .delegationRevocation, .hello, .reachabilityHint:
            return "dsip." + source.type.rawValue
        }
    }

    private mutating func write(_ info: Info, _ own: inout JSONObject) throws(IdentityError) -> String {
        defer { (rest["about"], rest["data"]) = (nil, nil) }
        guard let candidates = WebRTCCandidates(info) else {
            own["changes"] = ["info": ["about": .string(info.about), "data": .object(info.data)]]
            return "dsip.update"
        }
        guard candidates.candidates.count + (candidates.endOfCandidates ? 1 : 0) == 1 else {
            throw IdentityError(.unsupported, "the proposal has one candidate to a message")
        }
        // An empty candidate says that there are no more, as in browsers.
        own["candidate"] = .string(candidates.candidates.first?.candidate ?? "")
        if let candidate = candidates.candidates.first {
            own["sdpMid"] = .string(candidate.sdpMid)
            if let index = candidate.sdpMLineIndex { own["sdpMLineIndex"] = .int(index) }
        }
        return "dsip.ice"
    }

    private mutating func ending(_ reason: Reason, _ own: inout JSONObject) -> String {
        own["reason"] = .string(ReasonCode.text(reason))
        rest["reason"] = nil
        return "dsip.bye"
    }

    private mutating func error(_ reason: Reason, _ own: inout JSONObject) -> String {
        own["code"] = .int(ReasonCode.code(for: reason))
        _ = ending(reason, &own)
        return "dsip.error"
    }

    private mutating func take(_ media: JSONValue, _ net: JSONValue, into object: inout JSONObject) {
        object["media"] = media
        object["net"] = net
        // The SDP says what the descriptors said, but for purposes.
        (rest["media"], rest["transports"]) = (nil, nil)
    }

    private mutating func identity(_ info: IdentityInfo?) -> JSONValue {
        rest["identity"] = nil
        var identity: JSONObject = [
            "proof": "DIDAuth-JWS", "credentials": .array((info?.claims ?? []).map { .object($0) }),
        ]
        if let name = info?.displayName { identity["rcid"] = ["type": "rcid.v1", "displayName": .string(name)] }
        return .object(identity)
    }

    /// Left out of what says nothing else than a call between people.
    private var capabilities: JSONValue? {
        let version = source.version
        if version == .interactive, source.type != .invite { return nil }
        var features = version.profiles.contains(.interactiveMedia) ? ["webrtc"] : []
        features += version.extensions.map(\.string)
        var object: JSONObject = [
            "ver": .string(version.core.description), "features": .array(features.map { .string($0) }),
        ]
        if !version.critical.isEmpty { object["critical"] = .array(version.critical.map { .string($0.string) }) }
        return .object(object)
    }

    // MARK: Profiles

    /// A message of ratchet conversations, without its signature.
    ///
    /// - Throws: `.unsupported` for other messages of profiles.
    static func object(of payload: JSONValue) throws(IdentityError) -> JSONObject {
        guard let source = payload.object, let type = payload["type"]?.string, let from = payload["from"]?.string,
            let id = payload["id"]?.string.flatMap({ ULID($0) }), let issuedAt = payload["issued_at"]?.int,
            let expiresAt = payload["expires_at"]?.int
        else { throw IdentityError(.unsupported, "not a message") }
        var object: JSONObject = [
            "type": .string(type), "id": .string(ProposalID.text(id)), "ts": .int(issuedAt),
            "ttl": .int(max(1, expiresAt - issuedAt)), "from": .string(from),
        ]
        object["to"] = payload["to"]
        let rest = source.members.filter { !common.contains($0.name) && object[$0.name] == nil }
        switch type {
        case "dsip.msg":
            let parts = [id.description, from, payload["to"]?.string ?? ""]
            object["content"] = [
                "enc": "v1", "ciphertext": payload["content"]?["ciphertext"] ?? .null, "aad": .string(aad(parts)),
            ]
        case _ where ProposalReading.statements.contains(type):
            for member in rest {
                let named = ["for", "thread"].contains(member.name) ? member.value.string.flatMap { ULID($0) } : nil
                object[member.name] = named.map { .string(ProposalID.text($0)) } ?? member.value
            }
        case _ where ProposalReading.keys.contains(type):
            object["type"] = .string("dsip." + type)
            if let answered = payload["in_reply_to"]?.string.flatMap({ ULID($0) }) {
                object["correlates"] = .string(ProposalID.text(answered))
            }
            let own = rest.filter { $0.name != "in_reply_to" }
            if !own.isEmpty { object["core"] = .object(JSONObject(members: own)) }
        default: throw IdentityError(.unsupported, "the proposal has no word for it")
        }
        return object
    }

    /// What a `dsip.msg` is bound to: id, sender and recipient.
    static func aad(_ parts: [String]) -> String { Base64URL.encode(Array(parts.joined(separator: "\u{0}").utf8)) }
}
