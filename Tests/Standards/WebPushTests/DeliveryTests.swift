import Encoding
import Support
import Testing
import WebPush

private let now: Int64 = 1_760_000_000

@Suite("RFC 8030 and RFC 8292: sending")
struct DeliveryTests {
    @Test("RFC 8292 §2.4: the RFC's token verifies, for its push service and its day")
    func example() throws {
        let header =
            "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
        let credentials = try VAPIDCredentials(authorization: header)
        let claims = try credentials.verified(for: "https://push.example.net", at: 1_453_500_000)
        #expect(claims.subject == "mailto:push@example.com" && claims.expires == 1_453_523_768)
        for (origin, time) in [
            ("https://push.example.org", 1_453_500_000), ("https://push.example.net", 1_453_523_768),
            ("https://push.example.net", 1_453_523_768 - 86_401),
        ] {
            #expect(throws: WebPushError(.claims, "")) { try credentials.verified(for: origin, at: Int64(time)) }
        }
        let forged = header.replacing("i3CYb7t4", with: "i3CYb7t5")
        #expect(throws: WebPushError(.signature, "")) {
            try VAPIDCredentials(authorization: forged).verified(for: "https://push.example.net", at: 1_453_500_000)
        }
    }

    @Test(
        "RFC 8292 §2: our tokens verify with their key and no other; lifetimes and subjects beyond the rules are not made"
    )
    func tokens() throws {
        var random = SeededRandom(seed: 6)
        let key = VAPIDKey(using: &random)
        let endpoint = try PushEndpoint("https://Push.example:8443/x")
        let header = try key.authorization(for: endpoint, subject: "https://example.com/ops", at: now)
        let claims = try VAPIDCredentials(authorization: header).verified(for: "https://push.example:8443", at: now)
        #expect(claims.expires == now + 43_200 && claims.subject == "https://example.com/ops")
        #expect(try VAPIDKey(privateKey: key.privateKey).publicKey == key.publicKey)
        let other = Base64URL.encode(VAPIDKey(using: &random).publicKey)
        let swapped = header.replacing(Base64URL.encode(key.publicKey), with: other)
        #expect(throws: WebPushError(.signature, "")) {
            try VAPIDCredentials(authorization: swapped).verified(for: "https://push.example:8443", at: now)
        }
        for lifetime: Int64 in [0, -1, 86_401] {
            #expect(throws: WebPushError(.claims, "")) {
                try key.authorization(for: endpoint, subject: nil, at: now, lifetime: lifetime)
            }
        }
        #expect(throws: WebPushError(.claims, "")) {
            try key.authorization(for: endpoint, subject: "tel:112", at: now)
        }
    }

    @Test("RFC 8292 §3: credentials are read whatever the order, case and quotes, and nothing else is")
    func credentials() throws {
        var random = SeededRandom(seed: 7)
        let header = try VAPIDKey(using: &random).authorization(
            for: PushEndpoint("https://p.example"),
            subject: nil,
            at: now
        )
        let parts = header.dropFirst(6).split(separator: ", ").map(String.init)
        let (t, k) = (parts[0], parts[1])
        for text in ["VAPID \(k),\(t)", "vapid \(t) , \(k) , x=y", "vapid t=\"\(t.dropFirst(2))\", \(k)"] {
            #expect(throws: Never.self, "\(text)") { try VAPIDCredentials(authorization: text) }
        }
        for text in [
            "", "vapid", "vapid \(t)", "vapid \(k)", "Bearer \(t), \(k)", "vapid \(t), \(k), \(k)",
            "vapid \(t), k=AAAA",
        ] {
            #expect(throws: WebPushError.self, "\(text)") { try VAPIDCredentials(authorization: text) }
        }
    }

    @Test("RFC 8030 §8.1: endpoints are https URLs and nothing looser")
    func endpoints() throws {
        for (url, origin) in [
            ("https://push.example/a?b=c", "https://push.example"), ("HTTPS://PUSH.example", "https://push.example"),
            ("https://push.example:443/", "https://push.example"),
            ("https://127.0.0.1:8443/x", "https://127.0.0.1:8443"),
            ("https://[2001:DB8::1]/x", "https://[2001:db8::1]"),
        ] {
            #expect(try PushEndpoint(url).origin == origin)
        }
        for url in [
            "", "https://", "http://push.example", "https:///x", "https://u@push.example", "https://u:p@push.example/",
            "https://push.example#f", "https://push.example:0", "https://push.example:65536", "https://push.example:08",
            "https://push.example:", "https://push..example", "https://-x.example", "https://push.example/a b",
            "https://push.example/\u{e9}", "https://[]/", "https://[::1", "https://push_1.example",
            "wss://push.example",
            "https://push.example/" + String(repeating: "a", count: 2048), "https://push.example/\r\nX: y",
        ] {
            #expect(throws: WebPushError(.endpoint, ""), "\(url)") { try PushEndpoint(url) }
        }
        #expect(!"\(try PushEndpoint("https://push.example/secret"))".contains("secret"))
    }

    @Test("RFC 8030 §5: TTL, urgency and topic are headers; what they do not admit is refused")
    func parameters() throws {
        let headers = try PushParameters(timeToLive: 0, urgency: .veryLow, topic: "a-B_9").headers(
            authorization: "vapid x"
        )
        #expect(
            headers.map { "\($0.name): \($0.value)" } == [
                "TTL: 0", "Urgency: very-low", "Topic: a-B_9", "Content-Encoding: aes128gcm",
                "Content-Type: application/octet-stream", "Authorization: vapid x",
            ]
        )
        for topic in ["", "a b", "a=", String(repeating: "a", count: 33)] {
            #expect(throws: WebPushError(.parameter, "")) { try PushParameters(timeToLive: 1, topic: topic) }
        }
        for seconds in [-1, 1 << 31] {
            #expect(throws: WebPushError(.parameter, "")) { try PushParameters(timeToLive: seconds) }
        }
    }

    @Test(
        "RFC 8030: what each status means",
        arguments: [
            (200, nil, PushAnswer.accepted), (201, nil, .accepted), (202, "5", .accepted), (404, nil, .gone),
            (410, nil, .gone), (413, nil, .tooLarge), (429, "120", .later(after: 120)),
            (429, nil, .later(after: nil)), (503, "999999999", .later(after: 86_400)),
            (503, "Thu, 09 Oct 2025 08:54:20 GMT", .later(after: 60)),
            (503, "Thu, 09 Oct 2024 08:54:20 GMT", .later(after: 0)),
            (503, "soon", .later(after: nil)), (503, "-4", .later(after: nil)), (400, nil, .refused(status: 400)),
            (401, nil, .refused(status: 401)), (403, "1", .refused(status: 403)), (301, nil, .refused(status: 301)),
        ] as [(Int, String?, PushAnswer)]
    )
    func statuses(_ status: Int, _ retryAfter: String?, _ answer: PushAnswer) {
        // 2025-10-09T08:53:20Z
        #expect(PushAnswer(status: status, retryAfter: retryAfter, at: now) == answer)
    }

    @Test("RFC 9110 §5.6.7: dates across leap years, and what is none")
    func dates() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ] {
            let answer = PushAnswer(status: 503, retryAfter: text, at: Int64(seconds) - 7)
            #expect(answer == .later(after: 7), "\(text)")
        }
        for text in [
            "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Xov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            #expect(PushAnswer(status: 503, retryAfter: text, at: 0) == .later(after: nil))
        }
    }
}
