import DSIPIdentity
import DSIPSignaling
import Encoding

/// Kinds `envelope` and `transport`: one frame through the whole pipeline.
enum EnvelopeArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        switch try verify(vector) {
        case .accepted(let verified): return accepted(verified)
        case .rejected(let rejection): return VerdictJSON.rejected(rejection)
        case .needs(let did): throw VectorFault("the document of \(did) is missing")
        }
    }

    static func verify(_ vector: JSONValue) throws -> Verdict {
        let context = try ReceiverContext(vector["context"])
        var verifier = EnvelopeVerifier(policy: context.policy)
        guard
            let frame = vector["input"]?["frame"]?.string.map({ Array($0.utf8) }) ?? vector["input"]?["envelope"]?.utf8
        else { throw VectorFault("neither frame nor envelope") }
        var replay = context.replay
        return verifier.verify(
            frame,
            at: context.now,
            replay: &replay,
            helloVerified: context.helloVerified,
            sentHello: context.sentHello,
            documents: context.lookup,
            delegations: context.delegations,
            revocations: context.revocations
        )
    }

    static func accepted(_ verified: Verified<Message>, _ more: JSONObject = [:]) -> JSONValue {
        var members: JSONObject = [
            "type": .string(verified.body.type.rawValue), "signer": .string(verified.signer.did.string),
            "identity": .string(verified.identity.string),
        ]
        for (name, value) in more.members { members[name] = value }
        return VerdictJSON.accepted(members, verified.body.interpretation)
    }
}

/// Kind `payload`: the shape of one decoded payload.
enum PayloadArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let schema = input["schema"]?.string, let payload = input["payload"] else {
            throw VectorFault("neither schema nor payload")
        }
        guard let accepted = PayloadRules.accepts(try JSONDocument(scanning: payload.utf8), schema: schema) else {
            throw Unimplemented("the schema \(schema)")
        }
        return accepted ? VerdictJSON.accepted() : VerdictJSON.rejected(Rejection(.schemaInvalid, ""))
    }
}

/// Kind `semantic`: versions, shape and meaning of one decoded payload.
enum SemanticArea {
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let payload = vector["input"]?["payload"] else { throw VectorFault("no payload") }
        let context = vector["context"]
        if context?["unseal_key_hex"] != nil, payload["sealed"] != nil { throw Unimplemented("opening sealed bodies") }
        let receiver = try ReceiverContext(context)
        do {
            let message = try PayloadRules.check(
                try JSONDocument(scanning: payload.utf8),
                policy: receiver.policy,
                context: MeaningContext(
                    offer: try context?["offer"].map { try MediaOffer(json: $0) },
                    knownIntroductions: try context?["known_introductions"]?.array.map {
                        Set(try $0.map(ReceiverContext.ulid))
                    },
                    sentHello: receiver.sentHello,
                    encodedSize: context?["encoded_size"]?.int.map { Int($0) },
                    signer: context?["signer_kid"]?.string.flatMap { DIDURL($0) }
                )
            )
            return VerdictJSON.accepted([:], message.interpretation)
        } catch let rejection as Rejection {
            return VerdictJSON.rejected(rejection)
        }
    }
}
