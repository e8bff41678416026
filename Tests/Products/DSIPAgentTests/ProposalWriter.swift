import Crypto
import DSIPIdentity
import DSIPRelay
import DoubleRatchet
import Encoding
import Foundation
import Synchronization
import Testing

@testable import DSIPDialect03

/// What somebody who speaks the proposal alone needs for messages (0.3 §8): prekeys, ratchet sessions and a seal, from docs/dialect-0.3.md.
final class ProposalWriter: Sendable {
    private struct Keys: ~Copyable {
        var ring: PreKeyRing
        var sessions: Correspondent
    }

    struct Opened {
        var id: String
        var device: DID
        var object: JSONValue
    }

    private static let profile = SessionProfile.standard("dsip/1", kem: .mlKEM768, encryptsHeaders: true)
    private static let purpose = "dsip ratchet message v1"

    /// Another takes its place when the connection was given up.
    private let line: Mutex<ProposalPeer>
    private let relay: DID
    private let keys: Mutex<Keys>

    init(at relay: TestRelay) throws {
        let peer = try ProposalPeer(at: relay)
        self.relay = relay.running.did
        line = Mutex(peer)
        var random = SystemRandomNumberGenerator()
        let identity = try IdentityKeyPair(ed25519Seed: peer.key.rawRepresentation)
        var ring = PreKeyRing(
            identity: identity,
            profile: Self.profile.agreement,
            at: Int64(Date().timeIntervalSince1970),
            using: &random
        )
        ring.replenish(to: 4, using: &random)
        keys = Mutex(Keys(ring: ring, sessions: Correspondent(identity: identity, profile: Self.profile)))
    }

    var peer: ProposalPeer { line.withLock { $0 } }
    var did: DID { peer.did }

    /// On a new connection, to be connected.
    func back(at relay: TestRelay) throws -> ProposalPeer {
        let next = try ProposalPeer(at: relay, as: peer.key)
        line.withLock { $0 = next }
        return next
    }

    // MARK: Prekeys

    func publish() async throws {
        let bundles: [JSONValue] = keys.withLock { keys in
            (0..<3).map { _ in
                ["device": .string(did.string), "bundle": .string(Base64URL.encode(keys.ring.takeBundle().bytes))]
            }
        }
        try await peer.say(
            "dsip.prekeys",
            to: relay,
            ["core": ["subject": .string(did.string), "bundles": .array(bundles), "fresh": true]]
        )
        _ = try await peer.next("dsip.accepted")
    }

    /// - Returns: the person's devices, with each of which a session is there.
    func meet(_ person: DID) async throws -> [DID] {
        for _ in 0..<15 {
            let id = UUID().uuidString.lowercased()
            try await peer.say(
                "dsip.prekey-fetch",
                to: relay,
                ["id": .string(id), "core": ["target": .string(person.string)]]
            )
            let answer = try await peer.next("dsip.prekeys") { $0["correlates"]?.string == id }
            let bundles = answer["core"]?["bundles"]?.array ?? []
            guard !bundles.isEmpty else {
                try await Task.sleep(for: .seconds(1))
                continue
            }
            return try bundles.map { bundle in
                let device = try #require(bundle["device"]?.string.flatMap { DID($0) })
                let bytes = try #require(bundle["bundle"]?.string.flatMap { Base64URL.decode($0) })
                let verified = try PreKeyBundle(bytes).verified(as: key(of: device), profile: Self.profile.agreement)
                try keys.withLock { keys in
                    var random = SystemRandomNumberGenerator()
                    try keys.sessions.begin(with: device.string, verified, using: &random)
                }
                return device
            }
        }
        throw NotInTime(what: "prekeys of \(person)")
    }

    private func key(of device: DID) throws -> IdentityKey? {
        guard case .ed25519(let key)? = DIDKey.publicKey(of: device) else { return nil }
        return .ed25519(Array(key.rawRepresentation))
    }

    // MARK: Messages

    /// - Returns: the message's id.
    @discardableResult
    func write(_ object: JSONValue, to device: DID) async throws -> String {
        let (id, reference) = (UUID().uuidString.lowercased(), ProposalID.read(UUID().uuidString)!)
        let message = try keys.withLock { keys in
            var random = SystemRandomNumberGenerator()
            return try keys.sessions.encrypt(object.utf8, to: device.string, using: &random)
        }
        let context = [ProposalID.read(id)!.description, did.string, device.string].joined(separator: "\u{0}")
        let sealed = try DeviceSeal.seal(
            Array(reference.description.utf8) + message,
            to: device,
            purpose: Self.purpose,
            context: Array(context.utf8)
        )
        let content: JSONValue = [
            "enc": "v1", "ciphertext": .string(Base64URL.encode(sealed)),
            "aad": .string(Base64URL.encode(Array(context.utf8))),
        ]
        try await peer.say(
            "dsip.msg",
            to: device,
            ["id": .string(id), "to": [.string(device.string)], "content": content]
        )
        return id
    }

    /// The next message that holds, its seal and its ratchet opened, and acknowledged.
    func read(where holds: (JSONValue) -> Bool = { _ in true }) async throws -> Opened {
        while true {
            let message = try await peer.next("dsip.msg")
            let id = try #require(message["id"]?.string)
            let device = try #require(message["from"]?.string.flatMap { DID($0) })
            let context = [ProposalID.read(id)!.description, device.string, did.string].joined(separator: "\u{0}")
            #expect(message["content"]?["enc"] == "v1")
            #expect(message["content"]?["aad"]?.string == Base64URL.encode(Array(context.utf8)))
            let sealed = try #require(message["content"]?["ciphertext"]?.string.flatMap { Base64URL.decode($0) })
            let plain = try DeviceSeal.open(
                sealed,
                with: peer.key,
                purpose: Self.purpose,
                context: Array(context.utf8)
            )
            let known = try key(of: device)
            let received = try keys.withLock { keys in
                try keys.sessions.decrypt(
                    Array(plain.dropFirst(26)),
                    from: device.string,
                    known: known,
                    preKeys: &keys.ring
                )
            }
            try await peer.say("dsip.accepted", to: relay, ["correlates": .string(id)])
            guard case .message(let text) = received.content else { continue }
            let object = try JSONValue(parsing: text)
            if holds(object) { return Opened(id: id, device: device, object: object) }
        }
    }
}
