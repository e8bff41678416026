import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding

/// Full inbound verification of an invite against the bare Ed25519 verification inside it.
enum VerifyBenchmark {
    static func run() throws {
        let sample = try Sample()
        for (name, frame) in [("verify", sample.bareFrame), ("verify with delegation", sample.frame)] {
            guard let envelope = Envelope(frame), case .ed25519(let key) = sample.device.publicKey else { return }
            let (signature, input) = (envelope.decodedSignature(), envelope.signingInput)
            var verifier = EnvelopeVerifier()
            var replay = NoReplay()
            let medians = try Rounds().measure([
                { keep(key.isValidSignature(signature, for: input)) },
                {
                    let verdict = verifier.verify(frame, at: sample.now, replay: &replay, documents: { _ in .unknown })
                    guard case .accepted = verdict else { fatalError("the sample does not verify") }
                },
            ])
            Report.line(
                name,
                "\(frame.count) bytes in \(Report.microseconds(medians[1])), bare verification \(Report.microseconds(medians[0]))",
                ratio: medians[0] / medians[1],
                atLeast: 0.9
            )
        }
    }
}
