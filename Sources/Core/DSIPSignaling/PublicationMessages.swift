import DSIPIdentity
import Encoding

/// A signed record of a live stream (DSIP §22.1).
public struct Publish: Hashable, Sendable {
    public enum State: String, Hashable, Sendable { case live, scheduled, ended }

    public struct Variant: Hashable, Sendable {
        public enum Media: String, Hashable, Sendable { case audio, video, text }

        public var id: String
        /// Never empty.
        public var media: [Media]
        public var codec: String
        public var transport: String
        public var uri: String
        /// Members beyond these, such as `integrity`.
        public var parameters: JSONObject

        public init(
            id: String,
            media: [Media],
            codec: String,
            transport: String,
            uri: String,
            parameters: JSONObject = [:]
        ) {
            self.id = id
            self.media = media
            self.codec = codec
            self.transport = transport
            self.uri = uri
            self.parameters = parameters
        }

        init(_ view: JSONView) throws(ShapeFault) {
            var fields = try Fields(view, "variant")
            self.id = try fields.required("id").text("variant.id", atLeast: 1)
            self.media = try fields.required("media").list("variant.media", atLeast: 1) { (view) throws(ShapeFault) in
                try view.choice("variant.media", Media.self)
            }
            self.codec = try fields.required("codec").text("variant.codec", Pattern.codecID)
            self.transport = try fields.required("transport").text("variant.transport", Pattern.transportID)
            self.uri = try fields.required("uri").text("variant.uri")
            self.parameters = fields.rest(except: ["id", "media", "codec", "transport", "uri"]).object
        }

        var json: JSONValue {
            let members: JSONObject = [
                "id": .string(id), "media": .array(media.map { .string($0.rawValue) }), "codec": .string(codec),
                "transport": .string(transport), "uri": .string(uri),
            ]
            return .object(JSONObject(members: members.members + parameters.members))
        }
    }

    public var publisher: DID
    public var streamID: String
    public var title: String?
    public var state: State
    /// A registered mode; nil means `metadata-only` (§22.2).
    public var integrity: String?
    /// In the publisher's order of preference; never empty.
    public var variants: [Variant]
    public var policy: MediaPolicy?

    public init(
        publisher: DID,
        streamID: String,
        title: String? = nil,
        state: State,
        integrity: String? = nil,
        variants: [Variant],
        policy: MediaPolicy? = nil
    ) {
        self.publisher = publisher
        self.streamID = streamID
        self.title = title
        self.state = state
        self.integrity = integrity
        self.variants = variants
        self.policy = policy
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.publisher = try fields.did("publisher")
        self.streamID = try fields.required("stream_id").text("stream_id", atLeast: 1)
        self.title = try fields.optional("title") { (view) throws(ShapeFault) in try view.text("title", limit: 512) }
        self.state = try fields.required("state").choice("state", State.self)
        self.integrity = try fields.optionalToken("integrity")
        self.variants = try fields.required("variants").list("variants", atLeast: 1, Variant.init)
        self.policy = try fields.policy()
    }

    func write(to object: inout JSONObject) {
        object["publisher"] = .string(publisher.string)
        object["stream_id"] = .string(streamID)
        if let title { object["title"] = .string(title) }
        object["state"] = .string(state.rawValue)
        if let integrity { object["integrity"] = .string(integrity) }
        object["variants"] = .array(variants.map(\.json))
        if let policy { object["policy"] = policy.json }
    }
}

/// Withdraws a publication (DSIP §22.1).
public struct Unpublish: Hashable, Sendable {
    public var publisher: DID
    public var streamID: String
    public var publication: ULID

    public init(publisher: DID, streamID: String, publication: ULID) {
        self.publisher = publisher
        self.streamID = streamID
        self.publication = publication
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.publisher = try fields.did("publisher")
        self.streamID = try fields.required("stream_id").text("stream_id", atLeast: 1)
        self.publication = try fields.ulid("publication")
    }

    func write(to object: inout JSONObject) {
        object["publisher"] = .string(publisher.string)
        object["stream_id"] = .string(streamID)
        object["publication"] = .string(publication.description)
    }
}

/// A processor's statement about a publication that it relays or transcodes (DSIP §22.3).
public struct Provenance: Hashable, Sendable {
    public var originalStream: String
    public var originalPublication: ULID
    public var processor: DID
    /// A registered operation: `transcode`, `relay`, `repackage`.
    public var operation: String
    public var inputVariant: String
    public var outputVariant: String
    public var outputURI: String?

    public init(
        originalStream: String,
        originalPublication: ULID,
        processor: DID,
        operation: String,
        inputVariant: String,
        outputVariant: String,
        outputURI: String? = nil
    ) {
        self.originalStream = originalStream
        self.originalPublication = originalPublication
        self.processor = processor
        self.operation = operation
        self.inputVariant = inputVariant
        self.outputVariant = outputVariant
        self.outputURI = outputURI
    }

    init(_ fields: inout Fields) throws(ShapeFault) {
        self.originalStream = try fields.required("original_stream").text("original_stream", atLeast: 1)
        self.originalPublication = try fields.ulid("original_publication")
        self.processor = try fields.did("processor")
        self.operation = try fields.token("operation")
        self.inputVariant = try fields.required("input_variant").text("input_variant", atLeast: 1)
        self.outputVariant = try fields.required("output_variant").text("output_variant", atLeast: 1)
        self.outputURI = try fields.optional("output_uri") { (view) throws(ShapeFault) in try view.text("output_uri") }
    }

    func write(to object: inout JSONObject) {
        object["original_stream"] = .string(originalStream)
        object["original_publication"] = .string(originalPublication.description)
        object["processor"] = .string(processor.string)
        object["operation"] = .string(operation)
        object["input_variant"] = .string(inputVariant)
        object["output_variant"] = .string(outputVariant)
        if let outputURI { object["output_uri"] = .string(outputURI) }
    }
}
