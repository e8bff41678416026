import DSIPSignaling
import Encoding
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
    var webRTC: TransportDescriptor? { transports.first { $0.id == TransportDescriptor.webRTC } }
}

extension TransportDescriptor {
    /// The candidate exchange mode of the WebRTC binding; `nil` also where it is no string. B§2
    var iceMode: String? { parameters["ice"]?.string }

    /// The descriptor of an answer, where `ice` is optional and says nothing new. B§2
    static func answering(webRTC sdp: String) -> TransportDescriptor {
        TransportDescriptor(webRTC, parameters: ["sdp": .string(sdp)])
    }
}

extension MediaDescriptor {
    /// The descriptor of a section of our own description; `nil` for a kind the schemas do not know.
    init?(_ section: MediaSection, direction: MediaDirection, codecs: [String], purpose: String?) {
        guard let kind = Kind(rawValue: section.kind), let direction = Direction(rawValue: direction.rawValue) else {
            return nil
        }
        self.init(kind, direction: direction, codecs: codecs.map { Codec($0) }, purpose: purpose)
    }
}

/// What a person is told about the media of a call.
public struct MediaKinds: Hashable, Sendable {
    public var audio: Bool
    public var video: Bool

    /// Audio stays through a hold (`inactive`); a video section turned `inactive` is how video is taken away.
    public init(_ media: [MediaDescriptor]) {
        audio = media.contains { $0.kind == .audio }
        video = media.contains { $0.kind == .video && $0.direction != .inactive }
    }
}
