import WebRTC

/// What an `invite`, `update` or `answer` says about media: its `media` and `transports` members. DSIP §16
public struct MediaPayload: Hashable, Sendable {
    public var media: [MediaDescriptor]
    public var transports: [TransportDescriptor]

    public init(media: [MediaDescriptor], transports: [TransportDescriptor]) {
        self.media = media
        self.transports = transports
    }

    /// The descriptor of this binding, if the payload has one.
    var webRTC: TransportDescriptor? { transports.first { $0.id == WebRTCBinding.transportID } }
}

/// One member of `media`: authoritative for what was negotiated. DSIP §16.2, B§2.1
public struct MediaDescriptor: Hashable, Sendable {
    /// `audio`, `video`, `text` or `application`.
    public var type: String
    /// A registered purpose such as `sign-language`.
    public var purpose: String?
    /// Seen from the sender of the payload.
    public var direction: MediaDirection
    /// Codec identifiers (`codec:audio/opus`), offered in order of preference or selected; at least one.
    public var codecs: [String]

    public init(type: String, purpose: String? = nil, direction: MediaDirection, codecs: [String]) {
        self.type = type
        self.purpose = purpose
        self.direction = direction
        self.codecs = codecs
    }
}

/// One member of `transports`. B§2
public struct TransportDescriptor: Hashable, Sendable {
    public var id: String
    public var ice: String?
    /// The whole SDP as the WebRTC stack wrote it.
    public var sdp: String?

    public init(id: String, ice: String? = nil, sdp: String? = nil) {
        self.id = id
        self.ice = ice
        self.sdp = sdp
    }
}

/// What a person is told about the media of a call.
public struct MediaKinds: Hashable, Sendable {
    public var audio: Bool
    public var video: Bool

    /// Audio stays through a hold (`inactive`); a video section turned `inactive` is how video is taken away.
    public init(_ media: [MediaDescriptor]) {
        audio = media.contains { $0.type == "audio" }
        video = media.contains { $0.type == "video" && $0.direction != .inactive }
    }
}
