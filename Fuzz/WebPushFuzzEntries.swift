import Crypto
import Encoding
import WebPush

/// What a user agent registers, what a sender posts to it, and the headers between them.
let webPushFuzzEntries: [FuzzEntry] = [
    FuzzEntry("webpush-body", seeds: webPushSeeds) { bytes in
        let key = SymmetricKey(data: [UInt8](repeating: 1, count: 16))
        let whole = try? ContentDecoder.decode(bytes, limits: .init(record: 4096, body: 1 << 20)) { _ in key }
        // In pieces it is read as whole.
        var decoder = ContentDecoder(limits: .init(record: 4096, body: 1 << 20)) { _ in key }
        var pieces: [UInt8]? = []
        for start in stride(from: 0, to: bytes.count, by: 7) {
            guard let piece = try? decoder.append(bytes[start..<min(bytes.count, start + 7)]) else {
                pieces = nil
                break
            }
            pieces?.append(contentsOf: piece)
        }
        if let end = try? decoder.finish() { pieces?.append(contentsOf: end) } else { pieces = nil }
        precondition(pieces == whole, "a body read in pieces is another")
        _ = try? webPushReceiver?.decrypt(bytes)
    },
    FuzzEntry(
        "webpush-text",
        seeds: [
            #"{"endpoint":"https://push.example.net/p","expirationTime":null,"keys":{"p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4","auth":"BTBZMqHH6r4Tts7J_aSIgg"}}"#,
            "https://[2001:db8::1]:8443/a?b=c", "Sun, 06 Nov 1994 08:49:37 GMT",
            "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs",
        ]
    ) { bytes in
        if let subscription = try? PushSubscription(parsing: bytes) {
            precondition((try? PushSubscription(subscription.json)) == subscription, "a subscription changed")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        if let endpoint = try? PushEndpoint(text) {
            precondition((try? PushEndpoint(endpoint.origin))?.origin == endpoint.origin, "an origin is no endpoint")
        }
        _ = try? VAPIDCredentials(authorization: text).verified(for: "https://push.example.net", at: 1_453_500_000)
        _ = PushAnswer(status: 429, retryAfter: text, at: 0)
    },
]

private let webPushReceiver = try? PushReceiver(
    privateKey: [UInt8](repeating: 1, count: 32),
    authenticationSecret: [UInt8](repeating: 2, count: 16)
)

private let webPushSeeds: [[UInt8]] = {
    let (salt, key) = ([UInt8](repeating: 3, count: 16), SymmetricKey(data: [UInt8](repeating: 1, count: 16)))
    var seeds = [18, 25, 4096].compactMap {
        try? ContentEncoder.encode(Array(1...40), key: key, salt: salt, recordSize: $0, padding: 3)
    }
    if let receiver = webPushReceiver, let endpoint = try? PushEndpoint("https://push.example"),
        let body = try? receiver.subscription(at: endpoint).encrypt(
            Array("hello".utf8),
            privateKey: [UInt8](repeating: 4, count: 32),
            salt: salt
        )
    {
        seeds.append(body)
    }
    return seeds
}()
