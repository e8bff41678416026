import DoubleRatchet
import Encoding
import LinePeer

/// One end of a conversation for `Interop/test_ratchet.py`: reads one JSON object a line, answers each with one.
///
/// ```
/// {"op":"start","format":"x25519"|"ed25519"}            a new device; answers its bundle
/// {"op":"initiate", …bundle}                            answers the X3DH header
/// {"op":"respond", …header}
/// {"op":"encrypt","text":HEX}   {"op":"decrypt","header":HEX,"sealed":HEX}   {"op":"restart"}
/// ```
@main
struct Main {
    static func main() {
        Peer().serve()
    }
}

/// Configured as the Python packages are by the test.
struct Peer: LinePeer, ~Copyable {
    private static let agreement = AgreementProfile(info: Array("interop x3dh".utf8))
    private static let ratchet = RatchetProfile(
        root: .hkdf(.sha256, info: Array("interop root".utf8)),
        chain: .hmac(message: 2, chain: 1),
        cipher: .aes256CBC(.sha256, info: Array("interop aead".utf8), tag: 32)
    )

    private var random = SystemRandomNumberGenerator()
    private var preKeys: PreKeyRing?
    private var bundle: PreKeyBundle?
    private var session: Ratchet?

    mutating func answer(_ request: JSONValue) throws -> JSONValue {
        switch request["op"]?.string {
        case "start": return try start(format: request["format"]?.string ?? "")
        case "initiate": return try initiate(request)
        case "respond": return try respond(request)
        case "encrypt":
            let text = try hex(request, "text")
            guard let message = try session?.encrypt(text, using: &random) else {
                throw PeerFault(reason: "no session")
            }
            return ["header": hex(message.header), "sealed": hex(message.sealed)]
        case "decrypt":
            let message = Ratchet.Message(header: try hex(request, "header"), sealed: try hex(request, "sealed"))
            guard let text = try session?.decrypt(message) else { throw PeerFault(reason: "no session") }
            return ["text": hex(text)]
        case "restart":
            guard let saved = session?.save() else { throw PeerFault(reason: "no session") }
            session = try Ratchet(restoring: saved, profile: Self.ratchet)
            return ["bytes": .int(Int64(saved.count))]
        default: throw PeerFault(reason: "an unknown op")
        }
    }

    private mutating func start(format: String) throws -> JSONValue {
        var seed: [UInt8] = []
        for _ in 0..<4 { withUnsafeBytes(of: random.next()) { seed.append(contentsOf: $0) } }
        let identity = try format == "x25519" ? IdentityKeyPair(x25519: seed) : IdentityKeyPair(ed25519Seed: seed)
        var ring = PreKeyRing(identity: identity, profile: Self.agreement, at: 0, using: &random)
        ring.replenish(to: 3, using: &random)
        let bundle = ring.takeBundle()
        preKeys = consume ring
        self.bundle = bundle
        return [
            "identity_key": hex(Array(bundle.identity.bytes.dropFirst())), "signed_pre_key": hex(bundle.signed.key),
            "signed_pre_key_sig": hex(bundle.signed.signature), "pre_key": hex(bundle.oneTime?.key ?? []),
        ]
    }

    private func identity(_ request: JSONValue) throws -> IdentityKey {
        let key = try hex(request, "identity_key")
        return request["format"]?.string == "x25519" ? .x25519(key) : .ed25519(key)
    }

    private mutating func initiate(_ request: JSONValue) throws -> JSONValue {
        let identity = try identity(request)
        let theirs = PreKeyBundle(
            identity: identity,
            signed: .init(
                id: 1,
                key: try hex(request, "signed_pre_key"),
                signature: try hex(request, "signed_pre_key_sig")
            ),
            oneTime: .init(id: 2, key: try hex(request, "pre_key"))
        )
        guard let own = preKeys?.identity else { throw PeerFault(reason: "not started") }
        let verified = try theirs.verified(as: identity, profile: Self.agreement)
        let (agreed, handshake) = try KeyAgreement.initiate(own, with: verified, using: &random)
        session = try Ratchet(initiator: agreed, peer: theirs.signed.key, profile: Self.ratchet, using: &random)
        return [
            "identity_key": hex(Array(handshake.identity.bytes.dropFirst())),
            "ephemeral_key": hex(handshake.ephemeralKey),
        ]
    }

    private mutating func respond(_ request: JSONValue) throws -> JSONValue {
        guard let bundle else { throw PeerFault(reason: "not started") }
        let handshake = Handshake(
            identity: try identity(request),
            ephemeralKey: try hex(request, "ephemeral_key"),
            signedPreKey: bundle.signed.id,
            oneTimePreKey: bundle.oneTime?.id
        )
        guard let (agreed, own) = try preKeys?.respond(to: handshake) else { throw PeerFault(reason: "not started") }
        try preKeys?.consume(handshake)
        session = try Ratchet(responder: agreed, ownKey: own.secret.bytes, profile: Self.ratchet)
        return ["ok": true]
    }

    private func hex(_ bytes: [UInt8]) -> JSONValue {
        .string(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }

    private func hex(_ json: JSONValue, _ name: String) throws -> [UInt8] {
        guard let text = json[name]?.string else { throw PeerFault(reason: "no \(name)") }
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }
}
