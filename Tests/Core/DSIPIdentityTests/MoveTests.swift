import Crypto
import Encoding
import Support
import Testing

@testable import DSIPIdentity

@Suite("Moves") struct MoveTests {
    let old = SigningKey(seeded: 1)
    let new = SigningKey(seeded: 2)
    let third = SigningKey(seeded: 3)
    let now: Int64 = 1_760_000_000

    private func move(withdrawn: Bool = false, lifetime: Int64 = 1000) -> IdentityMove {
        IdentityMove(
            id: ULID("01J5Y0QJR0T00AAAAAAAAAAAAF")!,
            old: old.did,
            new: new.did,
            relay: "wss://relay.example.com/dsip",
            isWithdrawn: withdrawn,
            issuedAt: now,
            expiresAt: now + lifetime
        )
    }

    private func check(_ statement: MoveStatement, at time: Int64? = nil) throws -> IdentityMove {
        try #require(MoveStatement(json: statement.json)).verified(at: time ?? now) { _ in nil }
    }

    @Test("what both say is read back; what one says alone is nothing")
    func both() throws {
        let statement = try MoveStatement(move(), old: old, new: new)
        #expect(try check(statement) == move() && statement.parties == [old.did, new.did])
        for half in [MoveStatement(old: statement.old, new: nil), MoveStatement(old: nil, new: statement.new)] {
            #expect(throws: IdentityError(.refused, "")) { try check(half) }
        }
    }

    @Test("the words of two different moves, of a stranger, or of the same side twice are refused")
    func splices() throws {
        let statement = try MoveStatement(move(), old: old, new: new)
        var other = move()
        other.relay = nil
        let unlike = MoveStatement(old: try other.signed(by: old), new: statement.new)
        let forged = MoveStatement(
            old: try Envelope(signing: move().json(by: old.did).utf8, by: third),
            new: statement.new
        )
        let key = try Curve25519.Signing.PrivateKey(rawRepresentation: third.rawRepresentation)
        let impostor = SigningKey(kid: old.kid, key: key)
        let renamed = MoveStatement(
            old: try Envelope(signing: move().json(by: old.did).utf8, by: impostor),
            new: statement.new
        )
        for bad in [unlike, forged, renamed, MoveStatement(old: statement.new, new: statement.old)] {
            #expect(throws: IdentityError(.refused, "")) { try check(bad) }
        }
        #expect(throws: IdentityError(.refused, "")) { try move().signed(by: third) }
        #expect(throws: IdentityError(.refused, "")) { try MoveStatement(move(), old: new, new: old) }
    }

    @Test("a statement holds for its time, and for a bounded one")
    func times() throws {
        let statement = try MoveStatement(move(), old: old, new: new)
        for time in [now - 301, now + 1000] {
            #expect(throws: IdentityError(.refused, "")) { try check(statement, at: time) }
        }
        let long = try MoveStatement(move(lifetime: IdentityMove.maximumLifetime + 1), old: old, new: new)
        #expect(throws: IdentityError(.refused, "")) { try check(long) }
    }

    @Test("either of the two takes it back by itself")
    func withdrawal() throws {
        let word = move(withdrawn: true)
        #expect(try check(MoveStatement(old: try word.signed(by: old), new: nil)).isWithdrawn)
        #expect(try check(MoveStatement(old: nil, new: try word.signed(by: new))).isWithdrawn)
        #expect(MoveStatement(json: [:]) == nil && MoveStatement(json: ["old": "x"]) == nil)
    }
}
