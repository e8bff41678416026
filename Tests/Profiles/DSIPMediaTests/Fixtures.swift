import DSIPMedia
import DSIPSignaling
import Encoding
import Testing
import WebRTC

/// Descriptions of the shape browsers write, section by section.
enum Fixture {
    static let fingerprint = "sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":")

    struct Section {
        var kind = "audio"
        var port = 9
        var proto = "UDP/TLS/RTP/SAVPF"
        var mid = "0"
        var direction = "sendrecv"
        var setup = "actpass"
        var ufrag = "abcd"
        var maps = ["111 opus/48000/2"]
        var extra: [String] = []
        var without: Set<String> = []

        var lines: [String] {
            let formats = maps.map { $0.prefix { $0 != " " } }.joined(separator: " ")
            let attributes: [(String, String)] = [
                ("ice-ufrag", "a=ice-ufrag:\(ufrag)"), ("ice-pwd", "a=ice-pwd:0123456789012345678901"),
                ("fingerprint", "a=fingerprint:\(Fixture.fingerprint)"), ("setup", "a=setup:\(setup)"),
                ("mid", "a=mid:\(mid)"),
                ("direction", "a=\(direction)"), ("rtcp-mux", "a=rtcp-mux"),
            ]
            return ["m=\(kind) \(port) \(proto) \(formats)", "c=IN IP4 0.0.0.0"]
                + attributes.filter { !without.contains($0.0) }.map(\.1) + maps.map { "a=rtpmap:\($0)" } + extra
        }
    }

    static func sdp(_ sections: [Section], session: [String] = []) -> String {
        let bundle = sections.filter { $0.port != 0 || $0.extra.contains("a=bundle-only") }.map(\.mid).joined(
            separator: " "
        )
        let lines =
            ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE \(bundle)"] + session
            + sections.flatMap(\.lines)
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    static let audio = Section()
    static let video = Section(
        kind: "video",
        mid: "1",
        maps: ["96 VP8/90000", "97 rtx/90000", "98 H264/90000", "99 H264/90000"]
    )

    static func answering(_ section: Section) -> Section {
        var section = section
        section.setup = "active"
        section.ufrag = "wxyz"
        return section
    }

    static func payload(
        _ sdp: String?,
        _ media: [MediaDescriptor] = [audioDescriptor],
        ice: String? = "trickle"
    ) -> MediaPayload {
        var parameters: JSONObject = [:]
        if let ice { parameters["ice"] = .string(ice) }
        if let sdp { parameters["sdp"] = .string(sdp) }
        return MediaPayload(
            media: media,
            transports: [TransportDescriptor(TransportDescriptor.webRTC, parameters: parameters)]
        )
    }

    static let audioDescriptor = MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")])

    static func offer(_ sections: [Section] = [audio]) throws -> CheckedOffer { try CheckedOffer(own: sdp(sections)) }
}
