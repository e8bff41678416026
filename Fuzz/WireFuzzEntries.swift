import DSIPDialect03
import DSIPIdentity
import DSIPSignaling
import Encoding

/// The forms beside DSIP-JOSE: what lies before the signature as it comes, what lies behind it under a signature made here.
let wireFuzzEntries: [FuzzEntry] = [
    FuzzEntry("proposal-frame", seeds: [proposalFrame(ProposalCodec.json), proposalFrame(ProposalCodec.cbor)]) {
        bytes in
        read(bytes)
        _ = try? StoredEnvelope(bytes, at: wireNow)
    },
    FuzzEntry("proposal-message", seeds: proposalSeeds) { bytes in
        guard let key = wireKey, let message = (try? JSONValue(parsing: bytes))?.object else { return }
        for codec in [ProposalCodec.json, .cbor] {
            if let envelope = try? codec.sign(message, by: key) { read(envelope.bytes) }
        }
    },
    FuzzEntry("cose-message", seeds: coreSeeds) { bytes in
        guard let key = wireKey, let value = try? CBORValue(decoding: bytes, as: .valid) else { return }
        var headers = COSEHeaderMap()
        headers.algorithm = .edDSA
        headers.contentType = COSECodec.contentType
        headers.keyIdentifier = Array(key.kid.description.utf8)
        let frame = try? COSESign1(signing: value.encoded, headers: COSEHeaders(protected: headers)) {
            try key.sign($0)
        }
        if let frame { read(frame.encoded()) }
    },
    FuzzEntry("sealed-body", seeds: [#"{"media":[],"transports":[]}"#, #"{"detail":"later"}"#]) { bytes in
        // Whatever is sealed to us, and whatever somebody claims to have sealed.
        guard let key = wireKey else { return }
        let text = String(decoding: bytes, as: UTF8.self)
        let did = key.did.string
        let payload: JSONValue = [
            "dsip": [
                "core": "1.0", "min_core": "1.0", "profiles": [], "extensions": ["sealed-body/1.0"],
                "critical": ["sealed-body/1.0"],
            ], "type": "bye", "id": "01KEFYQQ0R0000000000000000", "from": .string(did), "to": .string(did),
            "session": "01KEFYQQ0R0000000000000000", "reason": "user.hangup",
            "sealed": ["alg": .string(SealedBody.hpke), "enc": .string(text), "ct": .string(Base64URL.encode(bytes))],
            "issued_at": .int(wireNow), "expires_at": .int(wireNow + 30),
        ]
        if let envelope = try? Envelope(signing: payload.utf8, by: key) { read(envelope.bytes) }
    },
]

private let wireNow: Int64 = 1_760_000_010
private let wireKey: SigningKey? = SigningKey()

private func read(_ frame: [UInt8]) {
    var policy = VerificationPolicy()
    policy.supported.extensions.append(.sealedBody)
    var verifier = EnvelopeVerifier(
        policy: policy,
        codecs: [ProposalCodec.json, ProposalCodec.cbor, COSECodec()],
        opener: SealOpener(wireKey.map { [$0] } ?? [])
    )
    var replay = ReplayWindow()
    _ = verifier.verify(frame, at: wireNow, replay: &replay, documents: { _ in .unresolvable })
}

private let proposalSDP =
    "v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\nm=audio 9 UDP/TLS/RTP/SAVPF 111\\r\\nc=IN IP4 0.0.0.0\\r\\na=mid:0\\r\\na=rtpmap:111 opus/48000/2\\r\\n"

private let proposalSeeds = [
    #"{"type":"dsip.invite","id":"7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40","ts":1760000000,"to":"did:web:voice.example:users:bob","cap":{"ver":"1.0","features":["webrtc"]},"media":{"sdp":""#
        + proposalSDP
        + #""},"net":{"ice":{"ufrag":"abcd","pwd":"0123456789012345678901"},"candidates":["candidate:1 1 udp 1 192.0.2.1 5 typ host"],"hints":{}},"identity":{"proof":"DIDAuth-JWS","credentials":[],"rcid":{"type":"rcid.v1","displayName":"A"}},"economics":{"rate_msat_per_sec":0,"dest":null}}"#,
    #"{"type":"dsip.answer","correlates":"7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40","media":{"sdp":""# + proposalSDP
        + #""},"core":{"answered_by":"user"}}"#,
    #"{"type":"dsip.ice","correlates":"7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40","candidate":"candidate:1 1 udp 1 192.0.2.1 5 typ host","sdpMid":"0"}"#,
    #"{"type":"dsip.error","correlates":"7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40","code":403,"reason":"policy:reputation-too-low"}"#,
    #"{"type":"dsip.msg","id":"7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40","ts":1760000000,"to":["did:key:z6Mk"],"content":{"enc":"v1","ciphertext":"AAEC"}}"#,
]

private let coreSeeds: [[UInt8]] = [
    CBORValue(
        [
            "dsip": ["core": "1.0", "min_core": "1.0", "profiles": [], "extensions": [], "critical": []],
            "type": "hello", "id": "01J5Y0QBD8EF9GH0JK1MN2PQ3R", "from": "did:key:z6Mk", "bindings": ["ws/1.0"],
            "issued_at": 1_760_000_000, "expires_at": 1_760_000_030,
        ]
    ).encoded
]

private func proposalFrame(_ codec: ProposalCodec) -> [UInt8] {
    guard let key = wireKey, let message = (try? JSONValue(parsing: proposalSeeds[0]))?.object,
        let envelope = try? codec.sign(message, by: key)
    else { return [] }
    return envelope.bytes
}
