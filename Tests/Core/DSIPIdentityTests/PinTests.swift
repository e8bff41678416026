import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Pins") struct PinTests {
    let did = DID("did:web:example.com:users:bob")!
    let old = SigningKey(kid: DIDURL("did:web:example.com:users:bob#key-1")!, key: Curve25519.Signing.PrivateKey())
    let new = SigningKey(kid: DIDURL("did:web:example.com:users:bob#key-2")!, key: Curve25519.Signing.PrivateKey())

    private func rotation(_ key: PublicKey, recovery: Bool = false) -> KeyRotation {
        KeyRotation(
            id: ULID("01J5Y0QJR0T00AAAAAAAAAAAAF")!,
            subject: did,
            previous: old.kid,
            next: new.kid,
            nextPublicKey: key,
            reason: "scheduled",
            recovery: recovery,
            issuedAt: 5,
            expiresAt: 50
        )
    }

    @Test("keys are pinned when first seen; a change is held until it is accepted")
    func change() throws {
        var pins = PinStore()
        #expect(try pins.observe(did, keys: [old.publicKey], at: 1) == .first)
        #expect(try pins.observe(did, keys: [old.publicKey], at: 2) == .same)
        let change = PinStore.Change(old: [old.publicKey], new: [new.publicKey], isExplained: false, observedAt: 3)
        #expect(try pins.observe(did, keys: [new.publicKey], at: 3) == .changed(change))
        #expect(try pins.observe(did, keys: [new.publicKey], at: 4) == .changed(change))
        #expect(pins.keys(did) == [old.publicKey] && pins.held(did) == change && pins.allHeld.map(\.did) == [did])
        let accepted = pins.accept(did, at: 5)
        #expect(try pins.observe(did, keys: [new.publicKey], at: 6) == .same)
        let acceptedAgain = pins.accept(did, at: 7)
        #expect(accepted && !acceptedAgain)
    }

    @Test("an added key is a change, a removed one is not, and the old keys end what was held")
    func subsets() throws {
        var pins = PinStore()
        _ = try pins.observe(did, keys: [old.publicKey, new.publicKey], at: 1)
        #expect(try pins.observe(did, keys: [new.publicKey], at: 2) == .same)
        let third = SigningKey(seeded: 3).publicKey
        guard case .changed = try pins.observe(did, keys: [old.publicKey, third], at: 3) else {
            Issue.record("not noticed")
            return
        }
        #expect(try pins.observe(did, keys: [old.publicKey], at: 4) == .same)
        #expect(pins.held(did) == nil)
    }

    @Test("a rotation record signed by a pinned key explains the change; others do not")
    func explained() throws {
        var pins = PinStore()
        _ = try pins.observe(did, keys: [old.publicKey], at: 1)
        #expect(!pins.announce(try Envelope(signing: rotation(new.publicKey).json.utf8, by: new)))
        let impostor = SigningKey(kid: old.kid, key: Curve25519.Signing.PrivateKey())
        #expect(!pins.announce(try Envelope(signing: rotation(new.publicKey).json.utf8, by: impostor)))
        guard case .changed(let before) = try pins.observe(did, keys: [new.publicKey], at: 2) else { return }
        #expect(!before.isExplained)
        #expect(pins.announce(try rotation(new.publicKey).issue(by: old)))
        guard case .changed(let after) = try pins.observe(did, keys: [new.publicKey], at: 3) else { return }
        #expect(after.isExplained)
        // Explained or not, it is held.
        #expect(pins.keys(did) == [old.publicKey])
    }

    @Test("the pin follows a published rotation that the old key vouches for, over several, and remembers the way")
    func followed() throws {
        let third = SigningKey(
            kid: DIDURL("did:web:example.com:users:bob#key-3")!,
            key: Curve25519.Signing.PrivateKey()
        )
        let first = try rotation(new.publicKey).issue(by: old)
        var next = rotation(third.publicKey)
        (next.previous, next.next, next.issuedAt, next.reason) = (new.kid, third.kid, 7, "compromised")
        let second = try next.issue(by: new)
        let steps = [
            PinStore.Step(key: new.publicKey, reason: "scheduled", at: 5),
            PinStore.Step(key: third.publicKey, reason: "compromised", at: 7),
        ]
        var pins = PinStore()
        _ = try pins.observe(did, keys: [old.publicKey], at: 1)
        var late = pins
        #expect(try pins.observe(did, keys: [new.publicKey], rotations: [first], at: 6) == .followed([steps[0]]))
        #expect(try pins.observe(did, keys: [new.publicKey], rotations: [first], at: 6) == .same)
        #expect(
            try pins.observe(did, keys: [third.publicKey], rotations: [first, second], at: 8) == .followed([steps[1]])
        )
        #expect(pins.history(did) == steps && pins.keys(did) == [third.publicKey])
        // Somebody who was away for both.
        #expect(try late.observe(did, keys: [third.publicKey], rotations: [first, second], at: 8) == .followed(steps))
        #expect(try PinStore(json: late.json) == late)
        // Back to a key that was left is no rotation.
        guard case .changed = try late.observe(did, keys: [old.publicKey], rotations: [first, second], at: 9) else {
            Issue.record("not noticed")
            return
        }
    }

    @Test("a rotation that somebody else signed, or that does not reach the new key, is a changed identity")
    func notVouched() throws {
        let impostor = SigningKey(kid: old.kid, key: Curve25519.Signing.PrivateKey())
        let stolen = SigningKey(seeded: 9).publicKey
        var pins = PinStore()
        _ = try pins.observe(did, keys: [old.publicKey], at: 1)
        let forged = try Envelope(signing: rotation(new.publicKey).json.utf8, by: impostor)
        let honest = try rotation(new.publicKey).issue(by: old)
        for (keys, records) in [
            ([new.publicKey], [forged]), ([stolen], [honest]), ([new.publicKey, stolen], [honest]),
        ] {
            guard case .changed = try pins.observe(did, keys: keys, rotations: records, at: 6) else {
                Issue.record("not noticed")
                return
            }
        }
        #expect(pins.keys(did) == [old.publicKey] && pins.history(did).isEmpty)
        let accepted = pins.accept(did, at: 9)
        #expect(accepted && pins.history(did).allSatisfy { !$0.isVouched && $0.at == 9 })
    }

    @Test("pins are bounded and read back as written")
    func coding() throws {
        var pins = PinStore()
        _ = try pins.observe(did, keys: [old.publicKey], at: 1)
        _ = try pins.observe(did, keys: [new.publicKey], at: 2)
        #expect(try PinStore(json: pins.json) == pins)
        let many = (0..<17).map { SigningKey(seeded: $0).publicKey }
        #expect(throws: IdentityError(.tooLarge, "")) { try pins.observe(DID("did:web:x")!, keys: many, at: 1) }
        #expect(throws: IdentityError(.damaged, "")) { try PinStore(json: [["did": "x"]]) }
    }
}
