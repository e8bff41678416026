import DSIPIdentity
import DSIPSignaling
import Encoding

/// Kind `dht`: a reachability hint, and which of two hints stands (DSIP §8.3).
enum HintArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        let verified: Verified<Message>
        switch try EnvelopeArea.verify(vector) {
        case .accepted(let accepted): verified = accepted
        case .rejected(let rejection): return VerdictJSON.rejected(rejection)
        case .needs(let did): throw VectorFault("the document of \(did) is missing")
        }
        guard let hint = verified.body.body(as: ReachabilityHint.self) else { throw VectorFault("not a hint") }
        let context = vector["context"]
        var (winner, conflict) = ("input", "none")
        if let existing = context?["existing"].flatMap({ Envelope($0.utf8) }),
            let held = try? Message(decoding: JSONDocument(scanning: existing.decodedPayload())),
            let heldHint = held.body(as: ReachabilityHint.self), heldHint.subject == hint.subject,
            held.expiresAt > context?["now"]?.int ?? 0
        {
            if hint.seq > heldHint.seq {
                conflict = "newer-seq"
            } else if hint.seq < heldHint.seq {
                (winner, conflict) = ("existing", "older-seq")
            } else {
                // The same content again is no conflict.
                winner = "existing"
                if existing.payloadText != verified.envelope.payloadText { conflict = "same-seq-live" }
            }
        }
        return EnvelopeArea.accepted(verified, ["winner": .string(winner), "conflict": .string(conflict)])
    }
}
