import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Testing

@Suite("Messages of the profile") struct MessageTests {
    static let head =
        #""dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":[],"critical":[]},"#
        + #""id":"%1","from":"@alice.phone","to":"@mbx.alice","issued_at":1760000000,"expires_at":1760000030"#
    static let sha = String(repeating: "9f", count: 32)
    static let blob = #"{"uri":"https://mbx.alice.example/blobs/1","sha256":"\#(sha)","size":10}"#

    static func message(_ type: String, _ members: String = "") -> String {
        #"{"type":"\#(type)",\#(head)\#(members.isEmpty ? "" : "," + members)}"#
    }

    static func deposit(_ itemClass: String, _ members: String) -> String {
        message("deposit", #""class":"\#(itemClass)""# + (members.isEmpty ? "" : "," + members))
    }

    /// One well-formed message of every type, and every class.
    static let samples = [
        deposit("handshake", #""group":"$G","mls":"AAAA","welcome":"AAAA","group_info":"AAAA","grants":["a.b.c"]"#),
        deposit("application", #""group":"$G","mls":"AAAA","seq":4,"recipient":"@bob","blobs":[\#(blob)]"#),
        deposit(
            "welcome",
            #""group":"$G","mls":"AAAA","hub":{"did":"@mbx.alice","uri":"wss://h/"},"origin":"a.b.c","successor_of":"$G1","seq":2"#
        ),
        deposit("group-info", #""group":"$G","mls":"AAAA","ratchet_tree_blob":\#(blob),"handover_seq":3"#),
        deposit("ephemeral", #""group":"$G","sealed":"AAAA""#).replacing("1760000030", with: "1760000010"),
        deposit("archive", #""group":"$G","archive":"AAAA","akid":"%2","ref_group":"$G","ref_seq":1"#),
        deposit("introduction", #""recipient":"@bob","envelope":"a.b.c""#),
        deposit("grant", #""recipient":"@bob","envelope":"a.b.c""#),
        message("accepted", #""in_reply_to":"%2","group":"$G","seq":42"#),
        message("accepted", #""in_reply_to":"%2","cursor":"c:1","duplicate":true"#),
        message("sync", #""since":null,"limit":1000,"live":true"#),
        message("sync", #""since":"c:1","ack_through":"c:1""#),
        message(
            "items",
            #""in_reply_to":"%2","items":[{"cursor":"c:1","stored_at":1,"class":"application","source":"@mbx.alice","#
                + #""group":"$G","seq":1,"mls":"AAAA","blobs":[\#(blob)]},{"class":"ephemeral","group":"$G","#
                + #""sealed":"AAAA","expires_at":1760000009},{"cursor":"c:2","stored_at":2,"class":"grant","envelope":"e"}],"#
                + #""next":"c:2""#
        ),
        message("items", #""items":[],"next":null"#),
        message("key-packages", #""subject":"@bob","key_packages":["AAAA","BBBB"],"last_resort":"CCCC""#),
        message("key-package-fetch", #""target":"@bob","grant":"a.b.c""#),
        message("key-package-fetch", #""target":"@bob","successor_of":"$G""#),
        message("blob-put", #""sha256":"\#(sha)","size":482220"#),
        message(
            "mailbox-config",
            #""subject":"@bob","mode":"queue","retention_s":1,"admit":"open","groups":[{"group":"$G","state":"joined","#
                + #""hub":"@mbx.alice","hub_uri":"wss://h/","handover_seq":9}],"revoked_grants":["%3"],"#
                + #""introductions_sent":["%4"],"revoked_delegations":["a.b.c"]"#
        ),
        message("mailbox-config", #""subject":"@bob""#),
    ]

    @Test("M§5.2–M§5.7: every message is read, and written as it was read", arguments: samples)
    func roundTrip(_ text: String) throws {
        let json = try Scene.json(text)
        let message = try MailboxMessage(json)
        #expect(message.json == json, "\(message.json.text)")
        #expect(try MailboxMessage(decoding: json.utf8) == message)
        #expect(MessagingSchema.admits(json, schema: message.kind.rawValue) == true)
    }

    @Test("Schemas: every member matters, and no other is admitted", arguments: samples)
    func strict(_ text: String) throws {
        let json = try #require(try Scene.json(text).object)
        var more = json
        more["x"] = 1
        #expect(throws: MessagingError(.schemaInvalid, "")) { try MailboxMessage(.object(more)) }
        for name in ["dsip", "id", "from", "to", "issued_at", "expires_at"] {
            var less = json
            less[name] = nil
            #expect(throws: MessagingError(.schemaInvalid, "")) { try MailboxMessage(.object(less)) }
        }
        for member in json.members where member.name != "type" {
            for wrong: JSONValue in [.double(1.5), [:], .int(-1)] where wrong != member.value {
                var changed = json
                changed[member.name] = wrong
                #expect(throws: MessagingError.self, "\(member.name) as \(wrong.text)") {
                    try MailboxMessage(.object(changed))
                }
            }
        }
    }

    @Test("M§5.1: the rules apply in their order")
    func order() throws {
        let cases: [(String, String)] = [
            (Self.message("postcard"), "unknown-type"),
            (Self.message("sync").replacing("1760000030", with: "1760000099"), "schema-invalid"),
            (Self.message("sync", #""since":null"#).replacing("1760000030", with: "1760000061"), "lifetime-exceeded"),
            (
                Self.deposit("parcel", #""group":"$G""#).replacing("1760000030", with: "1760000061"),
                "lifetime-exceeded"
            ),
            (Self.deposit("ephemeral", #""group":"$G","sealed":"AAAA""#), "lifetime-exceeded"),
            (Self.deposit("parcel", #""group":"$G""#), "deposit-class-unsupported"),
            (Self.deposit("parcel", ""), "schema-invalid"),
            (
                Self.deposit("application", #""group":"$G","archive":"\#(String(repeating: "A", count: 40_000))""#),
                "deposit-fields"
            ),
            (
                Self.deposit("application", #""group":"$G","mls":"\#(String(repeating: "A", count: 32_770))""#),
                "object-too-large"
            ),
            (
                Self.deposit(
                    "introduction",
                    #""recipient":"@bob","envelope":"\#(String(repeating: "e", count: 4097))""#
                ),
                "introduction-too-large"
            ),
            (Self.deposit("introduction", #""recipient":"@bob","envelope":"e","group":"$G""#), "schema-invalid"),
            (Self.deposit("grant", #""envelope":"e""#), "schema-invalid"),
            (Self.message("mailbox-config", #""subject":"@bob","mode":"forever""#), "mailbox-mode-unsupported"),
            (Self.message("mailbox-config", #""subject":"@bob","admit":"friends""#), "schema-invalid"),
            (Self.message("key-packages", #""subject":"@bob","key_packages":[]"#), "key-packages-empty"),
            (Self.message("blob-put", #""sha256":"\#(Self.sha.uppercased())","size":1"#), "schema-invalid"),
        ]
        for (text, code) in cases {
            let payload = try Scene.json(text)
            let error = try #require(throws: MessagingError.self, "\(text.prefix(200))") { try MailboxMessage(payload) }
            #expect(error.code.rawValue == code, "\(text.prefix(200))")
        }
        #expect(MessagingError(.objectTooLarge, "").reason == .mailboxObjectTooLarge)
        #expect(MessagingError(.introductionTooLarge, "").reason == .transportEnvelopeTooLarge)
        #expect(MessagingError(.depositFields, "").reason == nil)
    }

    @Test("M§5.1: a value of exactly the size constant passes")
    func sizeConstant() throws {
        let text = String(repeating: "A", count: 32_768)
        #expect(EncodedBytes(text)?.decodedCount == MessagingProfile.maximumMLSBytes)
        #expect(throws: Never.self) {
            try MailboxMessage(try Scene.json(Self.deposit("application", #""group":"$G","mls":"\#(text)""#)))
        }
    }

    @Test("M§5.2: the class field table, every class with every field")
    func classTable() throws {
        let values: [String: String] = [
            "seq": "1", "mls": #""AAAA""#, "welcome": #""AAAA""#, "group_info": #""AAAA""#,
            "ratchet_tree_blob": Self.blob,
            "sealed": #""AAAA""#, "archive": #""AAAA""#, "akid": #""%2""#, "ref_group": #""$G""#, "ref_seq": "1",
            "blobs": "[\(Self.blob)]", "hub": #"{"did":"@mbx.alice"}"#, "grants": #"["g"]"#, "origin": #""o""#,
            "successor_of": #""$G""#, "handover_seq": "1", "envelope": #""e""#, "recipient": #""@bob""#,
        ]
        let table: [(String, must: [String], may: [String])] = [
            ("handshake", ["mls"], ["welcome", "group_info", "ratchet_tree_blob", "grants", "seq", "recipient"]),
            ("application", ["mls"], ["seq", "blobs", "recipient"]),
            (
                "welcome", ["mls", "hub"],
                ["ratchet_tree_blob", "grants", "origin", "successor_of", "seq", "recipient"]
            ), ("group-info", ["mls"], ["ratchet_tree_blob", "handover_seq", "recipient"]),
            ("ephemeral", ["sealed"], ["recipient"]),
            ("archive", ["archive", "akid", "ref_group", "ref_seq"], ["recipient"]),
            ("introduction", ["envelope", "recipient"], []), ("grant", ["envelope", "recipient"], []),
        ]
        var cases = 0
        for (itemClass, must, may) in table {
            let isFirstContact = itemClass == "introduction" || itemClass == "grant"
            func read(_ fields: [String]) throws -> Bool {
                let members =
                    (isFirstContact ? [] : [#""group":"$G""#]) + fields.map { #""\#($0)":\#(values[$0] ?? "")"# }
                let text = Self.deposit(itemClass, members.joined(separator: ",")).replacing(
                    "1760000030",
                    with: "1760000010"
                )
                return (try? MailboxMessage(try Scene.json(text))) != nil
            }
            #expect(try read(must), "\(itemClass) bare")
            for field in values.keys where !must.contains(field) {
                #expect(try read(must + [field]) == may.contains(field), "\(itemClass) with \(field)")
                cases += 1
            }
            for field in must {
                #expect(try !read(must.filter { $0 != field }), "\(itemClass) without \(field)")
                cases += 1
            }
        }
        #expect(cases > 130)
    }

    @Test("Whatever arrives, reading ends in a value or an error, and a value survives being written")
    func mutations() throws {
        var generator = SplitMix(state: 0x5eed)
        let seeds = try Self.samples.map { try Scene.json($0).utf8 }
        var read = 0
        for _ in 0..<4_000 {
            var bytes = seeds[Int(generator.next() % UInt64(seeds.count))]
            for _ in 0...(generator.next() % 3) {
                let at = Int(generator.next() % UInt64(bytes.count))
                bytes[at] = UInt8(truncatingIfNeeded: generator.next() % 95) + 32
            }
            guard let message = try? MailboxMessage(decoding: bytes) else { continue }
            read += 1
            #expect(try MailboxMessage(message.json) == message)
        }
        #expect(read > 100, "mutations that still read: \(read)")
    }
}

/// A small generator with a seed. (`Steele, Lea and Flood 2014`)
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
