import Crypto
import DSIPIdentity
import DSIPMedia
import DSIPSignaling
import Encoding
import Foundation
import WebRTC

@testable import DSIPDialect03

/// A caller with a `did:key`, a callee with a `did:web`, as in the proposal's examples.
enum Scene {
    static let now: Int64 = 1_733_871_542
    static let alice = SigningKey(selfIssued: secret(1))
    static let bobDID = DID("did:web:voice.example:users:bob")!
    static let bob = SigningKey(kid: DIDURL(did: bobDID, fragment: "key-1"), key: secret(2))
    static let session = "7f1c9a52-3b6e-4d0f-9a77-0c2f5d1e8b40"

    static func secret(_ byte: UInt8) -> Curve25519.Signing.PrivateKey {
        // Thirty-two bytes are always a key.
        try! Curve25519.Signing.PrivateKey(rawRepresentation: Data(repeating: byte, count: 32))
    }

    static let fingerprint = "sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":")

    static func sdp(_ setup: String, ufrag: String = "alce", ice: Bool = true) -> String {
        var lines = [
            "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 0.0.0.0",
        ]
        if ice { lines += ["a=ice-ufrag:\(ufrag)", "a=ice-pwd:0123456789012345678901"] }
        lines += [
            "a=fingerprint:\(fingerprint)", "a=setup:\(setup)", "a=mid:0", "a=sendrecv", "a=rtcp-mux",
            "a=rtpmap:111 opus/48000/2",
        ]
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    static func media(_ setup: String, on side: MediaBindingError.Side) throws -> MediaPayload {
        let sdp = sdp(setup)
        return try MediaPayload(describing: sdp, read: SessionDescription(parsing: sdp), on: side)
    }

    static func document(_ did: DID) -> DocumentLookup {
        guard did == bobDID else { return .unresolvable }
        return .found(
            DIDDocument(
                id: bobDID,
                verificationMethods: [.init(id: bob.kid, controller: bobDID, publicKey: bob.publicKey)]
            )
        )
    }

    /// §6.1, completed.
    static func invite() -> JSONObject {
        [
            "type": "dsip.invite", "id": .string(session), "ts": .int(now), "from": .string(alice.did.string),
            "to": .string(bobDID.string), "cap": ["ver": "1.0", "features": ["webrtc", "payments", "e2ee"]],
            "media": ["sdp": .string(sdp("actpass")), "codecs": ["opus/48000/2"]],
            "net": [
                "ice": ["ufrag": "alce", "pwd": "0123456789012345678901"], "candidates": [],
                "hints": ["sfu": ["wss://sfu.voice.example"]],
            ],
            "identity": ["proof": "DIDAuth-JWS", "credentials": []],
            "economics": ["rate_msat_per_sec": 0, "dest": nil],
        ]
    }
}

/// A verifier of either side, with a window of its own.
struct Reader {
    var verifier: EnvelopeVerifier
    var replay = ReplayWindow()

    init(opening key: SigningKey? = nil) {
        let json = key.map { ProposalCodec.json(opening: [$0]) } ?? .json
        verifier = EnvelopeVerifier(codecs: [json, ProposalCodec.cbor, COSECodec()])
    }

    mutating func read(_ frame: [UInt8], at now: Int64 = Scene.now) -> Verdict {
        verifier.verify(frame, at: now, replay: &replay, documents: Scene.document)
    }

    mutating func accept(_ envelope: Envelope, at now: Int64 = Scene.now) throws -> Verified<Message> {
        switch read(envelope.bytes, at: now) {
        case .accepted(let message): return message
        case .rejected(let rejection): throw rejection
        case .needs(let did): throw Rejection(.kidUnresolvable, did.string)
        }
    }

    mutating func code(_ frame: [UInt8], at now: Int64 = Scene.now) -> VerdictCode? {
        if case .rejected(let rejection) = read(frame, at: now) { return rejection.code }
        return nil
    }
}

extension JSONObject {
    func with(_ name: String, _ value: JSONValue?) -> JSONObject {
        var object = self
        object[name] = value
        return object
    }
}
