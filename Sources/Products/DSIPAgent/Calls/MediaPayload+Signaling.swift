import DSIPMedia
import DSIPSignaling
import Encoding
import WebRTC

// The descriptors of a message (DSIP §16) and those the binding reasons about are two views of the same JSON.

extension MediaPayload {
    init(
        _ media: [DSIPSignaling.MediaDescriptor], _ transports: [DSIPSignaling.TransportDescriptor]
    ) throws(MediaBindingError) {
        try self.init(json: [
            "media": .array(media.map(\.json)), "transports": .array(transports.map(\.json)),
        ])
    }

    var messageMedia: [DSIPSignaling.MediaDescriptor] {
        media.compactMap { descriptor in
            guard let kind = DSIPSignaling.MediaDescriptor.Kind(rawValue: descriptor.type),
                let direction = DSIPSignaling.MediaDescriptor.Direction(rawValue: descriptor.direction.rawValue)
            else { return nil }
            return DSIPSignaling.MediaDescriptor(
                kind, direction: direction, codecs: descriptor.codecs.map { Codec($0) }, purpose: descriptor.purpose)
        }
    }

    var messageTransports: [DSIPSignaling.TransportDescriptor] {
        transports.map { descriptor in
            var parameters: JSONObject = [:]
            if let ice = descriptor.ice { parameters["ice"] = .string(ice) }
            if let sdp = descriptor.sdp { parameters["sdp"] = .string(sdp) }
            return DSIPSignaling.TransportDescriptor(descriptor.id, parameters: parameters)
        }
    }
}

extension Call.Media {
    init(_ kinds: MediaKinds) { self.init(audio: kinds.audio, video: kinds.video) }
    init(_ payload: MediaPayload) { self.init(MediaKinds(payload.media)) }
}

extension Info {
    init(_ candidates: CandidateInfo) {
        self.init(
            WebRTCCandidates(
                candidates.candidates.map { .init($0.candidate, sdpMid: $0.sdpMid, sdpMLineIndex: $0.sdpMLineIndex) },
                endOfCandidates: candidates.endOfCandidates))
    }
}

extension CandidateInfo {
    init?(_ info: Info) {
        guard let candidates = WebRTCCandidates(info) else { return nil }
        self.init(
            candidates: candidates.candidates.map {
                SignaledCandidate(candidate: $0.candidate, sdpMid: $0.sdpMid, sdpMLineIndex: $0.sdpMLineIndex)
            }, endOfCandidates: candidates.endOfCandidates)
    }
}
