import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding

/// Kind `broadcast`: a publication and its statements through a receiver.
enum BroadcastArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let publication = input["publication"]?.utf8 else {
            throw VectorFault("no publication")
        }
        let context = try ReceiverContext(vector["context"])
        let knowledge = BroadcastVerifier.Knowledge(
            documents: context.lookup,
            delegations: context.delegations,
            revocations: context.revocations
        )
        var verifier = BroadcastVerifier(context.policy)
        let record: PublicationRecord
        switch verifier.publication(publication, at: context.now, knowledge) {
        case .accepted(let accepted): record = accepted
        case .refused(let error): return rejected(error)
        case .needs(let did): throw VectorFault("the document of \(did) is missing")
        }
        var statements: [ProvenanceRecord] = []
        var verdicts: [JSONValue] = []
        for envelope in input["provenance"]?.array ?? [] {
            switch verifier.provenance(envelope.utf8, about: record, at: context.now, knowledge) {
            case .accepted(let statement):
                statements.append(statement)
                verdicts.append(accepted(statement))
            case .refused(let error): verdicts.append(rejected(error))
            case .needs(let did): throw VectorFault("the document of \(did) is missing")
            }
        }
        func list(_ name: String) -> Set<String> {
            Set((input["capabilities"]?[name]?.array ?? []).compactMap(\.string))
        }
        let reception = Reception(
            record,
            statements: statements,
            capabilities: ReceiverCapabilities(codecs: list("codecs"), transports: list("transports"))
        )
        return VerdictJSON.accepted([
            "type": "publish", "signer": .string(record.signer.did.string),
            "identity": .string(record.publisher.string),
            "selected_variant": reception.variant.map { .string($0.id) } ?? .null,
            "provenance": .array(verdicts),
            "display": [
                "original_publisher": .string(reception.originalPublisher.string),
                "delivered_by": .array(reception.deliveredBy.map { .string($0.string) }),
                "transcoded_by": .array(reception.transcodedBy.map { .string($0.string) }),
                "integrity_mode": .string(reception.integrity.rawValue),
            ],
        ])
    }

    private static func accepted(_ statement: ProvenanceRecord) -> JSONValue {
        var members: JSONObject = [
            "processor": .string(statement.statement.processor.string),
            "operation": .string(statement.statement.operation),
        ]
        if let violation = statement.policyViolation { members["policy_violation"] = .string(violation.rawValue) }
        return VerdictJSON.accepted(members)
    }

    private static func rejected(_ error: BroadcastError) -> JSONValue {
        if case .envelope(let rejection) = error { return VerdictJSON.rejected(rejection) }
        return ["verdict": "reject", "code": .string(error.code)]
    }
}
