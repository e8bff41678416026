import DSIPIdentity
import Encoding

/// Binds a connection to a device, and in reply identifies the relay (DSIP §13.2).
public struct Hello: Hashable, Sendable {
    public static let webSocketBinding = "ws/1.0"

    /// The identity that the device asks to be reached for.
    public var onBehalfOf: DID?
    /// Present in a client's hello; never empty.
    public var bindings: [String]?
    /// Present, with `capabilities`, in a relay's hello: the client's `id`.
    public var inReplyTo: ULID?
    public var capabilities: RelayCapabilities?

    /// A client's hello.
    public init(onBehalfOf: DID?, bindings: [String] = [Hello.webSocketBinding]) {
        self.onBehalfOf = onBehalfOf
        self.bindings = bindings
    }

    /// A relay's hello.
    public init(inReplyTo: ULID, capabilities: RelayCapabilities = RelayCapabilities()) {
        self.inReplyTo = inReplyTo
        self.capabilities = capabilities
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.onBehalfOf = try fields.optionalDID("on_behalf_of")
        self.bindings = try fields.optional("bindings") { (view) throws(ShapeFault) in
            try view.list("bindings", atLeast: 1) { (binding) throws(ShapeFault) in
                try binding.text("bindings", Pattern.binding)
            }
        }
        self.inReplyTo = try fields.optionalULID("in_reply_to")
        self.capabilities = try fields.optional("capabilities", RelayCapabilities.init)
        guard (inReplyTo == nil) == (capabilities == nil), inReplyTo != nil || bindings != nil else {
            throw ShapeFault("a hello is a client's with bindings, or a relay's with in_reply_to and capabilities")
        }
    }

    func write(to object: inout JSONObject) {
        if let onBehalfOf { object["on_behalf_of"] = .string(onBehalfOf.string) }
        if let bindings { object["bindings"] = .array(bindings.map { .string($0) }) }
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
        if let capabilities { object["capabilities"] = capabilities.json }
    }
}

/// What a relay says of itself in its hello; informative (DSIP §13.2). `max_envelope_bytes` is the constant of `ws/1.0`.
public struct RelayCapabilities: Hashable, Sendable {
    public var storeAndForward: Bool?
    /// Seconds.
    public var offlineRetention: Int64?
    public var envelopesPerMinute: Int64?
    public var invitesPerMinute: Int64?
    public var pushWake: [String]?
    /// Members unknown to the specification, such as our `stun`.
    public var other: JSONObject

    public init(
        storeAndForward: Bool? = nil,
        offlineRetention: Int64? = nil,
        envelopesPerMinute: Int64? = nil,
        invitesPerMinute: Int64? = nil,
        pushWake: [String]? = nil,
        other: JSONObject = [:]
    ) {
        self.storeAndForward = storeAndForward
        self.offlineRetention = offlineRetention
        self.envelopesPerMinute = envelopesPerMinute
        self.invitesPerMinute = invitesPerMinute
        self.pushWake = pushWake
        self.other = other
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "capabilities")
        let limit = Int64(ProtocolLimits.frame)
        _ = try fields.required("max_envelope_bytes").integer("capabilities.max_envelope_bytes", limit...limit)
        self.storeAndForward = try fields.optional("store_and_forward") { (view) throws(ShapeFault) in
            try view.boolean("capabilities.store_and_forward")
        }
        self.offlineRetention = try fields.optional("offline_retention_s") { (view) throws(ShapeFault) in
            try view.integer("capabilities.offline_retention_s")
        }
        if let rates = fields.optional("rate_limit") {
            var fields = try Fields(rates, "rate_limit")
            self.envelopesPerMinute = try fields.optional("envelopes_per_minute") { (view) throws(ShapeFault) in
                try view.integer("rate_limit.envelopes_per_minute", 1...Int64.max)
            }
            self.invitesPerMinute = try fields.optional("invites_per_minute") { (view) throws(ShapeFault) in
                try view.integer("rate_limit.invites_per_minute", 1...Int64.max)
            }
        }
        self.pushWake = try fields.optional("push_wake") { (view) throws(ShapeFault) in
            try view.list("capabilities.push_wake") { (service) throws(ShapeFault) in try service.text("push_wake") }
        }
        self.other =
            fields.rest(
                except: ["max_envelope_bytes", "store_and_forward", "offline_retention_s", "rate_limit", "push_wake"])
            .object
    }

    var json: JSONValue {
        var object: JSONObject = ["max_envelope_bytes": .int(Int64(ProtocolLimits.frame))]
        if let storeAndForward { object["store_and_forward"] = .bool(storeAndForward) }
        if let offlineRetention { object["offline_retention_s"] = .int(offlineRetention) }
        var rates: JSONObject = [:]
        if let envelopesPerMinute { rates["envelopes_per_minute"] = .int(envelopesPerMinute) }
        if let invitesPerMinute { rates["invites_per_minute"] = .int(invitesPerMinute) }
        if !rates.isEmpty { object["rate_limit"] = .object(rates) }
        if let pushWake { object["push_wake"] = .array(pushWake.map { .string($0) }) }
        return .object(JSONObject(members: object.members + other.members))
    }
}

/// Where an identity can be reached now, as told by a DHT; never authoritative (DSIP §8.5).
public struct ReachabilityHint: Hashable, Sendable {
    public struct Endpoint: Hashable, Sendable {
        /// Begins with `wss://`.
        public var uri: String
        public var bindings: [String]
        public var parameters: JSONObject

        public init(uri: String, bindings: [String] = [Hello.webSocketBinding], parameters: JSONObject = [:]) {
            self.uri = uri
            self.bindings = bindings
            self.parameters = parameters
        }

        init(_ view: JSONView) throws(ShapeFault) {
            var fields = try Fields(view, "endpoint")
            let uri = try fields.required("uri")
            guard uri.matches({ Pattern.starts($0, "wss://") }) else { throw ShapeFault("endpoint.uri is not wss") }
            self.uri = try uri.text("endpoint.uri")
            self.bindings = try fields.required("bindings").list("endpoint.bindings", atLeast: 1) {
                (binding) throws(ShapeFault) in
                try binding.text("endpoint.bindings", Pattern.binding)
            }
            self.parameters = fields.rest(except: ["uri", "bindings"]).object
        }

        var json: JSONValue {
            let members: JSONObject = ["uri": .string(uri), "bindings": .array(bindings.map { .string($0) })]
            return .object(JSONObject(members: members.members + parameters.members))
        }
    }

    public var subject: DID
    /// Never empty.
    public var endpoints: [Endpoint]
    public var seq: Int64

    public init(subject: DID, endpoints: [Endpoint], seq: Int64) {
        self.subject = subject
        self.endpoints = endpoints
        self.seq = seq
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.subject = try fields.did("subject")
        self.endpoints = try fields.required("endpoints").list("endpoints", atLeast: 1, Endpoint.init)
        self.seq = try fields.required("seq").integer("seq")
    }

    func write(to object: inout JSONObject) {
        object["subject"] = .string(subject.string)
        object["endpoints"] = .array(endpoints.map(\.json))
        object["seq"] = .int(seq)
    }
}
