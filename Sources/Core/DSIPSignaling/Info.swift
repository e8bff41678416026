import Encoding

/// Carries data of a transport binding within an established session (DSIP §12.12).
public struct Info: Hashable, Sendable {
    public static let webRTC = "transport:webrtc"
    public static let dtmf = "media:dtmf"

    /// A registered namespace; an unknown one is ignored by receivers. Empty only in a sealed info.
    public var about: String
    public var sealed: SealedBody?
    private var open: OpenMembers

    /// As the binding named in `about` defines; checked for the bindings known here.
    public var data: JSONObject {
        get { open.object }
        set { open = OpenMembers(newValue) }
    }

    public init(about: String, data: JSONObject) {
        self.about = about
        self.open = OpenMembers(data)
    }

    public init(_ candidates: WebRTCCandidates) { self.init(about: Info.webRTC, data: candidates.json) }
    public init(_ digits: DTMFDigits) { self.init(about: Info.dtmf, data: digits.json) }

    init(_ fields: inout Fields) throws(ShapeFault) {
        let about = try fields.optional("about") { (view) throws(ShapeFault) in try view.text("about", Pattern.about) }
        let data = fields.optional("data")
        self.sealed = try fields.sealed()
        guard sealed != nil || about != nil && data != nil else { throw ShapeFault("an info without data") }
        self.about = about ?? ""
        self.open = OpenMembers(JSONObject())
        if let data {
            guard data.isObject else { throw ShapeFault("data is no object") }
            self.open = OpenMembers(of: data, except: [])
            switch about {
            case Info.webRTC: _ = try WebRTCCandidates(data)
            case Info.dtmf: _ = try DTMFDigits(data)
            default: break
            }
        }
    }

    func write(to object: inout JSONObject) {
        if !about.isEmpty {
            object["about"] = .string(about)
            object["data"] = .object(data)
        }
        if let sealed { object["sealed"] = sealed.json }
    }
}

/// Trickled ICE candidates, the `data` of `transport:webrtc` (WebRTC Media Binding, Appendix A).
public struct WebRTCCandidates: Hashable, Sendable {
    public struct Candidate: Hashable, Sendable {
        /// A `candidate:` attribute (RFC 8839 §5.1), at most 512 Unicode scalars.
        public var candidate: String
        /// At most 64 Unicode scalars.
        public var sdpMid: String
        public var sdpMLineIndex: Int64?

        public init(_ candidate: String, sdpMid: String, sdpMLineIndex: Int64? = nil) {
            self.candidate = candidate
            self.sdpMid = sdpMid
            self.sdpMLineIndex = sdpMLineIndex
        }
    }

    /// At most 64.
    public var candidates: [Candidate]
    public var endOfCandidates: Bool

    public init(_ candidates: [Candidate], endOfCandidates: Bool = false) {
        self.candidates = candidates
        self.endOfCandidates = endOfCandidates
    }

    /// - Returns: nil when `info` is about something else.
    public init?(_ info: Info) {
        guard info.about == Info.webRTC,
            let document = try? JSONDocument(scanning: JSONValue.object(info.data).utf8),
            let candidates = try? WebRTCCandidates(document.root)
        else { return nil }
        self = candidates
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "data")
        self.candidates = try fields.required("candidates").list("data.candidates", atMost: 64) {
            (view) throws(ShapeFault) in
            var fields = try Fields(view, "candidate")
            let member = try fields.required("candidate")
            guard member.matches({ Pattern.starts($0, "candidate:") }) else { throw ShapeFault("not a candidate") }
            let candidate = Candidate(
                try member.text("candidate", limit: 512),
                sdpMid: try fields.required("sdp_mid").text("candidate.sdp_mid", limit: 64),
                sdpMLineIndex: try fields.optional("sdp_m_line_index") { (view) throws(ShapeFault) in
                    try view.integer("candidate.sdp_m_line_index")
                }
            )
            try fields.finish()
            return candidate
        }
        self.endOfCandidates = try fields.required("end_of_candidates").boolean("data.end_of_candidates")
        try fields.finish()
    }

    var json: JSONObject {
        let list = candidates.map { candidate -> JSONValue in
            var object: JSONObject = [
                "candidate": .string(candidate.candidate), "sdp_mid": .string(candidate.sdpMid),
            ]
            if let index = candidate.sdpMLineIndex { object["sdp_m_line_index"] = .int(index) }
            return .object(object)
        }
        return ["candidates": .array(list), "end_of_candidates": .bool(endOfCandidates)]
    }
}

/// Keys pressed during a call, the `data` of `media:dtmf` (DSIP §12.12).
public struct DTMFDigits: Hashable, Sendable {
    /// 1…32 of `0`–`9`, `*`, `#`, `A`–`D`, in the order pressed.
    public var digits: String
    /// Length of each tone, 40…10,000.
    public var milliseconds: Int64?

    /// - Returns: nil when `digits` holds anything else or too many.
    public init?(_ digits: String, milliseconds: Int64? = nil) {
        guard Array(digits.utf8).withUnsafeBytes(Pattern.digits), (40...10_000).contains(milliseconds ?? 40) else {
            return nil
        }
        self.digits = digits
        self.milliseconds = milliseconds
    }

    /// - Returns: nil when `info` is about something else.
    public init?(_ info: Info) {
        guard info.about == Info.dtmf, let digits = info.data["digits"]?.string else { return nil }
        self.init(digits, milliseconds: info.data["duration_ms"]?.int)
    }

    init(_ view: JSONView) throws(ShapeFault) {
        var fields = try Fields(view, "data")
        self.digits = try fields.required("digits").text("data.digits", Pattern.digits)
        self.milliseconds = try fields.optional("duration_ms") { (view) throws(ShapeFault) in
            try view.integer("data.duration_ms", 40...10_000)
        }
        try fields.finish()
    }

    var json: JSONObject {
        var object: JSONObject = ["digits": .string(digits)]
        if let milliseconds { object["duration_ms"] = .int(milliseconds) }
        return object
    }
}
