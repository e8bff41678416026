import DSIPMedia
import Encoding
import WebRTC

/// Descriptions, candidates and STUN: what a peer's media side sends.
let mediaFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "sdp",
        seeds: [
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
                + "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=mid:0\r\n"
                + "a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\n"
        ]
    ) { bytes in
        guard let description = try? SessionDescription(parsing: bytes) else { return }
        precondition(
            (try? SessionDescription(parsing: description.serialized())) == description,
            "a description changed when written and read"
        )
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? CheckedOffer(own: text)
    },
    FuzzEntry(
        "candidate",
        seeds: ["candidate:1 1 udp 1677729535 203.0.113.7 61481 typ srflx raddr 10.0.0.5 rport 61481"]
    ) {
        let text = String(decoding: $0, as: UTF8.self)
        _ = ICECandidate(text)
        _ = IPAddress(text)
    },
    FuzzEntry(
        "candidate-info",
        seeds: [
            #"{"candidates":[{"candidate":"candidate:1","sdp_mid":"0","sdp_m_line_index":0}],"end_of_candidates":true}"#
        ]
    ) { bytes in
        guard let json = try? JSONValue(parsing: bytes), let info = CandidateInfo(json: json) else { return }
        precondition(info.json == json, "candidate info changed when written and read")
    },
    FuzzEntry("stun", seeds: [stunSeed]) { bytes in
        _ = BindingResponder().respond(to: bytes, from: TransportAddress(.v4(SIMD4(192, 0, 2, 1)), port: 1))
        guard let message = try? STUNMessage(bytes) else { return }
        _ = (try? message.xorMappedAddress(), try? message.mappedAddress(), try? message.errorCode())
        _ = (
            try? message.username(), try? message.userHash(), try? message.unknownAttributes(),
            message.hasValidFingerprint
        )
        try? message.verifyIntegrity(.shortTerm(password: "secret"))
    },
]

private let stunSeed: [UInt8] = {
    var writer = STUNWriter(STUNMessageType(.request, .binding), transactionID: Array(1...12))
    writer.attribute(.username, "evtj:h6vY".utf8)
    writer.xorMappedAddress(TransportAddress(.v4(SIMD4(192, 0, 2, 1)), port: 32_853))
    writer.messageIntegrity(.shortTerm(password: "secret"))
    writer.fingerprint()
    return writer.bytes
}()
