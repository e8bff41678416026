import Encoding

/// The `data` of an `info` about `transport:webrtc`. B§4.2, Appendix A
public struct CandidateInfo: Hashable, Sendable {
    /// At most 64.
    public var candidates: [SignaledCandidate]
    /// Gathering for the current description is complete with this batch.
    public var endOfCandidates: Bool

    public static let maximumCandidates = 64

    public init(candidates: [SignaledCandidate], endOfCandidates: Bool) {
        self.candidates = candidates
        self.endOfCandidates = endOfCandidates
    }
}

/// One candidate as browsers hand it out. B§4.2
public struct SignaledCandidate: Hashable, Sendable {
    /// The attribute after `a=`, prefix `candidate:` included; at most 512 characters.
    public var candidate: String
    /// The mid of its section; at most 64 characters.
    public var sdpMid: String
    public var sdpMLineIndex: Int64?

    public init(candidate: String, sdpMid: String, sdpMLineIndex: Int64? = nil) {
        self.candidate = candidate
        self.sdpMid = sdpMid
        self.sdpMLineIndex = sdpMLineIndex
    }
}

extension CandidateInfo {
    /// `nil` where the schema of Appendix A refuses it.
    public init?(json: JSONValue) {
        guard let object = json.object, object.count == 2, let list = object["candidates"]?.array,
            list.count <= Self.maximumCandidates, let end = object["end_of_candidates"]?.bool
        else { return nil }
        let candidates = list.compactMap(SignaledCandidate.init(json:))
        guard candidates.count == list.count else { return nil }
        self.init(candidates: candidates, endOfCandidates: end)
    }

    public var json: JSONValue {
        ["candidates": .array(candidates.map(\.json)), "end_of_candidates": .bool(endOfCandidates)]
    }
}

extension SignaledCandidate {
    /// `nil` where the schema of Appendix A refuses it, a `username_fragment` included.
    public init?(json: JSONValue) {
        guard let object = json.object, let candidate = object["candidate"]?.string, candidate.hasPrefix("candidate:"),
            candidate.unicodeScalars.count <= 512, let mid = object["sdp_mid"]?.string, mid.unicodeScalars.count <= 64
        else { return nil }
        if let index = object["sdp_m_line_index"] {
            guard let number = index.int, number >= 0, object.count == 3 else { return nil }
            sdpMLineIndex = number
        } else {
            guard object.count == 2 else { return nil }
        }
        self.candidate = candidate
        sdpMid = mid
    }

    public var json: JSONValue {
        var object: JSONObject = ["candidate": .string(candidate), "sdp_mid": .string(sdpMid)]
        if let sdpMLineIndex { object["sdp_m_line_index"] = .int(sdpMLineIndex) }
        return .object(object)
    }
}
