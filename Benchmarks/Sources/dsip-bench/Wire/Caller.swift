import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation

/// Somebody with a device: an identity's key, the device's, and the delegation that ties them.
struct Caller: Sendable {
    let identity = SigningKey()
    let device = SigningKey()
    let delegation: Envelope

    init() throws {
        let now = Caller.now
        delegation = try Delegation(
            subject: identity.did,
            device: device.did,
            issuedAt: now - 1000,
            expiresAt: now + 100_000
        ).issue(by: identity)
    }

    /// Unix seconds.
    static var now: Int64 { Int64(Date().timeIntervalSince1970) }

    func stamp(lifetime: Int64 = 30, version: VersionBlock = .interactive) -> Message.Stamp {
        var random = SystemRandomNumberGenerator()
        let now = Caller.now
        return Message.Stamp(
            id: ULID(milliseconds: UInt64(now) * 1000, using: &random),
            from: device.did,
            issuedAt: now,
            lifetime: lifetime,
            version: version
        )
    }

    func sign(_ message: Message) throws -> Envelope { try message.signed(by: device, delegations: [delegation]) }

    func hello() throws -> [UInt8] { try sign(.hello(stamp(), Hello(onBehalfOf: identity.did))).bytes }

    /// An `info` with one candidate, 1.1 KiB with the delegation in its header.
    func info(to peer: Caller, session: ULID) throws -> [UInt8] {
        let candidate =
            "candidate:842163049 1 udp 1677729535 203.0.113.77 46154 typ srflx raddr 0.0.0.0 rport 0 generation 0"
        let info = Info(WebRTCCandidates([.init(candidate, sdpMid: "0", sdpMLineIndex: 0)]))
        return try sign(.inSession(session, stamp(lifetime: 300), to: peer.device.did, info)).bytes
    }
}
