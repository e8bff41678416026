import DSIPMessaging
import Testing

@Suite("Blobs") struct BlobTests {
    private let sha = String(repeating: "ab", count: 32)
    private let other = String(repeating: "cd", count: 32)

    @Test("M§5.6: an upload is refused for the first reason, before its body is read where that can be")
    func uploads() throws {
        func put(
            authorization: String? = nil,
            path: String? = nil,
            body: (Int, String)? = nil,
            stored: Bool = false,
            quota: String = ""
        ) -> String {
            let permit =
                authorization
                ?? #"{"identity":"@alice","payload":{"id":"%1","to":"@mbx.alice","sha256":"\#(sha)","size":100}}"#
            return #"{"mailbox":{"did":"@mbx.alice","serves":["@alice"],"max_blob_bytes":100\#(quota)},"#
                + #""authorization":\#(permit),"request":{"path_sha256":"\#(path ?? sha)","#
                + #""body_size":\#(body?.0 ?? 100),"body_sha256":"\#(body?.1 ?? sha)"},"stored":[\#(stored ? #""\#(sha)""# : "")]}"#
        }
        func permit(to: String = "@mbx.alice", identity: String = "@alice", size: Int = 100) -> String {
            #"{"identity":"\#(identity)","payload":{"id":"%1","to":"\#(to)","sha256":"\#(sha)","size":\#(size)}}"#
        }
        let refused = { (status: Int, reason: String) in #"{"status":\#(status),"reason":"\#(reason)"}"# }
        let cases: [(String, String)] = [
            (put(), #"{"status":201,"accepted":{"in_reply_to":"%1"}}"#),
            (put(stored: true), #"{"status":200,"accepted":{"in_reply_to":"%1","duplicate":true}}"#),
            (put(authorization: "null", path: other), refused(401, "policy.blocked")),
            (put(authorization: permit(to: "@mbx.bob", identity: "@bob")), refused(403, "policy.blocked")),
            (put(authorization: permit(identity: "@bob"), path: other), refused(403, "transport.unknown-recipient")),
            (put(authorization: permit(size: 101), path: other), refused(400, "policy.blocked")),
            (
                put(authorization: permit(size: 101), quota: #","quota_bytes":1,"used_bytes":1"#),
                refused(413, "mailbox.object-too-large")
            ),
            (
                put(body: (1, other), quota: #","quota_bytes":100,"used_bytes":1"#),
                refused(507, "mailbox.quota-exceeded")
            ), (put(quota: #","quota_bytes":100,"used_bytes":0"#), #"{"status":201,"accepted":{"in_reply_to":"%1"}}"#),
            (
                put(stored: true, quota: #","quota_bytes":100,"used_bytes":100"#),
                #"{"status":200,"accepted":{"in_reply_to":"%1","duplicate":true}}"#
            ), (put(body: (99, sha)), refused(400, "mailbox.blob-mismatch")),
            (put(body: (100, other)), refused(400, "mailbox.blob-mismatch")),
        ]
        for (input, expect) in cases { try Scene.check("blob-put", input, expect) }
        try Scene.check("blob-get", #"{"path_sha256":"\#(sha)","stored":["\#(sha)"]}"#, #"{"status":200}"#)
        try Scene.check("blob-get", #"{"path_sha256":"\#(sha)","stored":[]}"#, #"{"status":404}"#)
    }

    @Test(
        "M§8.4 rule 6: a mailbox copies what it may and can, tries again what was not there, and never what was wrong"
    )
    func replication() throws {
        func copy(
            _ fetched: String = "",
            mode: String = "sync",
            limit: Int = 10,
            stored: String = "",
            uri: String = "https://h/b"
        ) -> String {
            #"{"mode":"\#(mode)","max_blob_bytes":\#(limit),"stored":[\#(stored)],"#
                + #""entry":{"uri":"\#(uri)","sha256":"\#(sha)","size":10}\#(fetched)}"#
        }
        let good = #","fetched":{"status":200,"sha256":"\#(sha)","size":10}"#
        let cases: [(String, String)] = [
            (copy(), #"{"action":"fetch"}"#), (copy(good), #"{"action":"store"}"#),
            (copy(mode: "queue", limit: 1), #"{"action":"skip","reason":"mode"}"#),
            (copy(limit: 1, stored: #""\#(sha)""#), #"{"action":"skip","reason":"stored"}"#),
            (copy(limit: 9, uri: "http://h/b"), #"{"action":"skip","reason":"too-large"}"#),
            (copy(uri: "http://h/b"), #"{"action":"skip","reason":"not-https"}"#),
            (
                copy(#","fetched":{"status":200,"sha256":"\#(other)","size":10}"#),
                #"{"action":"discard","reason":"mismatch","retry":false}"#
            ),
            (
                copy(#","fetched":{"status":200,"sha256":"\#(sha)","size":9}"#),
                #"{"action":"discard","reason":"mismatch","retry":false}"#
            ), (copy(#","fetched":{"status":404}"#), #"{"action":"discard","reason":"unavailable","retry":true}"#),
            (
                copy(#","fetched":{"status":503},"attempt":4"#),
                #"{"action":"discard","reason":"unavailable","retry":true}"#
            ),
            (
                copy(#","fetched":{"status":503},"attempt":5"#),
                #"{"action":"discard","reason":"unavailable","retry":false}"#
            ),
        ]
        for (input, expect) in cases { try Scene.check("blob-replicate", input, expect) }
    }

    @Test("M§8.4: items name the mailbox's copy, and a device asks there first")
    func sources() throws {
        try Scene.check(
            "items-blobs",
            #"{"blob_endpoint":"https://m/blobs","stored":["\#(sha)"],"manifest":[{"uri":"https://h/1","sha256":"\#(sha)","size":1},"#
                + #"{"uri":"https://h/2","sha256":"\#(other)","size":2}]}"#,
            #"{"blobs":[{"uri":"https://m/blobs/\#(sha)","sha256":"\#(sha)","size":1},"#
                + #"{"uri":"https://h/2","sha256":"\#(other)","size":2}]}"#
        )
        let blob = #""blob":{"uri":"https://h/1","sha256":"\#(sha)","size":1}"#
        try Scene.check("blob-sources", #"{\#(blob),"manifest":[]}"#, #"{"sources":["https://h/1"]}"#)
        try Scene.check(
            "blob-sources",
            #"{\#(blob),"manifest":[{"uri":"https://evil/","sha256":"\#(other)","size":1},"#
                + #"{"uri":"https://m/1","sha256":"\#(sha)","size":1},{"uri":"https://h/1","sha256":"\#(sha)","size":1},"#
                + #"{"uri":"https://n/1","sha256":"\#(sha)","size":2}]}"#,
            #"{"sources":["https://m/1","https://h/1"]}"#
        )
    }

    @Test("M§8.4: a device plays what matches, asks again for what was not there, and gives up on what is wrong")
    func fetching() throws {
        let blob = #""blob":{"sha256":"\#(sha)","size":1}"#
        let right = { (uri: String) in #"{"uri":"\#(uri)","status":200,"sha256":"\#(self.sha)","size":1}"# }
        let wrong = #"{"uri":"https://m/","status":200,"sha256":"\#(other)","size":1}"#
        let none = #"{"uri":"https://h/","status":404}"#
        let cases: [(String, String)] = [
            (#"[\#(right("https://m/"))]"#, #"{"action":"play","source":"https://m/"}"#),
            (#"[\#(wrong),\#(right("https://h/"))]"#, #"{"action":"play","source":"https://h/"}"#),
            ("[\(wrong),\(none)]", #"{"action":"retry","reason":"unavailable"}"#),
            ("[]", #"{"action":"retry","reason":"unavailable"}"#),
            ("[\(wrong)]", #"{"action":"give-up","reason":"mismatch"}"#),
        ]
        for (tried, expect) in cases { try Scene.check("blob-fetch", #"{\#(blob),"tried":\#(tried)}"#, expect) }
        try Scene.check(
            "blob-fetch",
            #"{\#(blob),"tried":[\#(none)],"attempt":5}"#,
            #"{"action":"give-up","reason":"unavailable"}"#
        )
    }
}
