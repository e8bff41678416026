import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Testing

@Suite("Objects inside messages") struct ObjectTests {
    static let head = #""id":"%1","conversation":"%9","sender":"@alice","sent_at":1760000000"#
    static let blob =
        #"{"uri":"https://mbx.alice.example/blobs/1","sha256":"\#(MessageTests.sha)","size":482220,"#
        + #""key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","alg":"A256GCM","content_type":"audio/ogg; codecs=opus"}"#

    static func content(_ kind: String, _ members: String, purpose: String = "message") -> String {
        #"{"object":"content",\#(head),"kind":"\#(kind)","purpose":"\#(purpose)","reply_to":null\#(members.isEmpty ? "" : "," + members)}"#
    }

    static func receipt(_ kind: String, _ members: String) -> String {
        #"{"object":"receipt",\#(head),"kind":"\#(kind)",\#(members)}"#
    }

    static let samples = [
        content("text", #""content_type":"text/plain","text":"Dinner at 7?""#),
        content("audio", #""blob":\#(blob),"duration_ms":28400,"session":"%5""#, purpose: "voicemail"),
        content("audio", #""blob":\#(blob),"duration_ms":1200"#, purpose: "voice-message"),
        content("video", #""blob":\#(blob),"duration_ms":0"#, purpose: "video-message"),
        content("image", #""blob":\#(blob),"width":640,"height":480,"thumbnail":"AAAA""#, purpose: "attachment"),
        content("file", #""blob":\#(blob),"name":"letter.pdf""#, purpose: "attachment"),
        content("contact", #""did":"@carol","display_name":"Carol","contact_token":"t""#),
        content("location", #""lat_e7":-900000000,"lon_e7":1800000000,"accuracy_m":12"#),
        content("device-event", #""event":{"a":1}"#),
        content("alarm-ack", #""alarm":{"resource":"r","type":"t","qualifier":""},"state":"closed""#),
        content("hologram", #""blob":\#(blob)"#), content("hologram", "", purpose: "haunt"),
        content("text", #""text":"👍🏽""#, purpose: "reaction").replacing(#""reply_to":null"#, with: #""reply_to":"%3""#),
        content("text", #""text":"""#, purpose: "reaction").replacing(#""reply_to":null"#, with: #""reply_to":"%3""#),
        receipt("delivered", #""targets":["%1","%2"]"#), receipt("read", #""through":"%2""#),
        receipt("played", #""targets":["%1"]"#),
        #"{"object":"activity","conversation":"%9","sender":"@alice","activity":"typing","state":"active"}"#,
        #"{"object":"dsip.msgUpdate",\#(head),"for":"%2","patch":{"text":"Dinner at 8?"}}"#,
        #"{"object":"dsip.msgUpdate",\#(head),"for":"%2","patch":{"retracted":true}}"#,
    ]

    static let personal = [
        #"{"object":"archive-key","akid":"%1","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","created_at":1760000000}"#,
        #"{"object":"call-event","session":"%1","peer":"@bob","direction":"inbound","outcome":"missed","at":1760000000}"#,
        #"{"object":"recording-acceptance","conversation":"%3","recorders":["@bob","@carol"],"accepted_at":1760000000}"#,
    ]

    static func context(_ kind: String = "direct", sender: String = "@alice") throws -> ObjectContext {
        ObjectContext(
            conversation: try #require(ULID(Scene.id(9))),
            kind: try #require(ConversationKind(kind)),
            sender: try #require(DID(Scene.fill(sender)))
        )
    }

    private func code(_ text: String, _ context: ObjectContext) throws -> String? {
        do {
            _ = try MessagingObject(try Scene.json(text), in: context)
            return nil
        } catch let error as MessagingError {
            return error.code.rawValue
        }
    }

    @Test("M§8.1–M§8.2: every object is read, and written as it was read", arguments: samples)
    func roundTrip(_ text: String) throws {
        let json = try Scene.json(text)
        let object = try MessagingObject(json, in: try Self.context())
        #expect(object.json == json, "\(object.json.text)")
        #expect(try MessagingObject(decoding: json.utf8, in: try Self.context()) == object)
    }

    @Test("M§12.1, M§13.3: keys, call events and acceptances belong in the personal group", arguments: personal)
    func personalOnly(_ text: String) throws {
        let json = try Scene.json(text)
        #expect(try MessagingObject(json, in: try Self.context("personal")).json == json)
        #expect(try code(text, try Self.context()) == "personal-group-only")
    }

    @Test("M§8.1: the rules apply in their order")
    func order() throws {
        let direct = try Self.context()
        let text = Self.content("text", #""text":"hi""#)
        let cases: [(String, String?)] = [
            (text, nil), (#"{"object":"poem","sender":7}"#, nil), (#"{"object":"poem","x":1.5}"#, "payload-float"),
            (#"{"sender":"@alice"}"#, "schema-invalid"), (text.replacing("%1", with: "nope"), "schema-invalid"),
            (text.replacing("@alice", with: "@bob").replacing("%9", with: "%8"), "sender-mismatch"),
            (text.replacing("%9", with: "%8").replacing("1760000000", with: "1"), "conversation-mismatch"),
            (text.replacing("1760000000", with: "1760000301"), "ulid-sent-at-mismatch"),
            (text.replacing("1760000000", with: "1760000300"), nil),
            (text.replacing("1760000000", with: "1759999700"), nil),
            (text.replacing("1760000000", with: "1759999699"), "ulid-sent-at-mismatch"),
            (Self.content("text", ""), "content-body"), (Self.content("audio", #""duration_ms":1"#), "content-body"),
            (Self.content("audio", #""blob":\#(Self.blob)"#), "content-body"),
            (Self.content("file", #""blob":\#(Self.blob)"#), "content-body"),
            (Self.content("location", #""lat_e7":1"#), "content-body"),
            (Self.content("location", #""lat_e7":900000001,"lon_e7":0"#), "schema-invalid"),
            (Self.content("location", #""lat_e7":1.5,"lon_e7":0"#), "payload-float"),
            (Self.content("contact", ""), "content-body"), (Self.content("device-event", ""), "content-body"),
            (Self.content("alarm-ack", #""alarm":{"resource":"r","type":"t"}"#), "content-body"),
            (Self.content("audio", #""blob":\#(Self.blob),"duration_ms":1"#, purpose: "voicemail"), "content-body"),
            (Self.content("text", #""text":"x","session":"%5""#, purpose: "voicemail"), "content-body"),
            (Self.content("text", #""text":"👍""#, purpose: "reaction"), "reaction-invalid"),
            (Self.content("image", #""blob":\#(Self.blob.replacing("A256GCM", with: "A128GCM"))"#), "schema-invalid"),
            (Self.content("image", #""blob":\#(Self.blob.replacing("AAECAw", with: "AAEC"))"#), "schema-invalid"),
            (Self.content("image", #""blob":\#(Self.blob.replacing("https", with: "http"))"#), "schema-invalid"),
            (Self.receipt("delivered", #""through":"%1""#), "receipt-shape"),
            (Self.receipt("delivered", #""targets":["%1"],"through":"%1""#), "receipt-shape"),
            (Self.receipt("read", #""targets":["%1"]"#), "receipt-shape"),
            (Self.receipt("seen-by-nobody", #""targets":["%1"]"#), nil),
            (Self.receipt("delivered", #""targets":[]"#), "schema-invalid"),
            (Self.receipt("read", #""through":"%1","x":1"#), "schema-invalid"),
            (#"{"object":"dsip.msgUpdate",\#(Self.head),"for":"%2","patch":{}}"#, "update-invalid"),
            (#"{"object":"dsip.msgUpdate",\#(Self.head),"for":"%2","patch":{"text":""}}"#, "update-invalid"),
            (
                #"{"object":"dsip.msgUpdate",\#(Self.head),"for":"%2","patch":{"retracted":true}}"#.replacing(
                    "@alice",
                    with: "@bob"
                ), "sender-mismatch"
            ),
        ]
        for (text, expected) in cases { #expect(try code(text, direct) == expected, "\(text)") }
    }

    @Test("M§8.2: a reaction is one emoji of at most 32 bytes, or nothing")
    func reactions() throws {
        let direct = try Self.context()
        let family = "👨‍👩‍👧‍👦"
        for (emoji, isValid) in [
            ("👍", true), ("", true), ("❤️", true), (family, true), ("🏳️‍🌈", true), ("👍👍", false), ("a", false),
            ("ok", false), ("👍" + String(repeating: "\u{fe0f}", count: 12), false),
        ] {
            let text = Self.content("text", #""text":"\#(emoji)""#, purpose: "reaction").replacing(
                #""reply_to":null"#,
                with: #""reply_to":"%3""#
            )
            #expect(try code(text, direct) == (isValid ? nil : "reaction-invalid"), "\(emoji)")
        }
    }

    @Test("M§10.5: only a private read watermark may name another conversation, and only in the personal group")
    func privateWatermark() throws {
        let personal = try Self.context("personal")
        let read = Self.receipt("read", #""through":"%2""#).replacing("%9", with: "%8")
        #expect(try code(read, personal) == nil)
        #expect(try code(read, try Self.context()) == "conversation-mismatch")
        #expect(
            try code(Self.receipt("delivered", #""targets":["%2"]"#).replacing("%9", with: "%8"), personal)
                == "conversation-mismatch"
        )
        #expect(
            try code(Self.content("text", #""text":"x""#).replacing("%9", with: "%8"), personal)
                == "conversation-mismatch"
        )
    }

    @Test("M§8.2: an unknown kind with a blob is a file, without one a placeholder; an unknown purpose is a message")
    func fallbacks() throws {
        try Scene.check(
            "object",
            #"{"object":\#(Self.content("hologram", #""blob":\#(Self.blob)"#))}"#,
            #"{"verdict":"accept","effective":{"kind":"file","purpose":"message"}}"#,
            context: #"{"conversation":"%9","conversation_kind":"direct","leaf_identity":"@alice"}"#
        )
        try Scene.check(
            "object",
            #"{"object":\#(Self.content("hologram", "", purpose: "haunt"))}"#,
            #"{"verdict":"accept","effective":{"kind":"unsupported","purpose":"message"}}"#,
            context: #"{"conversation":"%9","conversation_kind":"direct","leaf_identity":"@alice"}"#
        )
        #expect(ActivityKind("drawing")?.effective == .active)
        #expect(ConversationKind("channel")?.effective == .group)
    }

    @Test("M§12.2: an archive record is read strictly, its payload later")
    func archiveRecord() throws {
        let text =
            #"{"object":"archive-record","conversation":"%9","group":"$G","seq":42,"sender":"@alice","#
            + #""sender_device":"@alice.phone","received_at":1760000002,"payload":{"object":"content","id":"%1"}}"#
        let json = try Scene.json(text)
        #expect(try ArchiveRecord(decoding: json.utf8).json == json)
        for wrong in [#""seq":0"#, #""seq":42,"x":1"#, #""seq":9007199254740992"#] {
            let bad = try Scene.json(text.replacing(#""seq":42"#, with: wrong))
            #expect(throws: MessagingError(.schemaInvalid, "")) { try ArchiveRecord(bad) }
        }
        let bare = try Scene.json(text.replacing(#""object":"content","#, with: ""))
        #expect(throws: MessagingError(.schemaInvalid, "")) { try ArchiveRecord(bare) }
    }

    @Test("DSIP §10.3: what is no JSON object in UTF-8 is said to be so")
    func text() throws {
        let context = try Self.context()
        #expect(throws: MessagingError(.payloadNotUTF8, "")) {
            try MessagingObject(decoding: [0x22, 0xff, 0x22], in: context)
        }
        for text in ["", "[]", "7", "{\"a\":1,\"a\":2}", "{", "\u{feff}{}"] {
            #expect(throws: MessagingError(.payloadNotJSON, ""), "\(text)") {
                try MessagingObject(decoding: Array(text.utf8), in: context)
            }
        }
    }

    @Test("Whatever arrives, reading ends in a value or an error, and a value survives being written")
    func mutations() throws {
        var generator = SplitMix(state: 0xc0ffee)
        let seeds = try Self.samples.map { try Scene.json($0).utf8 }
        let context = try Self.context()
        var read = 0
        for _ in 0..<4_000 {
            var bytes = seeds[Int(generator.next() % UInt64(seeds.count))]
            let at = Int(generator.next() % UInt64(bytes.count))
            switch generator.next() % 3 {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: generator.next())
            case 1: bytes.insert(UInt8(ascii: "9"), at: at)
            default: bytes.remove(at: at)
            }
            guard let object = try? MessagingObject(decoding: bytes, in: context) else { continue }
            read += 1
            if case .unknown = object { continue }
            #expect(
                try MessagingObject(object.json, in: context) == object,
                "\(String(decoding: bytes, as: UTF8.self))"
            )
        }
        #expect(read > 100, "mutations that still read: \(read)")
    }
}

@Suite("What is ours beside the profile") struct ExtensionTests {
    @Test(
        "docs/messaging.md: mentions and disappearance ride along, and others' nonsense in their place is passed over"
    )
    func contentExtensions() throws {
        let context = try ObjectTests.context()
        let more = #""text":"@Bob hi","mentions":[{"identity":"@bob","start":0,"length":4}],"disappear_after_s":3600"#
            .replacing("@Bob", with: "Bob!")
        let json = try Scene.json(ObjectTests.content("text", more))
        guard case .content(let content) = try MessagingObject(json, in: context) else {
            Issue.record("not content")
            return
        }
        #expect(content.extensions.mentions.map(\.range) == [0..<4])
        #expect(content.extensions.disappearAfter == 3600)
        #expect(content.json == json)
        let nonsense = #""text":"x","mentions":[7,{"identity":"Bob"}],"disappear_after_s":"soon""#
        guard
            case .content(let plain) = try MessagingObject(
                try Scene.json(ObjectTests.content("text", nonsense)),
                in: context
            )
        else {
            Issue.record("not content")
            return
        }
        #expect(plain.extensions == ContentExtensions())
    }

    @Test("docs/messaging.md: an edit or a retraction holds for the sender's own content, the latest by seq")
    func updates() throws {
        let alice = try #require(DID("did:web:alice.example"))
        let bob = try #require(DID("did:web:bob.example"))
        let id = { (number: Int) throws -> ULID in try #require(ULID(Scene.id(number))) }
        var edits = ContentEdits()
        let edit = MessageUpdate(
            id: try id(10),
            conversation: try id(9),
            sender: alice,
            sentAt: 1,
            for: try id(1),
            .text("second")
        )
        // It may come before what it changes: an archive is read in any order.
        #expect(edits.received(edit, seq: 5) == false)
        #expect(edits.received(try id(1), sender: alice, seq: 1) == .text("second"))
        var forged = edit
        forged.sender = bob
        #expect(edits.received(forged, seq: 6) == false)
        var older = edit
        older.patch = .text("first")
        #expect(edits.received(older, seq: 4) == false)
        var last = edit
        last.patch = .retraction
        #expect(edits.received(last, seq: 7) == true)
        #expect(edits.patch(of: try id(1)) == .retraction)
        // Gone is gone.
        var late = edit
        late.patch = .text("third")
        #expect(edits.received(late, seq: 8) == false)
        #expect(edits.patch(of: try id(1)) == .retraction)
    }
}
