import DSIPIdentity
import Encoding

/// Declines an invite, an update, an introduction or a subscription (DSIP §12.1).
public struct Reject: Hashable, Sendable {
    public var reason: Reason
    public var detail: Detail?
    /// Seconds after which another try may succeed; 0 says that none will.
    public var retryAfter: Int64?
    /// The update rejected; nil for anything else.
    public var inReplyTo: ULID?
    public var sealed: SealedBody?

    public init(_ reason: Reason, detail: Detail? = nil, retryAfter: Int64? = nil, inReplyTo: ULID? = nil) {
        self.reason = reason
        self.detail = detail
        self.retryAfter = retryAfter
        self.inReplyTo = inReplyTo
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.reason = try fields.required("reason").reason("reason")
        self.detail = try fields.optional("detail", Detail.init)
        self.retryAfter = try fields.retryAfter()
        self.inReplyTo = try fields.optionalULID("in_reply_to")
        self.sealed = try fields.sealed()
    }

    func write(to object: inout JSONObject) {
        object.write(reason: reason, detail: detail, retryAfter: retryAfter)
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Withdraws an invite before an answer was accepted (DSIP §12.11).
public struct Cancel: Hashable, Sendable {
    public var reason: Reason
    public var detail: Detail?
    public var retryAfter: Int64?
    public var sealed: SealedBody?

    public init(_ reason: Reason, detail: Detail? = nil) {
        self.reason = reason
        self.detail = detail
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.reason = try fields.required("reason").reason("reason")
        self.detail = try fields.optional("detail", Detail.init)
        self.retryAfter = try fields.retryAfter()
        self.sealed = try fields.sealed()
    }

    func write(to object: inout JSONObject) {
        object.write(reason: reason, detail: detail, retryAfter: retryAfter)
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Ends an established session (DSIP §12.1).
public struct Bye: Hashable, Sendable {
    public var reason: Reason
    public var detail: Detail?
    public var retryAfter: Int64?
    public var sealed: SealedBody?

    public init(_ reason: Reason, detail: Detail? = nil) {
        self.reason = reason
        self.detail = detail
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.reason = try fields.required("reason").reason("reason")
        self.detail = try fields.optional("detail", Detail.init)
        self.retryAfter = try fields.retryAfter()
        self.sealed = try fields.sealed()
    }

    func write(to object: inout JSONObject) {
        object.write(reason: reason, detail: detail, retryAfter: retryAfter)
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Reports a failure of protocol or policy; the message type `error` (DSIP §12.1).
public struct ErrorReport: Hashable, Sendable {
    public var reason: Reason
    public var detail: Detail?
    public var retryAfter: Int64?
    /// The envelope that provoked it, when known.
    public var inReplyTo: ULID?

    public init(_ reason: Reason, detail: Detail? = nil, retryAfter: Int64? = nil, inReplyTo: ULID? = nil) {
        self.reason = reason
        self.detail = detail
        self.retryAfter = retryAfter
        self.inReplyTo = inReplyTo
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.reason = try fields.required("reason").reason("reason")
        self.detail = try fields.optional("detail", Detail.init)
        self.retryAfter = try fields.retryAfter()
        self.inReplyTo = try fields.optionalULID("in_reply_to")
    }

    func write(to object: inout JSONObject) {
        object.write(reason: reason, detail: detail, retryAfter: retryAfter)
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
    }
}

extension JSONObject {
    fileprivate mutating func write(reason: Reason, detail: Detail?, retryAfter: Int64?) {
        self["reason"] = .string(reason.token)
        if let detail { self["detail"] = detail.json }
        if let retryAfter { self["retry_after"] = .int(retryAfter) }
    }
}
