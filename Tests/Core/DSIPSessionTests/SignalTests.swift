import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Testing

@Suite("Signals")
struct SignalTests {
    @Test("A verified message becomes the signal of its fields")
    func ofVerified() throws {
        let key = SigningKey()
        let from = key.kid.did
        let now = Int64(Cast.id(1).seconds)
        let bodies: [(Message.Body, (Signal) -> Bool)] = [
            (
                .progress(Progress(.queued, queueTimeout: 60)),
                { $0.effectiveStatus == .queued && $0.queueTimeout == 60 }
            ),
            (
                .reject(Reject(.endpointBusy, inReplyTo: Cast.id(9))),
                { $0.reason == .endpointBusy && $0.inReplyTo == Cast.id(9) }
            ),
            (.cancel(Cancel(.userCancelled)), { $0.reason == .userCancelled }),
            (.bye(Bye(.userHangup)), { $0.reason == .userHangup }),
            (.error(ErrorReport(.transportNoResponse)), { $0.reason == .transportNoResponse }),
        ]
        for (index, (body, holds)) in bodies.enumerated() {
            let message = Message(
                id: Cast.id(UInt64(20 + index)),
                from: from,
                to: Cast.bob,
                session: Cast.id(7),
                issuedAt: now,
                expiresAt: now + 30,
                body: body
            )
            let signal = Signal(try verified(message, by: key, at: now))
            #expect(signal.type == message.type && signal.id == message.id && signal.session == Cast.id(7))
            #expect(signal.from == from && signal.identity == from && signal.to == Cast.bob)
            #expect(signal.expiresAt == now + 30)
            #expect(holds(signal), "\(message.type)")
        }
    }

    private func verified(_ message: Message, by key: SigningKey, at now: Int64) throws -> Verified<Message> {
        var verifier = EnvelopeVerifier(policy: VerificationPolicy())
        var replay = ReplayWindow()
        let frame = try message.signed(by: key).bytes
        let verdict = verifier.verify(frame, at: now, replay: &replay, documents: { _ in .unresolvable })
        guard case .accepted(let verified) = verdict else {
            Issue.record("\(verdict)")
            throw CancellationError()
        }
        return verified
    }
}
