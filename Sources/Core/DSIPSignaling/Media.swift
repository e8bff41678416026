import Encoding

/// One codec of a descriptor: a registered id and the codec's own parameters (DSIP §16.2).
public struct Codec: Hashable, Sendable {
    /// `codec:` kind `/` name, such as `codec:audio/opus`.
    public var id: String
    private var open: OpenMembers
    private static let known: [StaticString] = ["id"]

    public var parameters: JSONObject {
        get { open.object }
        set { open = OpenMembers(newValue) }
    }

    public init(_ id: String, parameters: JSONObject = [:]) {
        self.id = id
        self.open = OpenMembers(parameters)
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "codec")
        self.id = try fields.required("id").text("codec.id", Pattern.codecID)
        self.open = fields.rest(except: Self.known)
    }

    var json: JSONValue { .object(JSONObject(members: [(name: "id", value: .string(id))] + parameters.members)) }
}

/// One medium offered or selected (DSIP §16.1).
public struct MediaDescriptor: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable { case audio, video, text, application }

    public enum Direction: String, Hashable, Sendable {
        case sendrecv, sendonly, recvonly, inactive

        /// Whether `self` may answer `offered` (DSIP §14.2).
        public func answers(_ offered: Direction) -> Bool {
            switch offered {
            case .sendrecv: true
            case .sendonly: self == .recvonly || self == .inactive
            case .recvonly: self == .sendonly || self == .inactive
            case .inactive: self == .inactive
            }
        }
    }

    public var kind: Kind
    /// A registered purpose, such as `sign-language` (DSIP §21).
    public var purpose: String?
    public var direction: Direction
    /// Never empty.
    public var codecs: [Codec]
    private var open: OpenMembers
    private static let known: [StaticString] = ["type", "purpose", "direction", "codecs"]

    public var parameters: JSONObject {
        get { open.object }
        set { open = OpenMembers(newValue) }
    }

    public init(
        _ kind: Kind,
        direction: Direction = .sendrecv,
        codecs: [Codec],
        purpose: String? = nil,
        parameters: JSONObject = [:]
    ) {
        self.kind = kind
        self.purpose = purpose
        self.direction = direction
        self.codecs = codecs
        self.open = OpenMembers(parameters)
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "media descriptor")
        self.kind = try fields.required("type").choice("media.type", Kind.self)
        self.purpose = try fields.optional("purpose").map { (view) throws(ShapeFault) in
            try view.text("media.purpose", Pattern.token)
        }
        self.direction = try fields.required("direction").choice("media.direction", Direction.self)
        self.codecs = try fields.required("codecs").list("media.codecs", atLeast: 1, Codec.init)
        self.open = fields.rest(except: Self.known)
    }

    public var json: JSONValue {
        var object: JSONObject = ["type": .string(kind.rawValue)]
        if let purpose { object["purpose"] = .string(purpose) }
        object["direction"] = .string(direction.rawValue)
        object["codecs"] = .array(codecs.map(\.json))
        return .object(JSONObject(members: object.members + parameters.members))
    }
}

/// One media transport offered or selected, with what its binding carries in it (DSIP §16.3).
public struct TransportDescriptor: Hashable, Sendable {
    public static let webRTC = "transport:webrtc"

    /// `transport:` name.
    public var id: String
    private var open: OpenMembers
    private static let known: [StaticString] = ["id"]

    /// Members of the binding, such as `ice` and `sdp`; unchecked here.
    public var parameters: JSONObject {
        get { open.object }
        set { open = OpenMembers(newValue) }
    }

    public init(_ id: String, parameters: JSONObject = [:]) {
        self.id = id
        self.open = OpenMembers(parameters)
    }

    /// The descriptor of the WebRTC binding with trickled candidates.
    public init(webRTC sdp: String) { self.init(Self.webRTC, parameters: ["ice": "trickle", "sdp": .string(sdp)]) }

    public var sdp: String? { parameters["sdp"]?.string }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "transport descriptor")
        self.id = try fields.required("id").text("transport.id", Pattern.transportID)
        self.open = fields.rest(except: Self.known)
    }

    public var json: JSONValue {
        .object(JSONObject(members: [(name: "id", value: .string(id))] + parameters.members))
    }
}

/// What an invite or update offers, for holding a selection against it.
public struct MediaOffer: Hashable, Sendable {
    public var media: [MediaDescriptor]
    public var transports: [TransportDescriptor]

    public init(media: [MediaDescriptor], transports: [TransportDescriptor]) {
        self.media = media
        self.transports = transports
    }

    /// Reads `media` and `transports` of an object that holds an offer among others.
    ///
    /// - Throws: `schema-invalid`.
    public init(json: JSONValue) throws(Rejection) {
        do throws(ShapeFault) {
            guard let document = try? JSONDocument(scanning: json.utf8) else { throw ShapeFault("not readable") }
            var fields = try Fields(document.root, "offer")
            self.media = try fields.media() ?? []
            self.transports = try fields.transports() ?? []
        } catch {
            throw Rejection(.schemaInvalid, error.detail)
        }
    }

    /// Whether an answer selects from this offer and adds nothing (DSIP §14.2).
    ///
    /// Descriptors match by kind and purpose; several of one kind are matched in order, each offered one at most once.
    public func contains(media selected: [MediaDescriptor], transports chosen: [TransportDescriptor]) -> Bool {
        var free = media
        for descriptor in selected {
            let match = free.firstIndex { offered in
                offered.kind == descriptor.kind && offered.purpose == descriptor.purpose
                    && descriptor.direction.answers(offered.direction)
                    && descriptor.codecs.allSatisfy { codec in offered.codecs.contains { $0.id == codec.id } }
            }
            guard let match else { return false }
            free.remove(at: match)
        }
        return chosen.allSatisfy { selected in transports.contains { $0.id == selected.id } }
    }
}

/// Declared handling of media: registered keys to registered values (DSIP §16.4).
public struct MediaPolicy: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    private var open: OpenMembers

    /// - Parameter statements: keys of `^[a-z][a-z0-9_]*$`, values of `^[a-z][a-z0-9-]*$`.
    public init(_ statements: [String: String]) {
        self.open = OpenMembers(
            JSONObject(statements.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
        )
    }

    public init(dictionaryLiteral statements: (String, String)...) {
        self.init(Dictionary(statements, uniquingKeysWith: { _, last in last }))
    }

    init(_ view: JSONView) throws(ShapeFault) {
        guard view.isObject else { throw ShapeFault("policy is no object") }
        for (name, value) in view.memberViews {
            guard name.matches(Pattern.policyKey), value.matches(Pattern.token) else {
                throw ShapeFault("a policy key or value is malformed")
            }
        }
        self.open = OpenMembers(of: view, except: [])
    }

    public subscript(_ key: String) -> String? { open.object[key]?.string }

    public var statements: [String: String] {
        Dictionary(
            open.object.members.map { ($0.name, $0.value.string ?? "") },
            uniquingKeysWith: { first, _ in first }
        )
    }

    var json: JSONValue { .object(open.object) }
}
