import DSIPMedia
import DSIPSignaling
import Encoding
import Testing
import WebRTC

@Suite("Offers and answers of the WebRTC binding") struct BindingCheckTests {
    typealias Section = Fixture.Section
    typealias Code = MediaBindingError.Code

    private func offerError(_ payload: MediaPayload) -> MediaBindingError? {
        do throws(MediaBindingError) {
            _ = try CheckedOffer(checking: payload)
            return nil
        } catch {
            return error
        }
    }

    private func refuses(
        _ code: Code,
        _ payload: MediaPayload,
        as reason: String = "media.unsupported",
        _ location: SourceLocation = #_sourceLocation
    ) {
        let error = offerError(payload)
        #expect(
            error?.code == code && error?.reason == reason,
            "\(String(describing: error))",
            sourceLocation: location
        )
    }

    private func altered(_ change: (inout Section) -> Void) -> MediaPayload {
        var section = Fixture.audio
        change(&section)
        return Fixture.payload(Fixture.sdp([section]))
    }

    @Test("an offer breaking one rule is refused with that rule's code and token")
    func offers() {
        #expect(offerError(altered { _ in }) == nil)
        refuses(.iceMode, Fixture.payload(Fixture.sdp([Fixture.audio]), ice: "full"))
        refuses(.sdpMissing, Fixture.payload(nil), as: "media.offer-required")
        refuses(.sdpInvalid, Fixture.payload("not sdp"))
        refuses(.sdpInvalid, Fixture.payload(""))
        let application = Section(kind: "application", proto: "UDP/DTLS/SCTP", mid: "9", maps: ["5000 x/1"])
        refuses(.extraSection, Fixture.payload(Fixture.sdp([Fixture.audio, application])))
        refuses(.sectionCount, Fixture.payload(Fixture.sdp([Fixture.audio, Fixture.video])))
        refuses(.sectionCount, Fixture.payload(Fixture.sdp([]), []))
        refuses(.kindMismatch, Fixture.payload(Fixture.sdp([Fixture.video])))
        refuses(.directionMismatch, altered { $0.direction = "recvonly" })
        refuses(.codecMissing, altered { $0.maps = ["0 PCMU/8000"] })
        refuses(.codecMissing, altered { $0.maps = ["111 opus/48000"] })
        refuses(
            .codecMissing,
            altered {
                $0.maps = ["0 PCMU/8000"]
                $0.extra = ["a=rtpmap:111 opus/48000/2"]
            }
        )
        refuses(.encryption, altered { $0.proto = "RTP/AVPF" }, as: "media.encryption-required")
        refuses(.rtcpMuxMissing, altered { $0.without = ["rtcp-mux"] })
        refuses(.fingerprintMissing, altered { $0.without = ["fingerprint"] })
        refuses(
            .fingerprintMissing,
            altered {
                $0.without = ["fingerprint"]
                $0.extra = ["a=fingerprint:sha-1 " + Array(repeating: "AB", count: 20).joined(separator: ":")]
            }
        )
        refuses(.iceCredentialsMissing, altered { $0.without = ["ice-pwd"] })
        refuses(.setupInvalid, altered { $0.setup = "active" })
        refuses(.setupInvalid, altered { $0.without = ["setup"] })
    }

    @Test("the earlier rule of the suite's order wins, across sections too")
    func order() {
        var second = Fixture.video
        second.kind = "audio"
        var first = Fixture.audio
        first.proto = "RTP/AVP"
        // Section 1 has the wrong kind, section 0 only the wrong profile: consistency of all sections comes first.
        refuses(
            .kindMismatch,
            Fixture.payload(
                Fixture.sdp([first, second]),
                [
                    Fixture.audioDescriptor,
                    MediaDescriptor(.video, direction: .sendrecv, codecs: [Codec("codec:video/vp8")]),
                ]
            )
        )
        refuses(.iceMode, Fixture.payload(nil, ice: nil))
    }

    @Test("session-level attributes count for a section without its own")
    func sessionLevel() throws {
        var section = Fixture.audio
        section.without = ["fingerprint", "setup", "ice-ufrag", "ice-pwd", "direction"]
        let sdp = Fixture.sdp(
            [section],
            session: [
                "a=fingerprint:\(Fixture.fingerprint)", "a=setup:actpass", "a=ice-ufrag:abcd",
                "a=ice-pwd:0123456789012345678901",
                "a=sendrecv",
            ]
        )
        #expect(offerError(Fixture.payload(sdp)) == nil)
    }

    @Test("an update of a call on this binding has to offer it again")
    func update() {
        let elsewhere = MediaPayload(media: [Fixture.audioDescriptor], transports: [])
        #expect(throws: MediaBindingError(.sdpMissing, on: .offer, "")) { try CheckedOffer(checkingUpdate: elsewhere) }
    }

    @Test("the detail names the section")
    func detail() {
        var video = Fixture.video
        video.direction = "inactive"
        let media = [
            Fixture.audioDescriptor, MediaDescriptor(.video, direction: .sendrecv, codecs: [Codec("codec:video/vp8")]),
        ]
        #expect(offerError(Fixture.payload(Fixture.sdp([Fixture.audio, video]), media))?.detail == "m= section 1")
    }

    @Test("descriptors come from our own offer and agree with it")
    func ownOffer() throws {
        var screen = Fixture.video
        (screen.mid, screen.direction) = ("2", "sendonly")
        let sdp = Fixture.sdp([Fixture.audio, Fixture.video, screen])
        let offer = try CheckedOffer(own: sdp, purposes: ["2": "screen"])
        #expect(
            offer.payload.media == [
                Fixture.audioDescriptor,
                MediaDescriptor(
                    .video,
                    direction: .sendrecv,
                    codecs: [Codec("codec:video/vp8"), Codec("codec:video/h264")]
                ),
                MediaDescriptor(
                    .video,
                    direction: .sendonly,
                    codecs: [Codec("codec:video/vp8"), Codec("codec:video/h264")],
                    purpose: "screen"
                ),
            ]
        )
        #expect(offer.payload.transports == [TransportDescriptor(webRTC: sdp)])
        #expect(offer.kinds.audio && offer.kinds.video)
        #expect(try CheckedOffer(checking: offer.payload) == offer)
        // The JSON of the payload is what a peer decodes.
        let json: JSONValue = [
            "media": .array(offer.payload.media.map(\.json)),
            "transports": .array(offer.payload.transports.map(\.json)),
        ]
        #expect(try MediaPayload(json: JSONValue(parsing: json.text)) == offer.payload)
    }

    @Test("our own description is held to more than a peer's: bundled, and not ice-lite")
    func ownProfile() {
        let unbundled = Fixture.sdp([Fixture.audio, Fixture.video]).replacing("BUNDLE 0 1", with: "BUNDLE 0")
        #expect(throws: MediaBindingError(.bundleMissing, on: .offer, "")) { try CheckedOffer(own: unbundled) }
        #expect(throws: MediaBindingError(.iceLite, on: .offer, "")) {
            try CheckedOffer(own: Fixture.sdp([Fixture.audio], session: ["a=ice-lite"]))
        }
        var unknown = Fixture.audio
        unknown.maps = ["0 PCMU/8000"]
        #expect(throws: MediaBindingError(.codecMissing, on: .offer, "")) {
            try CheckedOffer(own: Fixture.sdp([unknown]))
        }
    }

    @Test("a section that is bundle-only is offered, though its port is 0")
    func bundleOnly() throws {
        var video = Fixture.video
        (video.port, video.extra) = (0, ["a=bundle-only"])
        #expect(try CheckedOffer(own: Fixture.sdp([Fixture.audio, video])).payload.media.count == 2)
    }

    @Test("an answer selects from its offer: rejected sections, fewer codecs, other directions")
    func ownAnswer() throws {
        let offer = try CheckedOffer(
            own: Fixture.sdp([Fixture.audio, Fixture.video]),
            purposes: ["1": "sign-language"]
        )
        var (audio, video) = (Fixture.answering(Fixture.audio), Fixture.answering(Fixture.video))
        audio.port = 0
        (video.maps, video.direction) = (["98 H264/90000"], "recvonly")
        let answer = try CheckedAnswer(own: Fixture.sdp([audio, video]), to: offer)
        #expect(
            answer.payload.media == [
                MediaDescriptor(
                    .video,
                    direction: .recvonly,
                    codecs: [Codec("codec:video/h264")],
                    purpose: "sign-language"
                )
            ]
        )
        #expect(answer.roles.answerer == .client && answer.roles.offerer == .server)
        #expect(!answer.kinds.audio && answer.kinds.video)
        #expect(try CheckedAnswer(checking: answer.payload, to: offer) == answer)
    }

    @Test("an answer breaking a rule fails the leg, whatever the rule")
    func answers() throws {
        let offer = try Fixture.offer()
        func error(_ payload: MediaPayload) -> MediaBindingError? {
            do throws(MediaBindingError) {
                _ = try CheckedAnswer(checking: payload, to: offer)
                return nil
            } catch {
                return error
            }
        }
        func altered(_ change: (inout Section) -> Void) -> MediaPayload {
            var section = Fixture.answering(Fixture.audio)
            change(&section)
            return Fixture.payload(Fixture.sdp([section]), ice: nil)
        }
        #expect(error(altered { _ in }) == nil)
        #expect(error(altered { $0.setup = "passive" }) == nil)
        let cases: [(Code, MediaPayload)] = [
            (.setupInvalid, altered { $0.setup = "holdconn" }), (.setupInvalid, altered { $0.without = ["setup"] }),
            (.sdpMissing, Fixture.payload(nil, ice: nil)), (.encryption, altered { $0.proto = "RTP/AVP" }),
            (.iceMode, Fixture.payload(Fixture.sdp([Fixture.answering(Fixture.audio)]), ice: "full")),
            (
                .sectionCount,
                Fixture.payload(
                    Fixture.sdp([Fixture.answering(Fixture.audio), Fixture.answering(Fixture.video)]),
                    ice: nil
                )
            ),
            (.kindMismatch, altered { $0.kind = "video" }),
        ]
        for (code, payload) in cases {
            #expect(error(payload)?.code == code && error(payload)?.reason == "media.failed", "\(code)")
        }
        let elsewhere = MediaPayload(
            media: [Fixture.audioDescriptor],
            transports: [TransportDescriptor("transport:rtp")]
        )
        #expect(try CheckedAnswer(checking: elsewhere, to: offer) == nil)
    }

    @Test("a section the offer rejected cannot come alive in the answer")
    func revival() throws {
        var rejected = Fixture.video
        rejected.port = 0
        let offer = try CheckedOffer(own: Fixture.sdp([Fixture.audio, rejected]))
        let answer = Fixture.sdp([Fixture.answering(Fixture.audio), Fixture.answering(Fixture.video)])
        #expect(throws: MediaBindingError(.sectionCount, on: .answer, "")) { try CheckedAnswer(own: answer, to: offer) }
    }

    @Test("members the schemas would refuse are refused")
    func schema() {
        for text in [
            #"{"media":{}}"#, #"{"media":[{"type":"audio","direction":"up","codecs":[{"id":"x"}]}]}"#,
            #"{"media":[{"type":"audio","direction":"sendrecv","codecs":[]}]}"#, #"{"transports":[{}]}"#,
            #"{"media":[{"type":"audio","direction":"sendrecv","codecs":["codec:audio/opus"]}]}"#,
        ] {
            #expect(throws: MediaBindingError(.schemaInvalid, on: .offer, "")) {
                try MediaPayload(json: JSONValue(parsing: text))
            }
        }
    }
}
