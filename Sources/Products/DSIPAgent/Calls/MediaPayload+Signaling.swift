import DSIPMedia
import DSIPSignaling

extension ProfileID {
    /// An `update` may restart ICE between two devices that both name it; ours, never critical. docs/conformance.md
    static let iceRestart: ProfileID = "ice-restart/1.0"
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
                endOfCandidates: candidates.endOfCandidates
            )
        )
    }
}

extension CandidateInfo {
    /// The same in messages of one candidate, or of the end alone, as the proposal has them.
    var oneByOne: [CandidateInfo] {
        candidates.map { CandidateInfo(candidates: [$0], endOfCandidates: false) }
            + (endOfCandidates ? [CandidateInfo(candidates: [], endOfCandidates: true)] : [])
    }

    init?(_ info: Info) {
        guard let candidates = WebRTCCandidates(info) else { return nil }
        self.init(
            candidates: candidates.candidates.map {
                SignaledCandidate(candidate: $0.candidate, sdpMid: $0.sdpMid, sdpMLineIndex: $0.sdpMLineIndex)
            },
            endOfCandidates: candidates.endOfCandidates
        )
    }
}
