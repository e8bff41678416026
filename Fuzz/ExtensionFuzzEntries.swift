import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// Messages of ours beside the profile's, and what is pushed.
let extensionFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "push-config",
        seeds: [
            message(
                "push-config",
                #""endpoints":[{"kind":"unifiedpush","endpoint":"https://p.example/1"},{"kind":"fcm","token":"abcdefghijklmnop"},{"kind":"apns","token":"AAAAAAAAAAAA","topic":"a.b","voip":true}]"#
            ), message("wake-request", #""kind":"call","envelope_id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R""#),
            message("presence-config", #""audience":"listed","salt":"BwcHBwcHBwcHBwcHBwcHBw","listed":"AQIDBAUGBwg""#),
        ]
    ) { bytes in
        if let json = try? JSONValue(parsing: bytes), let request = try? WakeRequest(json) {
            precondition((try? WakeRequest(request.json)) == request, "a request changed when written and read")
        }
        if let json = try? JSONValue(parsing: bytes), let config = try? PresenceConfig(json) {
            precondition((try? PresenceConfig(config.json)) == config, "an audience changed when written and read")
        }
        if let payload = WakePayload(bytes) {
            precondition(WakePayload(payload.bytes) == payload, "a payload changed when written and read")
        }
        guard let config = try? PushConfig(decoding: bytes) else { return }
        precondition((try? PushConfig(config.json)) == config, "a configuration changed when written and read")
    },
    FuzzEntry(
        "prekeys",
        seeds: [
            message(
                "prekeys",
                #""subject":"did:web:b","bundles":[{"device":"did:web:d","bundle":"AAAA","delegation":"a.b.c"}],"fresh":true"#
            ), message("prekey-fetch", #""target":"did:web:b","device":"did:web:d""#),
        ]
    ) { bytes in
        if let keys = try? PreKeys(decoding: bytes) {
            precondition((try? PreKeys(keys.json)) == keys, "prekeys changed when written and read")
        }
        if let json = try? JSONValue(parsing: bytes), let fetch = try? PreKeyFetch(json) {
            precondition((try? PreKeyFetch(fetch.json)) == fetch, "a fetch changed when written and read")
        }
    },
    FuzzEntry(
        "dsip-msg",
        seeds: [
            message(
                "dsip.msg",
                #""content":{"enc":"ratchet/1","ciphertext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#
            )
        ]
    ) { bytes in
        guard let message = try? RatchetMessage(decoding: bytes) else { return }
        precondition((try? RatchetMessage(message.json)) == message, "a message changed when written and read")
        _ = try? message.opened(by: device)
    },
]

private let device = SigningKey()

private func message(_ type: String, _ members: String) -> String {
    #"{"dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":[],"critical":[]},"type":"\#(type)","id":"01J5Y0QBD8EF9GH0JK1MN2PQ3R","from":"did:web:a","to":"did:web:m",\#(members),"issued_at":1760000000,"expires_at":1760000030}"#
}
