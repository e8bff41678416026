import DSIPDiscovery
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
        let precedence = held(vector["context"], about: hint.subject).map { held, envelope in
            HintPrecedence(
                of: hint.seq,
                over: held.seq,
                isSameContent: envelope.payloadText == verified.envelope.payloadText
            )
        }
        return EnvelopeArea.accepted(verified, json(precedence ?? .first, held: "existing"))
    }

    /// The live hint that the receiver holds already.
    private static func held(_ context: JSONValue?, about subject: DID) -> (ReachabilityHint, Envelope)? {
        guard let envelope = context?["existing"].flatMap({ Envelope($0.utf8) }),
            let message = try? Message(decoding: JSONDocument(scanning: envelope.decodedPayload())),
            let hint = message.body(as: ReachabilityHint.self), hint.subject == subject,
            message.expiresAt > context?["now"]?.int ?? 0
        else { return nil }
        return (hint, envelope)
    }

    static func json(_ precedence: HintPrecedence, held: String) -> JSONObject {
        [
            "winner": .string(precedence.replaces ? "input" : held),
            "conflict": .string(precedence.conflict.rawValue),
        ]
    }
}
