import DSIPIdentity
import DSIPSignaling
import Testing

@Suite("Envelopes that somebody kept")
struct KeptEnvelopeTests {
    private let month = Fixture.now - 86_400...Fixture.now + 30 * 86_400

    private func code(
        _ frame: [UInt8],
        issued: ClosedRange<Int64>? = nil,
        revocations: Revocations = Revocations()
    ) -> VerdictCode? {
        var verifier = EnvelopeVerifier()
        let verdict = verifier.verifyKept(
            frame,
            issued: issued ?? month,
            documents: { _ in .unknown },
            revocations: revocations
        )
        return if case .rejected(let rejection) = verdict { rejection.code } else { nil }
    }

    private func invite(_ delegations: [Envelope]) throws -> [UInt8] {
        try Fixture.invite(from: Fixture.alice.did).signed(by: Fixture.phone, delegations: delegations).bytes
    }

    @Test("are verified as of when they were issued, whatever the time is now, and as often as one likes")
    func then() throws {
        let frame = try invite([try Fixture.delegation(expiresAt: Fixture.now + 1000)])
        var verifier = EnvelopeVerifier()
        for _ in 0..<2 {
            guard case .accepted(let message) = verifier.verifyKept(frame, issued: month, documents: { _ in .unknown })
            else {
                Issue.record("refused")
                return
            }
            #expect(message.principal == Fixture.alice.did && message.body.type == .invite)
        }
        // A receiver of today refuses the same frame.
        #expect(Receiver().code(frame, at: Fixture.now + 301) == .replayWindow)
    }

    @Test("are refused when altered, outside the time asked for, or by a device that had no authority then")
    func refused() throws {
        let frame = try invite([try Fixture.delegation()])
        #expect(code(frame, issued: Fixture.now + 1...Fixture.now + 2) == .replayWindow)
        #expect(code(try invite([try Fixture.delegation(expiresAt: Fixture.now)])) == .delegationExpired)
        #expect(code(try invite([])) == .signerMismatch)
        var altered = frame
        altered[altered.count - 4] ^= altered[altered.count - 4] == UInt8(ascii: "A") ? 3 : 1
        #expect(code(altered) != nil)
        #expect(code([]) == .envelopeShape)
        #expect(code(Array(repeating: UInt8(ascii: "["), count: 70_000)) == .envelopeShape)
    }

    @Test("prove nothing once their device’s authority was taken back, by whatever date")
    func revoked() throws {
        let frame = try invite([try Fixture.delegation()])
        var revocations = Revocations()
        revocations.insert(
            DelegationRevocation(
                id: Fixture.ulid(9),
                subject: Fixture.alice.did,
                device: Fixture.phone.did,
                revokedAt: Fixture.now + 86_400,
                reason: DelegationRevocation.Reason.compromised,
                issuedAt: Fixture.now + 86_400,
                expiresAt: Fixture.now + 2 * 86_400
            )
        )
        #expect(code(frame, revocations: revocations) == .delegationRevoked)
    }

    @Test("ask for the document they need")
    func needs() throws {
        let frame = try Message.invite(Fixture.stamp(Fixture.bobDID), to: Fixture.alice.did, Fixture.offer)
            .signed(by: Fixture.bob).bytes
        var verifier = EnvelopeVerifier()
        guard case .needs(let did) = verifier.verifyKept(frame, issued: month, documents: { _ in .unknown }) else {
            Issue.record("no document was asked for")
            return
        }
        #expect(did == Fixture.bobDID)
    }
}
