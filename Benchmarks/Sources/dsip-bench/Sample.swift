import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding

/// An invite of 1.1 KiB as agents send it: from a device, its delegation in the header.
struct Sample {
    let now: Int64 = 1_760_000_000
    let identity = SigningKey()
    let device = SigningKey()
    let delegation: Envelope
    let frame: [UInt8]
    /// The same without the delegation.
    let bareFrame: [UInt8]

    static let invite = Invite(
        media: [
            MediaDescriptor(
                .audio,
                codecs: [
                    Codec("codec:audio/opus", parameters: ["sample_rates": [48_000], "channels": [1, 2]]),
                    Codec("codec:audio/pcmu", parameters: ["sample_rates": [8_000], "channels": [1]]),
                ]
            ),
            MediaDescriptor(.video, codecs: [Codec("codec:video/h264", parameters: ["profiles": ["baseline"]])]),
        ],
        transports: [TransportDescriptor("transport:webrtc", parameters: ["ice": "trickle"])],
        identity: IdentityInfo(displayName: "Alice", claims: []),
        policy: ["recording": "consent-required", "ai_processing": "denied"]
    )

    init() throws {
        delegation = try Delegation(
            subject: identity.did,
            device: device.did,
            issuedAt: now - 1000,
            expiresAt: now + 100_000
        ).issue(by: identity)
        var random = SystemRandomNumberGenerator()
        let message = Message.invite(
            Message.Stamp(
                id: ULID(milliseconds: UInt64(now) * 1000, using: &random),
                from: device.did,
                issuedAt: now
            ),
            to: DIDKey.did(of: SigningKey().publicKey),
            Sample.invite
        )
        frame = try message.signed(by: device, delegations: [delegation]).bytes
        bareFrame = try message.signed(by: device).bytes
    }
}

/// Forgets at once, so that one frame can be verified again and again.
struct NoReplay: ReplayGuard {
    var window = ReplayWindow()
    var counter = SplitMix(state: 1)

    func contains(_ id: ULID) -> Bool { window.contains(id) }

    mutating func remember(_ id: ULID, until expiry: Int64, at now: Int64) -> Bool {
        // The cost of remembering is paid under a new id each time.
        _ = window.remember(ULID(milliseconds: id.milliseconds, using: &counter), until: expiry, at: now)
        return true
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        let z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        return z ^ (z >> 27)
    }
}
