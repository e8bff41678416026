import DSIPIdentity
import Encoding

/// A decoded payload before its schema is checked: the members that stages 6 to 12 read.
struct PayloadHead {
    let root: JSONView
    /// Nil for a type unknown here.
    let type: MessageType?
    let id: ULID
    /// A string, not yet known to be a DID.
    let from: JSONView
    let issuedAt: Int64
    let expiresAt: Int64

    /// Stage 6: UTF-8, a JSON object, integers only, the core members with their primitive types.
    init(_ bytes: [UInt8]) throws(Stop) {
        let document: JSONDocument
        do {
            document = try JSONDocument(scanning: bytes)
        } catch {
            throw .rejected(
                error.code == .notUTF8
                    ? Rejection(.payloadNotUTF8, "the payload is not UTF-8")
                    : Rejection(.payloadNotJSON, "the payload is no JSON: \(error.reason)")
            )
        }
        let root = document.root
        guard root.isObject else { throw .rejected(Rejection(.payloadNotJSON, "the payload is no JSON object")) }
        guard document.firstNonInteger == nil else {
            throw .rejected(Rejection(.payloadFloat, "a number that is not an integer", reading: root))
        }
        var cursor = 0
        guard root.member("dsip", from: &cursor)?.isObject == true, let type = root.member("type", from: &cursor),
            type.kind == .string, let id = root.member("id", from: &cursor)?.ulid,
            let from = root.member("from", from: &cursor), from.kind == .string,
            let issuedAt = root.member("issued_at", from: &cursor)?.integer,
            let expiresAt = root.member("expires_at", from: &cursor)?.integer
        else {
            throw .rejected(Rejection(.payloadShape, "a core member is missing or of the wrong type", reading: root))
        }
        self.root = root
        self.from = from
        self.type = type.string.flatMap(MessageType.init(rawValue:))
        self.id = id
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    /// Stages 8 and 9.
    ///
    /// - Parameter isKept: a message of a profile that waited for its recipient, bounded by its expiry like an introduction.
    func checkTimes(at now: Int64, isKept: Bool = false) throws(Stop) {
        guard issuedAt < expiresAt else { throw stop(.expiryOrder, "expires_at is not after issued_at") }
        let validity = distance(issuedAt, expiresAt)
        if type == .introduction, validity > UInt64(ProtocolLimits.introductionValidity) {
            throw stop(.introductionValidity, "an introduction valid for more than seven days")
        }
        if type == .reachabilityHint, validity > UInt64(ProtocolLimits.hintValidity) {
            throw stop(.hintValidity, "a hint valid for more than an hour")
        }
        let apart = distance(issuedAt, now)
        let boundedByExpiry = isKept || type == .introduction || type == .reachabilityHint
        guard apart <= UInt64(ProtocolLimits.replayWindow) || boundedByExpiry && issuedAt < now else {
            throw stop(.replayWindow, "issued_at is \(apart) s from now")
        }
        // Held records are accepted while now < expires_at; what is delivered at once, up to that second (DSIP §12.9).
        guard boundedByExpiry ? now < expiresAt : now <= expiresAt else {
            throw stop(.expired, reason: type == .invite ? .sessionExpired : nil, "expired")
        }
    }

    /// Stage 11 (DSIP §20.6).
    func checkIdentifier() throws(Stop) {
        guard distance(id.seconds, issuedAt) <= UInt64(ProtocolLimits.replayWindow) else {
            throw stop(.ulidIssuedAtMismatch, "the time in the id is not that of issued_at")
        }
    }

    /// A hint met again is resolved by its `seq`, not refused (DSIP §12.9).
    var isDeduplicated: Bool { type != .reachabilityHint }

    /// The last second at which the same envelope would pass stage 9 again.
    var replayableUntil: Int64 {
        if type == .introduction { return expiresAt }
        let (end, overflow) = issuedAt.addingReportingOverflow(ProtocolLimits.replayWindow)
        return overflow ? .max : min(end, expiresAt)
    }

    func stop(_ code: VerdictCode, reason: Reason? = nil, _ detail: String) -> Stop {
        .rejected(Rejection(code, reason: reason, detail, reading: root))
    }
}

/// How far apart two instants are, without overflow.
private func distance(_ a: Int64, _ b: Int64) -> UInt64 {
    a < b ? UInt64(bitPattern: b &- a) : UInt64(bitPattern: a &- b)
}
