import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("push-config")
struct PushConfigTests {
    private let key = Base64URL.encode([4] + [UInt8](repeating: 1, count: 64))
    private let auth = Base64URL.encode([UInt8](repeating: 2, count: 16))

    private func config(_ endpoints: String, expires: Int = 1_760_000_060, more: String = "") throws -> PushConfig {
        let text = """
            {"dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":["push-wake/1.0"],"critical":[]},
            "type":"push-config","id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","from":"did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R",
            "to":"did:web:relay.example","endpoints":\(endpoints),"issued_at":1760000000,"expires_at":\(expires)\(more)}
            """
        return try PushConfig(decoding: Array(text.utf8))
    }

    @Test("every kind of target is read, and written as it was")
    func kinds() throws {
        let config = try config(
            """
            [{"kind":"webpush","endpoint":"https://p.example/1","p256dh":"\(key)","auth":"\(auth)"},
             {"kind":"unifiedpush","endpoint":"https://ntfy.example/up?x=1"},
             {"kind":"apns","token":"\(auth)","topic":"org.example.app","voip":true},
             {"kind":"fcm","token":"abcdefgh:IJKLMNOP-_"}]
            """
        )
        #expect(config.targets.map(\.kind) == [.webPush, .unifiedPush, .apns, .fcm])
        #expect(try PushConfig(config.json) == config)
        for target in config.targets { #expect(try PushTarget(target.json) == target) }
        #expect(try self.config("[]").targets.isEmpty)
    }

    @Test(
        "what is malformed, unknown, twice or too many is refused",
        arguments: [
            #"[{"kind":"pigeon"}]"#, #"[{"kind":"fcm","token":"short"}]"#,
            #"[{"kind":"fcm","token":"has spaces in it, yes"}]"#,
            #"[{"kind":"unifiedpush","endpoint":"http://p.example/1"}]"#,
            #"[{"kind":"unifiedpush","endpoint":"https://p.example/#1"}]"#,
            #"[{"kind":"webpush","endpoint":"https://p.example/1"}]"#,
            #"[{"kind":"webpush","endpoint":"https://p.example/1","p256dh":"AAAA","auth":"AAAA"}]"#,
            #"[{"kind":"unifiedpush","endpoint":"https://p.example/1","more":1}]"#,
            #"[{"kind":"unifiedpush","endpoint":"https://p.example/1"},{"kind":"unifiedpush","endpoint":"https://p.example/1"}]"#,
            #"[{"kind":"apns","token":"AAAA","topic":"a"}]"#,
            #"[{"kind":"apns","token":"AAAAAAAAAAAA","topic":"a b"}]"#,
            #"{}"#, "null",
        ]
    )
    func refused(_ endpoints: String) {
        #expect(throws: MessagingError(.schemaInvalid, "")) { try config(endpoints) }
    }

    @Test("five targets, a member more, and a lifetime beyond a minute are refused")
    func bounds() {
        let five = (1...5).map { #"{"kind":"unifiedpush","endpoint":"https://p.example/\#($0)"}"# }
        #expect(throws: MessagingError(.schemaInvalid, "")) { try config("[\(five.joined(separator: ","))]") }
        #expect(throws: MessagingError(.schemaInvalid, "")) { try config("[]", more: #","x":1"#) }
        #expect(throws: MessagingError(.lifetimeExceeded, "")) { try config("[]", expires: 1_760_000_061) }
    }

    @Test("a push says which relay and which envelope, and nothing else")
    func payload() throws {
        let relay = try #require(DID("did:web:relay.example"))
        let envelope = try #require(ULID("01J5Y0QBD8EF9GH0JK1MN2PQ3R"))
        let payload = WakePayload(relay: relay, envelope: envelope)
        #expect(
            String(decoding: payload.bytes, as: UTF8.self)
                == #"{"relay":"did:web:relay.example","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R"}"#
        )
        #expect(WakePayload(payload.bytes) == payload)
        #expect(
            WakePayload(Array(#"{"relay":"did:web:r","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","x":1}"#.utf8)) == nil
        )
    }

    @Test("what a relay says of push is read leniently where it may grow")
    func capability() throws {
        let capability = PushCapability(kinds: [.webPush, .unifiedPush], vapidKey: [UInt8](repeating: 4, count: 65))
        #expect(PushCapability(capability.json) == capability)
        #expect(PushCapability(["kinds": ["webpush", "pigeon"]])?.kinds == [.webPush])
        #expect(PushCapability(["kinds": ["webpush"], "vapid": "AAAA"]) == nil)
        #expect(PushCapability([:]) == nil)
    }

    @Test("a request to be woken names its kind and an envelope, and nothing else")
    func requests() throws {
        func request(_ members: String) throws -> WakeRequest {
            let text = """
                {"dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":["push-wake/1.0"],"critical":[]},
                "type":"wake-request","id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","from":"did:web:phone.example","to":"did:web:relay.example",
                \(members),"issued_at":1760000000,"expires_at":1760000060}
                """
            return try WakeRequest(JSONValue(parsing: Array(text.utf8)))
        }
        let call = try request(#""kind":"call","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3S""#)
        #expect(call.kind == .call && call.envelope == ULID("01J5Y0QBD8EF9GH0JK1MN2PQ3S"))
        #expect(try WakeRequest(call.json) == call)
        for members in [
            #""kind":"alarm","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3S""#, #""kind":"call""#,
            #""kind":"call","envelope_id":"x""#,
            #""kind":"call","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3S","text":"hi""#,
        ] {
            #expect(throws: MessagingError(.schemaInvalid, "")) { try request(members) }
        }
    }
}
