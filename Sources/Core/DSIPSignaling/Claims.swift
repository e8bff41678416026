import DSIPIdentity
import Encoding

/// How a sender presents itself: claims, not truth (DSIP §18.2).
public struct IdentityInfo: Hashable, Sendable {
    /// At most 256 Unicode scalars.
    public var displayName: String?
    /// Credential presentations, unverified.
    public var claims: [JSONObject]?

    public init(displayName: String? = nil, claims: [JSONObject]? = nil) {
        self.displayName = displayName
        self.claims = claims
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "identity")
        self.displayName = try fields.optional("display_name").map { (view) throws(ShapeFault) in
            try view.text("identity.display_name", limit: 256)
        }
        self.claims = try fields.optional("claims").map { (view) throws(ShapeFault) in try view.claims() }
        try fields.finish()
    }

    var json: JSONValue {
        var object: JSONObject = [:]
        if let displayName { object["display_name"] = .string(displayName) }
        if let claims { object["claims"] = .array(claims.map { .object($0) }) }
        return .object(object)
    }
}

extension JSONView {
    func claims() throws(ShapeFault) -> [JSONObject] {
        try list("claims") { (claim) throws(ShapeFault) in try claim.object("claim") }
    }
}

/// Fields encrypted to the addressee (DSIP §10.4) or, in an introduction, its purpose (§19.4). Held as received; not opened here.
public struct SealedBody: Hashable, Sendable {
    public var algorithm: String
    /// HPKE encapsulated key, base64url.
    public var encapsulatedKey: String
    /// HPKE ciphertext, base64url.
    public var ciphertext: String

    public init(algorithm: String, encapsulatedKey: String, ciphertext: String) {
        self.algorithm = algorithm
        self.encapsulatedKey = encapsulatedKey
        self.ciphertext = ciphertext
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "sealed")
        self.algorithm = try fields.required("alg").text("sealed.alg", atLeast: 1)
        self.encapsulatedKey = try fields.required("enc").text("sealed.enc", Pattern.base64URL)
        self.ciphertext = try fields.required("ct").text("sealed.ct", Pattern.base64URL)
        try fields.finish()
    }

    var json: JSONValue {
        ["alg": .string(algorithm), "enc": .string(encapsulatedKey), "ct": .string(ciphertext)]
    }
}

/// What a party declares about recording on its own side (DSIP §16.4).
public struct RecordingDeclaration: Hashable, Sendable {
    /// `on`, `paused` or `off`; a registered token.
    public var state: String
    /// Present unless `state` is `off`.
    public var recorder: DID?
    public var purpose: String?

    public init(state: String, recorder: DID? = nil, purpose: String? = nil) {
        self.state = state
        self.recorder = recorder
        self.purpose = purpose
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "recording")
        self.state = try fields.required("state").text("recording.state", Pattern.token)
        self.recorder = try fields.optional("recorder").map { (view) throws(ShapeFault) in
            try view.did("recording.recorder")
        }
        self.purpose = try fields.optional("purpose").map { (view) throws(ShapeFault) in
            try view.text("recording.purpose", Pattern.token)
        }
        guard recorder != nil || state == "off" else { throw ShapeFault("recording.recorder is missing") }
        try fields.finish()
    }

    var json: JSONValue {
        var object: JSONObject = ["state": .string(state)]
        if let recorder { object["recorder"] = .string(recorder.string) }
        if let purpose { object["purpose"] = .string(purpose) }
        return .object(object)
    }
}

/// What a recording session records: whose media, of which session.
public struct RecordingSession: Hashable, Sendable {
    public struct Participant: Hashable, Sendable {
        public var identity: DID
        /// `self` or `peer`.
        public var role: String

        public init(identity: DID, role: String) {
            self.identity = identity
            self.role = role
        }
    }

    public struct Stream: Hashable, Sendable {
        /// Index of the media descriptor.
        public var media: Int64
        public var participant: DID

        public init(media: Int64, participant: DID) {
            self.media = media
            self.participant = participant
        }
    }

    public var of: ULID
    public var participants: [Participant]
    public var streams: [Stream]

    public init(of: ULID, participants: [Participant], streams: [Stream]) {
        self.of = of
        self.participants = participants
        self.streams = streams
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "recording_session")
        self.of = try fields.required("of").ulid("recording_session.of")
        self.participants = try fields.required("participants").list("recording_session.participants", atLeast: 1) {
            (view) throws(ShapeFault) in
            var fields = try Fields(view, "participant")
            let participant = Participant(
                identity: try fields.required("identity").did("participant.identity"),
                role: try fields.required("role").text("participant.role", Pattern.token)
            )
            try fields.finish()
            return participant
        }
        self.streams = try fields.required("streams").list("recording_session.streams", atLeast: 1) {
            (view) throws(ShapeFault) in
            var fields = try Fields(view, "stream")
            let stream = Stream(
                media: try fields.required("media").integer("stream.media"),
                participant: try fields.required("participant").did("stream.participant")
            )
            try fields.finish()
            return stream
        }
        try fields.finish()
    }

    var json: JSONValue {
        [
            "of": .string(of.description),
            "participants": .array(
                participants.map { ["identity": .string($0.identity.string), "role": .string($0.role)] }
            ),
            "streams": .array(
                streams.map { ["media": .int($0.media), "participant": .string($0.participant.string)] }
            ),
        ]
    }
}

/// Elaboration of a reason: text, or the object that the profile of the token defines (DSIP §15.2). A claim of the signer.
public enum Detail: Hashable, Sendable, ExpressibleByStringLiteral {
    /// At most 1,024 Unicode scalars.
    case text(String)
    /// At most 16 members.
    case object(JSONObject)

    public init(stringLiteral text: String) { self = .text(text) }

    init(_ view: JSONView) throws(ShapeFault) {
        if view.isObject {
            guard view.count <= 16 else { throw ShapeFault("detail has too many members") }
            self = .object(try view.object("detail"))
        } else {
            self = .text(try view.text("detail", limit: 1024))
        }
    }

    var json: JSONValue {
        switch self {
        case .text(let text): .string(text)
        case .object(let object): .object(object)
        }
    }
}
