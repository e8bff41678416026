import DSIPIdentity
import Encoding

/// Asks an authority for notifications about a target (DSIP §9.3).
public struct Subscribe: Hashable, Sendable {
    public static let presence = "presence"
    public static let publication = "publication"

    /// A DID or a stream id.
    public var target: String
    /// Registered event classes; never empty.
    public var events: [String]
    /// Seconds; 0 ends a matching subscription.
    public var expiresIn: Int64
    public var claims: [JSONObject]?
    public var capability: String?

    public init(
        target: String,
        events: [String],
        expiresIn: Int64,
        claims: [JSONObject]? = nil,
        capability: String? = nil
    ) {
        self.target = target
        self.events = events
        self.expiresIn = expiresIn
        self.claims = claims
        self.capability = capability
    }

    /// The longest lifetime that the named events admit, in seconds.
    public var lifetimeCap: Int64 {
        events.contains(Subscribe.presence)
            ? ProtocolLimits.presenceSubscription : ProtocolLimits.publicationSubscription
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.target = try fields.required("target").text("target", atLeast: 1)
        self.events = try fields.required("events").list("events", atLeast: 1) { (view) throws(ShapeFault) in
            try view.text("events", Pattern.token)
        }
        self.expiresIn = try fields.required("expires_in").integer("expires_in", 0...86_400)
        self.claims = try fields.optional("claims") { (view) throws(ShapeFault) in try view.claims() }
        self.capability = try fields.optional("capability") { (view) throws(ShapeFault) in
            try view.text("capability", limit: 2048)
        }
    }

    func write(to object: inout JSONObject) {
        object["target"] = .string(target)
        object["events"] = .array(events.map { .string($0) })
        object["expires_in"] = .int(expiresIn)
        if let claims { object["claims"] = .array(claims.map { .object($0) }) }
        if let capability { object["capability"] = .string(capability) }
    }
}

/// Delivers what a subscription asked for (DSIP §9.3).
public struct Notify: Hashable, Sendable {
    public enum State: String, Hashable, Sendable { case active, terminated }

    /// The `subscribe` served.
    public var subscription: ULID
    /// From 1, rising within a subscription.
    public var seq: Int64
    public var state: State
    public var reason: Reason?
    public var content: JSONObject

    /// - Parameter content: the member `body`.
    public init(subscription: ULID, seq: Int64, state: State = .active, reason: Reason? = nil, content: JSONObject) {
        self.subscription = subscription
        self.seq = seq
        self.state = state
        self.reason = reason
        self.content = content
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.subscription = try fields.ulid("subscription")
        self.seq = try fields.required("seq").integer("seq", 1...Int64.max)
        self.state = try fields.required("state").choice("state", State.self)
        self.reason = try fields.optional("reason") { (view) throws(ShapeFault) in try view.reason("reason") }
        self.content = try fields.required("body").object("body")
    }

    func write(to object: inout JSONObject) {
        object["subscription"] = .string(subscription.description)
        object["seq"] = .int(seq)
        object["state"] = .string(state.rawValue)
        if let reason { object["reason"] = .string(reason.token) }
        object["body"] = .object(content)
    }
}
