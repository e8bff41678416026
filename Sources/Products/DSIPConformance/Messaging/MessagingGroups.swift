import DSIPIdentity
import DSIPMessaging
import Encoding

/// Checks of groups: their extensions, their leaves, who may join, which of several goes on. M§6, M§7
enum MessagingGroups {
    static func conversation(_ input: JSONValue) throws -> JSONValue {
        let value = try input.need("extension")
        return MessagingArea.verdict { () throws(MessagingError) in
            MessagingArea.accepted(["kind": .string(try ConversationExtension(value).kind.effective.token)])
        }
    }

    static func conversationBytes(_ input: JSONValue) throws -> JSONValue {
        let data = try input.needBytes("data_hex")
        return MessagingArea.verdict { () throws(MessagingError) in
            MessagingArea.accepted(["kind": .string(try ConversationExtension(decoding: data).kind.effective.token)])
        }
    }

    static func conversationUpdate(_ input: JSONValue) throws -> JSONValue {
        let (before, after) = (try input.need("before"), try input.need("after"))
        return MessagingArea.verdict { () throws(MessagingError) in
            let (old, new) = (try ConversationExtension(before), try ConversationExtension(after))
            let target = try old.update(to: new)
            return MessagingArea.accepted(["moves_to": target.map { .string($0.string) } ?? .null, "hub": new.hub.json])
        }
    }

    static func encodeExtension(_ input: JSONValue) throws -> JSONValue {
        guard let type = UInt16(exactly: try input.needInt("extension_type")) else { throw VectorFault("no such type") }
        return ["hex": .string(Hex.encode(MLSExtension(type: type, data: try input.needBytes("data_hex")).bytes))]
    }

    static func decodeExtension(_ input: JSONValue) throws -> JSONValue {
        let bytes = try input.needBytes("hex")
        return MessagingArea.verdict { () throws(MessagingError) in
            let decoded = try MLSExtension(decoding: bytes)
            return [
                "verdict": "accept", "extension_type": .int(Int64(decoded.type)),
                "data_hex": .string(Hex.encode(decoded.data)),
            ]
        }
    }

    static func credential(_ input: JSONValue, _ context: JSONValue?) throws -> JSONValue {
        let receiver = try ReceiverContext(context)
        let credential = try input.need("credential")
        guard let type = UInt16(exactly: try credential.needInt("credential_type")) else {
            throw VectorFault("no such credential")
        }
        let identity = try credential.needBytes("identity_hex")
        let key = try input.needBytes("signature_key_hex")
        let extensions = try input.list("extensions") {
            MLSExtension(
                type: UInt16(exactly: try $0.needInt("extension_type")) ?? 0,
                data: try $0.needBytes("data_hex")
            )
        }
        return MessagingArea.verdict { () throws(MessagingError) in
            let leaf = try LeafCredential(
                credentialType: type,
                credentialIdentity: identity,
                signatureKey: key,
                extensions: extensions,
                at: receiver.now,
                document: { receiver.documents[$0] },
                revocations: receiver.revocations
            )
            return [
                "verdict": "accept", "identity": .string(leaf.identity.string), "device": .string(leaf.device.string),
            ]
        }
    }

    static func externalJoin(_ input: JSONValue) throws -> JSONValue {
        guard let kind = ConversationKind(try input.needString("kind")) else { throw VectorFault("no such kind") }
        let owner = try input.optional("owner")?.asDID("owner")
        let members = Set(try input.dids("roster"))
        let joiner = try input.need("joiner").asLeaf()
        let (adds, removes) = (
            try input.list("adds") { try $0.asLeaf() }, try input.list("removes") { try $0.asLeaf() }
        )
        return MessagingArea.verdict { () throws(MessagingError) in
            try ExternalJoin.check(
                kind: kind,
                owner: owner,
                members: members,
                joiner: joiner,
                adds: adds,
                removes: removes
            )
            return MessagingArea.accepted()
        }
    }

    static func removal(_ input: JSONValue) throws -> JSONValue {
        let remaining = Set(try input.dids("remaining_identities"))
        return ["left": .bool(ExternalJoin.hasLeft(try input.needDID("me"), remaining: remaining))]
    }

    static func directSelect(_ input: JSONValue) throws -> JSONValue {
        let candidates = try input.list("candidates") {
            DirectConversation.Candidate(
                conversation: try $0.needULID("conversation"),
                issuedAt: try $0.needInt("issued_at")
            )
        }
        let (winner, discarded) = DirectConversation.select(candidates)
        return [
            "winner": winner.map { .string($0.description) } ?? .null,
            "discarded": .array(discarded.map { .string($0.description) }),
        ]
    }

    static func successorCheck(_ input: JSONValue) throws -> JSONValue {
        let predecessor = Set(try input.dids("predecessor_roster"))
        let (creator, roster) = (try input.needDID("creator"), Set(try input.dids("roster")))
        return MessagingArea.verdict { () throws(MessagingError) in
            try SuccessorTracker.check(predecessor: predecessor, creator: creator, roster: roster)
            return MessagingArea.accepted()
        }
    }

    static func successorSelect(_ input: JSONValue) throws -> JSONValue {
        let candidates = try input.list("candidates") { try $0.asGroup("candidates") }
        let (winner, discarded) = SuccessorTracker.select(candidates)
        return [
            "winner": winner.map { .string($0.text) } ?? .null,
            "discarded": .array(discarded.map { .string($0.text) }),
        ]
    }
}
