import DSIPIdentity
import DSIPSignaling
import Encoding
import Testing

/// One message of every type, as full as it gets.
private let samples: [Message] = {
    let (device, bob, session) = (Fixture.phone.did, Fixture.bobDID, Fixture.ulid(50))
    let stamp = Fixture.stamp(device)
    func said(_ body: some MessageBody) -> Message { .inSession(session, stamp, to: bob, body) }
    func alone(_ body: some MessageBody) -> Message { Message(stamp, body) }
    var invite = Fixture.offer
    invite.grant = Fixture.ulid(4)
    invite.recording = RecordingDeclaration(state: "on", recorder: bob, purpose: "quality")
    invite.recordingSession = RecordingSession(
        of: Fixture.ulid(5),
        participants: [.init(identity: bob, role: "peer")],
        streams: [.init(media: 0, participant: bob)]
    )
    invite.destination = "tel:+15551234567"
    let capabilities = RelayCapabilities(
        storeAndForward: true,
        offlineRetention: 86_400,
        envelopesPerMinute: 120,
        invitesPerMinute: 10,
        pushWake: ["apns"],
        other: ["stun": ["stun:192.0.2.1:3478"]]
    )
    return [
        .invite(stamp, to: bob, invite),
        said(Progress(.queued, ringTimeout: 120, queueTimeout: 600)),
        said(
            Answer(
                by: .screening,
                media: [Fixture.audio],
                transport: TransportDescriptor(webRTC: "v=0\r\n"),
                inReplyTo: Fixture.ulid(6),
                policy: ["recording": "forbidden"]
            )
        ),
        said(Reject(.userDeclined, detail: "später", retryAfter: 0, inReplyTo: Fixture.ulid(7))),
        said(Cancel(.sessionTimeout, detail: .object(["losses": []]))),
        said(Update(media: [Fixture.audio], transports: [TransportDescriptor("transport:rtp")], answeredBy: .user)),
        said(
            Info(
                WebRTCCandidates(
                    [.init("candidate:1 1 udp 1 192.0.2.1 9 typ host", sdpMid: "0", sdpMLineIndex: 0)],
                    endOfCandidates: true
                )
            )
        ),
        said(Info(about: "transport:future", data: ["anything": [1, "two"]])),
        said(Bye(.userHangup)),
        Message(
            stamp,
            to: bob,
            Introduction(
                identity: IdentityInfo(displayName: "Carol"),
                purpose: "the antenna",
                contactToken: "token"
            )
        ),
        said(Grant(validUntil: Fixture.now + 1000)),
        alone(
            Publish(
                publisher: device,
                streamID: "\(device):radio",
                title: "Radio",
                state: .live,
                integrity: "metadata-only",
                variants: [
                    .init(
                        id: "opus",
                        media: [.audio],
                        codec: "codec:audio/opus",
                        transport: "transport:hls",
                        uri: "https://a.example/x",
                        parameters: ["integrity": "metadata-only"]
                    )
                ],
                policy: ["recording": "allowed"]
            )
        ),
        Message(
            stamp,
            to: bob,
            Subscribe(
                target: bob.string,
                events: ["presence"],
                expiresIn: 600,
                claims: [["a": 1]],
                capability: "token"
            )
        ),
        Message(
            stamp,
            to: bob,
            Notify(subscription: session, seq: 3, state: .terminated, reason: .sessionExpired, content: [:])
        ),
        alone(Unpublish(publisher: device, streamID: device.string, publication: session)),
        alone(
            Provenance(
                originalStream: device.string,
                originalPublication: session,
                processor: device,
                operation: "relay",
                inputVariant: "a",
                outputVariant: "b",
                outputURI: "https://b.example/"
            )
        ),
        alone(
            KeyRotationStatement(
                subject: bob,
                previous: Fixture.bob.kid,
                next: DIDURL(did: bob, fragment: "key-2"),
                nextPublicKey: "z6MkrgXg",
                reason: "lost",
                recovery: true,
                devices: [device]
            )
        ),
        alone(
            DelegationRevocationStatement(subject: bob, device: device, revokedAt: Fixture.now, reason: "lost")
        ),
        .error(stamp, to: bob, session: session, ErrorReport(.transportNoResponse, inReplyTo: session)),
        .hello(stamp, Hello(onBehalfOf: bob)),
        .hello(stamp, Hello(inReplyTo: session, capabilities: capabilities)),
        alone(
            ReachabilityHint(
                subject: device,
                endpoints: [.init(uri: "wss://r.example/dsip", parameters: ["weight": 1])],
                seq: 0
            )
        ),
    ]
}()

@Suite("Shapes of the messages")
struct ShapeTests {
    @Test("what is written is read back the same, for every type")
    func roundTrip() throws {
        #expect(Set(samples.map(\.type)) == Set(MessageType.allCases))
        for message in samples {
            #expect(try Message(decoding: JSONDocument(scanning: message.payload())) == message)
        }
    }

    @Test("a member that the schema does not have is refused, in every type")
    func closed() throws {
        for message in samples {
            guard case .object(var object) = message.json else { continue }
            object["x_unknown"] = 1
            #expect(!accepts(.object(object), message.type), "\(message.type)")
        }
    }

    @Test("a member of the wrong kind is refused, whichever it is")
    func kinds() throws {
        for message in samples {
            guard case .object(let object) = message.json else { continue }
            for (name, value) in object.members {
                var changed = object
                changed[name] = value == .null ? 1 : .null
                #expect(!accepts(.object(changed), message.type), "\(message.type) \(name)")
            }
        }
    }

    @Test(
        "rules beyond kinds hold",
        arguments: [
            ("invite", "media", "[]"),
            ("invite", "media", "[{\"type\":\"smell\",\"direction\":\"sendrecv\",\"codecs\":[]}]"),
            ("invite", "transports", "[]"), ("invite", "transports", "[{\"id\":\"webrtc\"}]"),
            ("invite", "intent", "\"Interactive\""), ("invite", "policy", "{\"Recording\":\"on\"}"),
            ("invite", "destination", "\"tel:555\""), ("invite", "recording", "{\"state\":\"on\"}"),
            ("invite", "identity", "{\"avatar\":\"x\"}"), ("invite", "session", "\"01K742SG001QG79X9HH56TS8SW\""),
            ("progress", "ring_timeout", "29"), ("progress", "ring_timeout", "301"),
            ("progress", "queue_timeout", "1801"),
            ("progress", "queue_timeout", "0"),
            ("answer", "transports", "[{\"id\":\"transport:a\"},{\"id\":\"transport:b\"}]"),
            ("reject", "reason", "\"declined\""), ("reject", "retry_after", "-1"), ("cancel", "in_reply_to", "\"x\""),
            ("info", "about", "\"webrtc\""), ("info", "data", "{\"candidates\":[]}"), ("grant", "scope", "[]"),
            ("grant", "scope", "[\"invite\"]"), ("subscribe", "expires_in", "86401"), ("subscribe", "events", "[]"),
            ("notify", "seq", "0"), ("notify", "state", "\"paused\""), ("key-rotation", "previous", "\"did:web:a\""),
            ("key-rotation", "next_public_key_multibase", "\"u123\""), ("hello", "bindings", "[]"),
            ("hello", "to", "\"did:web:a\""), ("publish", "variants", "[]"), ("publish", "state", "\"paused\""),
            ("reachability-hint", "seq", "-1"),
            ("reachability-hint", "endpoints", "[{\"uri\":\"ws://a\",\"bindings\":[\"ws/1.0\"]}]"),
            ("delegation-revocation", "revoked_at", "-1"), ("error", "detail", "[]"), ("bye", "issued_at", "-1"),
        ]
    )
    func rules(_ type: String, _ member: String, _ json: String) throws {
        let sample = try #require(samples.first { $0.type.rawValue == type })
        guard case .object(var object) = sample.json else { return }
        #expect(accepts(.object(object), sample.type))
        object[member] = try JSONValue(parsing: json)
        #expect(!accepts(.object(object), sample.type))
    }

    @Test("lengths are counted in Unicode scalars")
    func lengths() throws {
        func purpose(_ text: String) -> Bool {
            let message = Message(
                Fixture.stamp(Fixture.phone.did),
                to: Fixture.bobDID,
                Introduction(identity: IdentityInfo(), purpose: text)
            )
            return accepts(message.json, .introduction)
        }
        #expect(purpose(String(repeating: "ü", count: 280)))
        #expect(!purpose(String(repeating: "u", count: 281)))
    }

    @Test("queued needs its timeout, a relay's hello its capabilities, and both their constants")
    func dependencies() throws {
        func without(_ message: Message, _ member: String) -> Bool {
            guard case .object(var object) = message.json else { return true }
            object[member] = nil
            return accepts(.object(object), message.type)
        }
        let queued = try #require(samples.first { $0.type == .progress })
        #expect(!without(queued, "queue_timeout") && without(queued, "ring_timeout"))
        let relay = try #require(samples.last { $0.type == .hello })
        #expect(!without(relay, "capabilities") && !without(relay, "in_reply_to"))
        guard case .object(var object) = relay.json, case .object(var capabilities) = object["capabilities"] else {
            return
        }
        capabilities["max_envelope_bytes"] = 65_535
        object["capabilities"] = .object(capabilities)
        #expect(!accepts(.object(object), .hello))
    }

    @Test("a sealed body stands in for the fields it seals")
    func sealed() throws {
        let seal: JSONValue = ["alg": "hpke", "enc": "AAAA", "ct": "AAAA"]
        for (type, members) in [
            ("invite", ["media", "transports", "identity", "intent", "policy"]),
            ("answer", ["answered_by", "media", "transports", "policy"]), ("update", ["media", "transports"]),
            ("info", ["about", "data"]), ("reject", ["detail"]),
        ] {
            let sample = try #require(samples.first { $0.type.rawValue == type })
            guard case .object(var object) = sample.json else { continue }
            for member in members { object[member] = nil }
            if type != "reject" { #expect(!accepts(.object(object), sample.type)) }
            object["sealed"] = seal
            #expect(accepts(.object(object), sample.type), "\(type)")
            let read = try Message(decoding: JSONDocument(scanning: JSONValue.object(object).utf8))
            #expect(try Message(decoding: JSONDocument(scanning: read.payload())) == read)
            object["sealed"] = ["alg": "hpke", "enc": "AA+A", "ct": "AAAA"]
            #expect(!accepts(.object(object), sample.type), "\(type)")
        }
    }

    @Test("DTMF is one to 32 events, each 40 to 10,000 ms")
    func dtmf() throws {
        func info(_ data: JSONObject) -> Bool {
            accepts(
                Message.inSession(
                    Fixture.ulid(),
                    Fixture.stamp(Fixture.phone.did),
                    to: Fixture.bobDID,
                    Info(about: "media:dtmf", data: data)
                ).json,
                .info
            )
        }
        #expect(info(["digits": "12#*AD", "duration_ms": 160]))
        #expect(
            !info(["digits": ""]) && !info(["digits": "E"])
                && !info(["digits": .string(String(repeating: "1", count: 33))])
        )
        #expect(!info(["digits": "1", "duration_ms": 39]) && !info(["digits": "1", "duration_ms": 10_001]))
        #expect(DTMFDigits("12x") == nil && DTMFDigits("12") != nil)
    }

    private func accepts(_ payload: JSONValue, _ type: MessageType) -> Bool {
        guard let document = try? JSONDocument(scanning: payload.utf8) else { return false }
        return PayloadRules.accepts(document, schema: type.rawValue) ?? false
    }
}
