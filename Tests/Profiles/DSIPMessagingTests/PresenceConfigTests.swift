import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("presence-config")
struct PresenceConfigTests {
    private let salt = Base64URL.encode([UInt8](repeating: 7, count: 16))

    private func config(_ members: String, expires: Int = 1_760_000_060) throws -> PresenceConfig {
        let text = """
            {"dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":["presence-policy/1.0"],"critical":[]},
            "type":"presence-config","id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","from":"did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R",
            "to":"did:web:relay.example",\(members),"issued_at":1760000000,"expires_at":\(expires)}
            """
        return try PresenceConfig(JSONValue(parsing: Array(text.utf8)))
    }

    @Test("every audience is read, and written as it was")
    func audiences() throws {
        #expect(try config(#""audience":"nobody""#).audience == .nobody)
        #expect(try config(#""audience":"everyone""#).audience == .everyone)
        let tags: [UInt64] = [0x0102_0304_0506_0708, .max]
        let listed = Base64URL.encode([1, 2, 3, 4, 5, 6, 7, 8] + [UInt8](repeating: 255, count: 8))
        let read = try config(#""audience":"listed","salt":"\#(salt)","listed":"\#(listed)""#)
        #expect(read.audience == .listed(salt: [UInt8](repeating: 7, count: 16), tags: tags))
        #expect(try PresenceConfig(read.json) == read)
        #expect(read.json["listed"]?.string == listed)
        let none = try config(#""audience":"listed","salt":"\#(salt)","listed":"""#)
        #expect(none.audience == .listed(salt: [UInt8](repeating: 7, count: 16), tags: []))
    }

    @Test(
        "what is malformed, too much or beside the schema is refused",
        arguments: [
            #""audience":"friends""#, #""audience":"listed""#, #""audience":"everyone","salt":"AAAA""#,
            #""audience":"listed","salt":"AAAA","listed":"""#,
            #""audience":"listed","salt":"BwcHBwcHBwcHBwcHBwcHBw","listed":"AAAA""#,
            #""audience":"listed","salt":"BwcHBwcHBwcHBwcHBwcHBw","listed":["AAAA"]"#,
            #""audience":"listed","salt":"BwcHBwcHBwcHBwcHBwcHBw","listed":"\#(Base64URL.encode([UInt8](repeating: 0, count: 8 * 1_025)))""#,
        ]
    )
    func refused(_ members: String) {
        #expect(throws: MessagingError(.schemaInvalid, "")) { try config(members) }
    }

    @Test("it lives for no longer than any word to a relay")
    func lifetime() {
        #expect(throws: MessagingError(.lifetimeExceeded, "")) {
            try config(#""audience":"nobody""#, expires: 1_760_003_600)
        }
    }
}
