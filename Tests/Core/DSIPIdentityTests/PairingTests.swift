import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Pairing") struct PairingTests {
    let now: Int64 = 1_760_000_000

    @Test("a new device joins an identity without its controller key")
    func pairing() throws {
        var old = Wallet()
        var new = Wallet()
        let identity = try old.createIdentity(name: "Alice", device: laptop, relay: "wss://r.example", at: now)
        let shown = try new.requestPairing(as: phone, relay: "wss://r.example/dsip", at: now)
        let scanned = try PairingRequest(parsing: " \(shown.code)\n")
        #expect(scanned == shown && scanned.description == phone && scanned.relay == "wss://r.example/dsip")
        #expect(try scanned.comparisonWords() == shown.comparisonWords())
        let answer = try old.approve(scanned, as: identity.did, sharing: ["bob"], at: now + 5)
        #expect(old[identity.did]?.devices.map(\.did) == [identity.device.did, shown.device])
        #expect(try new.open(answer).contacts == ["bob"] && new.identities.isEmpty)
        let joined = try new.complete(answer + "\n", at: now + 2)
        #expect(joined.did == identity.did && joined.device.did == shown.device && joined.controller == nil)
        #expect(joined.name == "Alice" && joined.relay == "wss://r.example" && new.pendingPairings.isEmpty)
        _ = try Delegation.verify(
            try #require(joined.delegation),
            device: shown.device,
            subject: identity.did,
            at: now + 6,
            document: DIDKey.document(of: identity.did)!
        )
        // The new device can neither delegate nor revoke.
        #expect(throws: IdentityError(.refused, "")) { try new.approve(scanned, as: identity.did, at: now) }
        #expect(throws: IdentityError(.refused, "")) {
            try new.update(identity.did) { identity throws(IdentityError) in try identity.revoke(shown.device, at: now)
            }
        }
        #expect(throws: IdentityError(.refused, "")) { try new.complete(answer, at: now + 2) }
        // And it all survives the disk.
        #expect(try Wallet(plaintext: new.plaintext(.everything)).plaintext(.everything) == new.plaintext(.everything))
    }

    @Test("a code is small enough for a modest QR symbol")
    func size() throws {
        var wallet = Wallet()
        let request = try wallet.requestPairing(as: laptop, relay: "wss://relay.example.com/dsip", at: now)
        #expect(request.code.utf8.count < 260)
        #expect(try QRCode(request.code).size <= 65)
    }

    @Test("an answer opens on the device that asked, for the request it showed, and nowhere else")
    func addressee() throws {
        var old = Wallet()
        let did = try old.createIdentity(name: "Alice", device: laptop, at: now).did
        var new = Wallet()
        var other = Wallet()
        let request = try new.requestPairing(as: phone, at: now)
        _ = try other.requestPairing(as: phone, at: now)
        let answer = try old.approve(request, as: did, at: now)
        #expect(throws: IdentityError(.refused, "")) { try other.complete(answer, at: now) }
        // The device is asked again under the same key: the old answer does not fit the new request.
        let pending = try #require(new.pendingPairings.first)
        let again = try PairingRequest(key: pending.key, description: phone, at: now + 1)
        new.pendingPairings = [PendingPairing(request: again, key: pending.key)]
        #expect(throws: IdentityError(.refused, "")) { try new.complete(answer, at: now) }
        #expect(throws: IdentityError(.refused, "")) { try Wallet().open(answer) }
    }

    @Test("an answer whose delegation was not signed by the identity is refused")
    func forged() throws {
        var new = Wallet()
        let request = try new.requestPairing(as: phone, at: now)
        let victim = SigningKey(seeded: 1)
        let mallory = SigningKey(seeded: 2)
        let delegation = Delegation(subject: victim.did, device: request.device, issuedAt: now, expiresAt: now + 1000)
        let grant = PairingGrant(
            identity: victim.did,
            name: "Alice",
            alias: nil,
            relay: nil,
            delegation: try Envelope(signing: delegation.json.utf8, by: mallory),
            contacts: nil
        )
        let answer = try grant.sealed(for: request)
        #expect(throws: IdentityError(.refused, "")) { try new.complete(answer, at: now) }
        #expect(new.pendingPairings.count == 1 && new.identities.isEmpty)
    }

    @Test("a request is good for ten minutes, give or take the clocks")
    func times() throws {
        var old = Wallet()
        let did = try old.createIdentity(name: "Alice", device: laptop, at: now).did
        var new = Wallet()
        let request = try new.requestPairing(as: phone, at: now)
        for (time, good) in [(-301, false), (-300, true), (600, true), (899, true), (900, false)] as [(Int64, Bool)] {
            #expect(((try? old.approve(request, as: did, at: now + time)) != nil) == good, "\(time)")
        }
        for i in 0..<20 { _ = try new.requestPairing(as: phone, at: now + Int64(i)) }
        #expect(new.pendingPairings.count == 8)
        _ = try new.requestPairing(as: phone, at: now + 2000)
        #expect(new.pendingPairings.count == 1)
    }

    @Test("changed codes and answers are refused, whatever byte is changed")
    func mutations() throws {
        var old = Wallet()
        let did = try old.createIdentity(name: "Alice", device: laptop, at: now).did
        var new = Wallet()
        let request = try new.requestPairing(as: phone, relay: "wss://r.example", at: now)
        let bytes = try #require(Base64URL.decode(request.code.dropFirst(10)))
        for i in bytes.indices {
            var changed = bytes
            changed[i] ^= 0x11
            #expect(throws: IdentityError.self) {
                try PairingRequest(parsing: "dsip-pair:" + Base64URL.encode(changed))
            }
            #expect(throws: IdentityError.self) {
                try PairingRequest(parsing: "dsip-pair:" + Base64URL.encode(bytes[..<i]))
            }
        }
        let answer = try old.approve(request, as: did, at: now)
        let sealed = try #require(Base64URL.decode(answer.dropFirst(11)))
        for i in stride(from: 0, to: sealed.count, by: 7) {
            var changed = sealed
            changed[i] ^= 0x11
            #expect(throws: IdentityError.self) { try new.complete("dsip-grant:" + Base64URL.encode(changed), at: now) }
            #expect(throws: IdentityError.self) {
                try new.complete("dsip-grant:" + Base64URL.encode(sealed[..<i]), at: now)
            }
        }
        #expect(throws: IdentityError(.malformed, "")) { try new.complete("hello", at: now) }
        #expect(throws: IdentityError(.malformed, "")) { try PairingRequest(parsing: "hello") }
    }

    @Test("another request has other words")
    func words() throws {
        var wallet = Wallet()
        let one = try wallet.requestPairing(as: phone, at: now).comparisonWords()
        let two = try wallet.requestPairing(as: phone, at: now).comparisonWords()
        #expect(one != two)
        #expect(one.split(separator: "-").allSatisfy { RecoveryWords.index[String($0)] != nil })
    }
}
