import Crypto
import DSIPIdentity
import DSIPMedia
import DSIPSignaling
import Encoding

/// A message of the proposal as a payload of the core: the one direction of the dialect, pure.
///
/// Members the proposal does not name are passed over, but for `core`, which holds those of a core message that the proposal has no
/// word for; `docs/dialect-0.3.md` lists what the proposal leaves open and how it was decided.
struct ProposalReading {
    private let message: JSONObject
    private let now: Int64
    private let kid: DIDURL

    private static let version = "1.0"
    /// Seconds a message may still be delivered when it says nothing else.
    static let lifetime: Int64 = 60
    /// The same for what waits for its recipient, and as long as it may.
    static let keptLifetime: Int64 = 30 * 86_400
    /// The same for what is said now or never.
    static let passingLifetime: Int64 = 30
    /// Types of the proposal that are kept as they are, for the profile that reads them.
    static let statements: Set = ["dsip.receipt", "dsip.typing", "dsip.msgUpdate"]
    /// Types of ratchet conversations that the proposal has no word for: prekeys, and that something has arrived.
    static let keys: Set = ["prekeys", "prekey-fetch", "accepted"]

    /// - Parameter message: without `sig`.
    init(_ message: JSONObject, signedBy kid: DIDURL, at now: Int64) {
        self.message = message
        self.kid = kid
        self.now = now
    }

    /// - Throws: `schema-invalid`, `unknown-type`.
    func payload() throws(Rejection) -> JSONObject {
        guard let type = message["type"]?.string, type.hasPrefix("dsip.") else {
            throw Rejection(.unknownType, "not a message type of the proposal")
        }
        switch type {
        case "dsip.invite": return try invite()
        case "dsip.answer": return try answer()
        case "dsip.ice": return try candidate()
        case "dsip.update": return try update()
        case "dsip.bye":
            return try inSession("bye") { $0["reason"] = .string(reason(message["reason"]?.string, nil).token) }
        case "dsip.error": return try error()
        case "dsip.msg": return try ratchetMessage()
        case let type where Self.statements.contains(type): return try statement(type)
        case let type where Self.keys.contains(String(type.dropFirst(5))): return try keys(String(type.dropFirst(5)))
        default:
            // The core's own types by their own names, such as `dsip.hello`.
            guard MessageType(rawValue: String(type.dropFirst(5))) != nil else {
                throw Rejection(.unknownType, "not a message type of the proposal")
            }
            if type == "dsip.hello" { return try hello() }
            return try inSession(String(type.dropFirst(5)), needsOwnTime: true, sessionIsOptional: true) { _ in }
        }
    }

    /// `fault` with what an answer to it needs, as far as that can be read.
    func addressing(_ fault: Rejection) -> Rejection {
        var fault = fault
        fault.id = message["id"]?.string.flatMap(ProposalID.read)
        fault.session = message["correlates"]?.string.flatMap(ProposalID.read)
        fault.from = try? sender()
        return fault
    }

    // MARK: Types

    /// Binds the connection; the proposal has no word for that (DSIP §13.2).
    private func hello() throws(Rejection) -> JSONObject {
        var payload = try head("hello", needsOwnTime: true)
        payload["to"] = nil
        if payload["bindings"] == nil, payload["in_reply_to"] == nil {
            payload["bindings"] = [.string(Hello.webSocketBinding)]
        }
        return payload
    }

    private func invite() throws(Rejection) -> JSONObject {
        var payload = try head("invite", needsOwnTime: true)
        let (media, transports) = try ProposalMedia.read(message["media"], message["net"], on: .offer)
        payload["media"] = media
        payload["transports"] = transports
        if let identity = identity() { payload["identity"] = identity }
        return payload
    }

    private func answer() throws(Rejection) -> JSONObject {
        let (media, transports) = try ProposalMedia.read(message["media"], message["net"], on: .answer)
        return try inSession("answer") { payload in
            if payload["answered_by"] == nil { payload["answered_by"] = "user" }
            payload["media"] = media
            payload["transports"] = transports
        }
    }

    private func candidate() throws(Rejection) -> JSONObject {
        guard let text = message["candidate"]?.string else { throw ProposalMedia.fault("candidate is missing") }
        var data: JSONObject = ["candidates": [], "end_of_candidates": .bool(text.isEmpty)]
        if !text.isEmpty {
            // Browsers number their media from 0, and bundled media share the candidates of the first.
            var candidate: JSONObject = ["candidate": .string(text), "sdp_mid": message["sdpMid"] ?? "0"]
            if let index = message["sdpMLineIndex"] { candidate["sdp_m_line_index"] = index }
            data["candidates"] = [.object(candidate)]
        }
        return try inSession("info") { payload in
            payload["about"] = .string(Info.webRTC)
            payload["data"] = .object(data)
        }
    }

    /// One word for a new offer, for how far a leg has got, and for what the media binding says meanwhile.
    private func update() throws(Rejection) -> JSONObject {
        guard let changes = message["changes"]?.object else { throw ProposalMedia.fault("changes is missing") }
        if let status = changes["status"] {
            return try inSession("progress") { payload in
                payload["status"] = status
                for name in ["ring_timeout", "queue_timeout"] { payload[name] = changes[name] ?? payload[name] }
            }
        }
        if let info = changes["info"]?.object {
            return try inSession("info") { payload in
                payload["about"] = info["about"]
                payload["data"] = info["data"]
            }
        }
        let (media, transports) = try ProposalMedia.read(changes["media"], changes["net"], on: .offer)
        // Without an id and a time of its own, an old offer could be played again.
        return try inSession("update", needsOwnTime: true) { payload in
            payload["media"] = media
            payload["transports"] = transports
        }
    }

    private func error() throws(Rejection) -> JSONObject {
        let code = message["code"]?.int
        let token = reason(message["reason"]?.string, code).token
        // Whether it declines an invite or reports a failure is known to whoever knows the session.
        return try inSession("error", sessionIsOptional: true) { payload in
            payload["reason"] = .string(token)
            if payload["in_reply_to"] == nil, let session = payload["session"] { payload["in_reply_to"] = session }
        }
    }

    /// `dsip.msg`: the ratchet message of one device for one other (docs/messaging.md, `ratchet/1.0`).
    private func ratchetMessage() throws(Rejection) -> JSONObject {
        var payload = try head("dsip.msg", needsOwnTime: true)
        payload["dsip"] = Self.ratchet
        guard let content = message["content"]?.object, content["enc"]?.string == "v1",
            let ciphertext = content["ciphertext"]
        else { throw ProposalMedia.fault("content is no v1 ciphertext") }
        if let aad = content["aad"] {
            let parts = ["id", "from", "to"].compactMap { payload[$0]?.string }
            guard aad.string == ProposalWriting.aad(parts) else {
                throw ProposalMedia.fault("aad is of another message")
            }
        }
        payload["content"] = ["enc": "ratchet/1", "ciphertext": ciphertext]
        return payload
    }

    /// Receipts, typing and edits, with their own members as they are; what they are about in the core's spelling, where it is an id.
    private func statement(_ type: String) throws(Rejection) -> JSONObject {
        // An old edit, played again, would take the place of a later one.
        var payload = try head(type, needsOwnTime: type == "dsip.msgUpdate")
        payload["dsip"] = Self.ratchet
        for member in message.members where payload[member.name] == nil && member.name != "sig" && member.name != "core"
        {
            payload[member.name] = member.value
        }
        for name in ["for", "thread"] {
            if let id = message[name]?.string.flatMap(ProposalID.read) { payload[name] = .string(id.description) }
        }
        return payload
    }

    /// Prekeys, who asks for them, and that something has arrived: their members stand in `core`, what is answered in `correlates`.
    private func keys(_ type: String) throws(Rejection) -> JSONObject {
        var payload = try head(type, needsOwnTime: true)
        payload["dsip"] = Self.ratchet
        if let correlates = message["correlates"] {
            guard let id = correlates.string.flatMap(ProposalID.read) else {
                throw ProposalMedia.fault("correlates is no UUID")
            }
            payload["in_reply_to"] = .string(id.description)
        }
        return payload
    }

    // MARK: Members

    private func inSession(
        _ type: String,
        needsOwnTime: Bool = false,
        sessionIsOptional: Bool = false,
        _ write: (inout JSONObject) -> Void
    ) throws(Rejection) -> JSONObject {
        var payload = try head(type, needsOwnTime: needsOwnTime)
        if let correlates = message["correlates"] {
            guard let session = correlates.string.flatMap(ProposalID.read) else {
                throw ProposalMedia.fault("correlates is no UUID")
            }
            payload["session"] = .string(session.description)
        } else if !sessionIsOptional {
            throw ProposalMedia.fault("correlates is missing")
        }
        write(&payload)
        return payload
    }

    /// What all messages have; then what `core` holds.
    private func head(_ type: String, needsOwnTime: Bool) throws(Rejection) -> JSONObject {
        let id = try message["id"].map { value throws(Rejection) -> ULID in
            guard let id = value.string.flatMap(ProposalID.read) else { throw ProposalMedia.fault("id is no UUID") }
            return id
        }
        let time = message["ts"]?.int
        guard !needsOwnTime || id != nil && time != nil, message["ts"] == nil || time != nil else {
            throw ProposalMedia.fault("id or ts is missing")
        }
        let issuedAt = time ?? now
        let (longest, usual) = Self.lifetimes(of: type)
        let lifetime = message["ttl"]?.int ?? usual
        guard (1...longest).contains(lifetime), issuedAt >= 0, issuedAt < 1 << 40 else {
            throw ProposalMedia.fault("ts or ttl is out of bounds")
        }
        var payload: JSONObject = [
            "dsip": version(), "type": .string(type), "id": .string((id ?? derivedID()).description),
            "from": .string(try sender().string),
        ]
        if let to = try recipient() { payload["to"] = .string(to.string) }
        if let core = message["core"] {
            guard let members = core.object else { throw ProposalMedia.fault("core is no object") }
            for member in members.members where payload[member.name] == nil && member.name != "to" {
                payload[member.name] = member.value
            }
        }
        payload["issued_at"] = .int(issuedAt)
        payload["expires_at"] = .int(issuedAt + lifetime)
        return payload
    }

    private static func lifetimes(of type: String) -> (longest: Int64, usual: Int64) {
        switch type {
        case "dsip.msg", "dsip.receipt", "dsip.msgUpdate": (keptLifetime, keptLifetime)
        case "dsip.typing": (keptLifetime, passingLifetime)
        default: (ProtocolLimits.introductionValidity, lifetime)
        }
    }

    /// A repetition has the same id as what it repeats: over what is said, not how, so that both forms of a message are one message.
    private func derivedID() -> ULID {
        ULID(bytes: Array(SHA256.hash(data: JSONValue.object(message).canonical).prefix(16)))!
    }

    private func sender() throws(Rejection) -> DID {
        guard let from = message["from"] else { return kid.did }
        // A receipt names the key, too.
        guard let did = from.string.flatMap({ DID($0.prefix { $0 != "#" }) }) else {
            throw ProposalMedia.fault("from is no DID")
        }
        return did
    }

    /// One: what is for several is several messages, each for the key of one of them.
    private func recipient() throws(Rejection) -> DID? {
        guard let to = message["to"] else { return nil }
        let one = to.array.map { $0.count == 1 ? $0[0] : .null } ?? to
        guard let did = one.string.flatMap({ DID($0) }) else { throw ProposalMedia.fault("to is not one DID") }
        return did
    }

    private func version() -> JSONValue {
        let features = message["cap"]?["features"]?.array?.compactMap(\.string) ?? ["webrtc"]
        let version = message["cap"]?["ver"]?.string ?? Self.version
        let critical = message["cap"]?["critical"]?.array?.compactMap(\.string) ?? []
        // An invite for other media than those of the binding is for nobody here, and says so in the core's words.
        let others = message["type"]?.string == "dsip.invite" ? ["none/0.3"] : []
        return Self.block(
            core: version,
            profiles: features.contains("webrtc") ? ["interactive-media/1.0"] : others,
            extensions: features.filter { ProfileID($0) != nil },
            critical: critical
        )
    }

    static let ratchet = block(profiles: ["messaging/1.0"], extensions: ["ratchet/1.0", "prekeys/1.0"])

    private static func block(
        core: String = version,
        profiles: [String],
        extensions: [String] = [],
        critical: [String] = []
    ) -> JSONValue {
        func list(_ ids: [String]) -> JSONValue { .array(ids.map { .string($0) }) }
        return [
            "core": .string(core), "min_core": .string(core), "profiles": list(profiles),
            "extensions": list(extensions), "critical": list(critical),
        ]
    }

    /// A name from `rcid.v1`, credentials as they are: claims, all of them (DSIP §18.2).
    private func identity() -> JSONValue? {
        guard let identity = message["identity"]?.object else { return nil }
        let isCard = identity["type"]?.string == "rcid.v1"
        let card = isCard ? .object(identity) : identity["rcid"]
        var claims: JSONObject = [:]
        if let name = card?["displayName"]?.string, name.unicodeScalars.count <= 256 {
            claims["display_name"] = .string(name)
        }
        var credentials = identity["credentials"]?.array ?? []
        if !isCard { credentials += card?["credentials"]?.array ?? [] }
        let objects = credentials.filter { $0.object != nil }
        if !objects.isEmpty { claims["claims"] = .array(objects) }
        return claims.isEmpty ? nil : .object(claims)
    }

    private func reason(_ text: String?, _ code: Int64?) -> Reason {
        text.flatMap(ReasonCode.reason) ?? code.flatMap(ReasonCode.reason(for:)) ?? .sessionFailed
    }
}
