import DSIPDialect03
import DSIPIdentity
import DSIPSignaling
import Encoding

/// One invite with the offer of a browser in each of the four forms: its size, and what it costs to verify beside DSIP-JOSE.
enum FormsBenchmark {
    private static let sdp: String = {
        var lines = [
            "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
            "a=extmap-allow-mixed", "a=msid-semantic: WMS",
        ]
        let media = [("audio", ["111 opus/48000/2", "63 red/48000/2"]), ("video", ["96 VP8/90000", "97 rtx/90000"])]
        for (mid, (kind, maps)) in media.enumerated() {
            let formats = maps.map { $0.prefix { $0 != " " } }.joined(separator: " ")
            lines += [
                "m=\(kind) 9 UDP/TLS/RTP/SAVPF \(formats)", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
                "a=ice-ufrag:Yk7W", "a=ice-pwd:q3Xv0sR1m8Zb2Lk9Tn4Pw7Hd", "a=ice-options:trickle",
                "a=fingerprint:sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":"),
                "a=setup:actpass", "a=mid:\(mid)", "a=sendrecv", "a=rtcp-mux",
            ]
            lines += maps.map { "a=rtpmap:\($0)" }
        }
        return lines.joined(separator: "\r\n") + "\r\n"
    }()

    static func run() throws {
        let now: Int64 = 1_760_000_000
        let device = SigningKey()
        var random = SystemRandomNumberGenerator()
        let message = Message.invite(
            Message.Stamp(
                id: ULID(milliseconds: UInt64(now) * 1000, using: &random),
                from: device.did,
                issuedAt: now
            ),
            to: SigningKey().did,
            Invite(
                media: [
                    MediaDescriptor(.audio, codecs: [Codec("codec:audio/opus")]),
                    MediaDescriptor(.video, codecs: [Codec("codec:video/vp8")]),
                ],
                transports: [TransportDescriptor(webRTC: sdp)],
                identity: IdentityInfo(displayName: "Alice")
            )
        )
        let codecs: [any WireCodec] = [COSECodec(), ProposalCodec.json, ProposalCodec.cbor]
        let frames =
            try [message.signed(by: device).bytes]
            + codecs.map { try $0.sign(message, by: device, delegations: []).bytes }
        var verifier = EnvelopeVerifier(codecs: codecs)
        var replay = NoReplay()
        let medians = try Rounds().measure(
            frames.map { frame in
                {
                    let verdict = verifier.verify(frame, at: now, replay: &replay, documents: { _ in .unknown })
                    guard case .accepted = verdict else { fatalError("the sample does not verify") }
                }
            }
        )
        let names = ["DSIP-JOSE", "DSIP-COSE", "proposal, JSON", "proposal, CBOR"]
        for index in 1..<4 {
            Report.line(
                "form: \(names[index])",
                "\(frames[index].count) bytes in \(Report.microseconds(medians[index])), DSIP-JOSE \(frames[0].count) bytes in \(Report.microseconds(medians[0]))",
                ratio: medians[0] / medians[index],
                atLeast: 0.4
            )
        }
        Report.line(
            "form: CBOR beside JSON, size",
            "\(frames[1].count) of \(frames[0].count) bytes, \(frames[3].count) of \(frames[2].count) bytes",
            ratio: Double(frames[1].count) / Double(frames[0].count),
            atMost: 0.85
        )
    }
}
