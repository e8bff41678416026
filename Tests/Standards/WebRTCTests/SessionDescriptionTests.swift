import Support
import Testing
import WebRTC

@Suite("Session descriptions") struct SessionDescriptionTests {
    /// An offer as Chromium writes it, shortened.
    static let offer = """
        v=0\r
        o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
        s=-\r
        t=0 0\r
        a=group:BUNDLE 0 1\r
        a=extmap-allow-mixed\r
        a=msid-semantic: WMS stream\r
        m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 126\r
        c=IN IP4 0.0.0.0\r
        a=rtcp:9 IN IP4 0.0.0.0\r
        a=candidate:842163049 1 udp 1677729535 203.0.113.7 61481 typ srflx raddr 10.0.0.5 rport 61481 generation 0\r
        a=candidate:1 1 udp 2113937151 0b9cbe2c-9a3c-4ac0-9b8c-0c0b7e2f9a11.local 51472 typ host\r
        a=candidate:nonsense\r
        a=ice-ufrag:F7gI\r
        a=ice-pwd:x9cml/YzichV2+XlhiMu8g\r
        a=ice-options:trickle\r
        a=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99\r
        a=setup:actpass\r
        a=mid:0\r
        a=sendrecv\r
        a=rtcp-mux\r
        a=rtpmap:111 opus/48000/2\r
        a=rtcp-fb:111 transport-cc\r
        a=fmtp:111 minptime=10;useinbandfec=1\r
        a=rtpmap:63 red/48000/2\r
        a=rtpmap:0 PCMU/8000\r
        a=rtpmap:126 telephone-event/8000\r
        m=video 9 UDP/TLS/RTP/SAVPF 96 103\r
        c=IN IP4 0.0.0.0\r
        b=AS:2000\r
        a=ice-ufrag:F7gI\r
        a=ice-pwd:x9cml/YzichV2+XlhiMu8g\r
        a=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99\r
        a=setup:actpass\r
        a=mid:1\r
        a=recvonly\r
        a=rtcp-mux\r
        a=rtpmap:96 VP8/90000\r
        a=rtpmap:103 H264/90000\r
        a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r

        """

    @Test("a browser's offer shows its sections, codecs, candidates and credentials")
    func browserOffer() throws {
        let description = try SessionDescription(parsing: Self.offer)
        #expect(description.origin.sessionID == "4611731400430051336")
        #expect(description.bundleGroups == [["0", "1"]])
        #expect(!description.isICELite)
        try #require(description.media.count == 2)
        let (audio, video) = (description.media[0], description.media[1])
        #expect(audio.kind == "audio" && audio.port == 9 && audio.transportProtocol == "UDP/TLS/RTP/SAVPF")
        #expect(audio.formats == ["111", "63", "0", "126"])
        #expect(audio.mid == "0" && audio.multiplexesRTCP && !audio.isBundleOnly && !audio.endsCandidates)
        #expect(audio.rtpMaps.first?.encoding == "opus" && audio.rtpMaps.first?.channels == 2)
        #expect(audio.formatParameters.first?.parameter("UseInBandFEC") == "1")
        #expect(description.direction(of: audio) == .sendrecv && description.direction(of: video) == .recvonly)
        #expect(description.setup(of: audio) == .actpass)
        let credentials = ICECredentials(usernameFragment: "F7gI", password: "x9cml/YzichV2+XlhiMu8g")
        #expect(description.iceCredentials(of: video) == credentials)
        #expect(description.fingerprints(of: audio).map(\.bytes.count) == [32])
        #expect(video.bandwidths == [Bandwidth(type: "AS", value: "2000")])
        #expect(audio.candidates.count == 2)
        let reflexive = try #require(audio.candidates.first)
        #expect(reflexive.type == .srflx && reflexive.relatedAddress == "10.0.0.5" && reflexive.relatedPort == 61_481)
        #expect(reflexive.extensions == [SessionAttribute("generation", "0")])
        #expect(audio.candidates[1].address.hasSuffix(".local"))
    }

    @Test("what was parsed is written back byte for byte")
    func roundTrip() throws {
        #expect(try SessionDescription(parsing: Self.offer).serialized() == Self.offer)
    }

    @Test("a section without its own attribute takes that of the session")
    func inheritance() throws {
        let fingerprint = "sha-256 " + Array(repeating: "0A", count: 32).joined(separator: ":")
        let description = try SessionDescription(
            parsing: head + "a=recvonly\na=setup:passive\na=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n"
                + "a=fingerprint:\(fingerprint)\nm=audio 9 RTP/SAVPF 0\nm=audio 9 RTP/SAVPF 0\na=sendonly\na=setup:active\n"
        )
        let (first, second) = (description.media[0], description.media[1])
        #expect(description.direction(of: first) == .recvonly && description.direction(of: second) == .sendonly)
        #expect(description.setup(of: first) == .passive && description.setup(of: second) == .active)
        #expect(description.iceCredentials(of: first)?.usernameFragment == "abcd")
        #expect(description.fingerprints(of: second).first?.bytes == [UInt8](repeating: 10, count: 32))
    }

    static let junk: [(String, WebRTCError.Code)] = [
        ("", .missingLine), ("hello", .badLine), ("v=0", .missingLine), ("v=0\ns=-\n", .missingLine),
        (head + "\nm=audio 9 RTP/AVP 0\n", .badLine), (head + "x=1\n", .badLine), (head + "V=1\n", .badLine),
        (head + "s=again\n", .badLine), (head + "a=b\nt=0 0\n", .badLine), (head + "a=\n", .badValue),
        (head + "a=b\u{0}c\n", .badText), (head + "a=b\rc\n", .badText), (head + "t=0\n", .badValue),
        (head + "b=AS:x\n", .badValue), (head + "c=IN IP4\n", .badValue),
        (head + "c=IN IP4 1.2.3.4\nc=IN IP4 1.2.3.4\n", .badLine),
        (head + "m=audio 65536 RTP/AVP 0\n", .badValue), (head + "m=audio +9 RTP/AVP 0\n", .badValue),
        (head + "m=audio 9 RTP/AVP\n", .badValue), (head + "m=audio 9/0 RTP/AVP 0\n", .badValue),
        (head + "m=audio 9 RTP/AVP 0\nt=0 0\n", .badLine), (head + "r=7d 1h\n", .badValue),
    ]

    @Test("junk is refused", arguments: junk)
    func refusesJunk(_ text: String, _ code: WebRTCError.Code) {
        #expect(throws: WebRTCError(code, "")) { try SessionDescription(parsing: text) }
    }

    @Test(
        "an attribute that secures or reaches media may be neither malformed, misplaced nor given twice",
        arguments: [
            "a=setup:maybe", "a=setup:active\na=setup:passive", "a=setup", "a=ice-ufrag:abc", "a=ice-pwd:short",
            "a=ice-ufrag:abcd\na=ice-ufrag:efgh", "a=fingerprint:sha-256 AA:BB", "a=fingerprint:sha-256",
            "a=sendrecv\na=sendonly", "a=sendrecv:x", "a=mid:a\na=mid:b", "a=mid:", "a=ice-lite", "a=group:",
            "a=rtcp-mux:1",
        ]
    )
    func securityAttributes(_ lines: String) {
        #expect(throws: WebRTCError(.badValue, "")) {
            try SessionDescription(parsing: head + "m=audio 9 UDP/TLS/RTP/SAVPF 0\n" + lines + "\n")
        }
    }

    @Test("one mid names one section")
    func midTwice() {
        let section = "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:a\n"
        #expect(throws: WebRTCError(.badValue, "")) { try SessionDescription(parsing: head + section + section) }
    }

    @Test("text, lines and sections are bounded")
    func bounds() throws {
        #expect(throws: WebRTCError(.tooLarge, "")) {
            try SessionDescription(parsing: head + "a=x:" + String(repeating: "y", count: 65_536))
        }
        #expect(throws: WebRTCError(.tooLarge, "")) {
            try SessionDescription(parsing: head + String(repeating: "a=x\n", count: 4_096))
        }
        let section = "m=audio 9 RTP/AVP 0\n"
        #expect(try SessionDescription(parsing: head + String(repeating: section, count: 64)).media.count == 64)
        #expect(throws: WebRTCError(.tooLarge, "")) {
            try SessionDescription(parsing: head + String(repeating: section, count: 65))
        }
        #expect(throws: WebRTCError(.badText, "")) { try SessionDescription(parsing: [0x76, 0x3D, 0x30, 0x0A, 0xFF]) }
    }

    @Test(
        "candidates that break the grammar are no candidates",
        arguments: [
            "candidate:", "candidate:1 1 udp 1 1.2.3.4 9 typ", "candidate:1 0 udp 1 1.2.3.4 9 typ host",
            "candidate:1 257 udp 1 1.2.3.4 9 typ host", "candidate:1 1 udp 0 1.2.3.4 9 typ host",
            "candidate:1 1 udp 1 1.2.3.4 65536 typ host", "candidate:1 1 udp 1 1.2.3.4 9 typ other",
            "candidate:1 1 udp 1 1.2.3.4 9 typ host odd", "candidate:1  udp 1 1.2.3.4 9 typ host",
            "1 1 udp 1 1.2.3.4 9 typ host", "candidate:" + String(repeating: "1", count: 600),
        ]
    )
    func badCandidates(_ text: String) { #expect(ICECandidate(text) == nil) }

    @Test("an answer's direction is admitted as RFC 3264 says")
    func directions() {
        let admitted: [MediaDirection: Set<MediaDirection>] = [
            .sendrecv: [.sendrecv, .sendonly, .recvonly, .inactive], .sendonly: [.recvonly, .inactive],
            .recvonly: [.sendonly, .inactive], .inactive: [.inactive],
        ]
        for (offer, answers) in admitted {
            for answer in MediaDirection.allCases { #expect(offer.admits(answer: answer) == answers.contains(answer)) }
        }
        #expect(MediaDirection.sendonly.reversed == .recvonly && MediaDirection.inactive.reversed == .inactive)
    }

    @Test("damaged descriptions never trap, and what is accepted writes and reads the same")
    func mutations() throws {
        var random = SeededRandom(seed: 8_866)
        let original = Array(Self.offer.utf8)
        var accepted = 0
        for _ in 0..<3_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert(UInt8.random(in: 0...127, using: &random), at: at)
                default: bytes.removeSubrange(at..<min(bytes.count, at + 40))
                }
            }
            guard let description = try? SessionDescription(parsing: bytes) else { continue }
            accepted += 1
            for section in description.media { _ = (section.candidates, section.rtpMaps, section.formatParameters) }
            let again = try SessionDescription(parsing: description.serialized())
            if again != description { Issue.record("\(String(decoding: bytes, as: UTF8.self))") }
        }
        #expect(accepted > 100)
    }
}

private let head = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
