import DSIPMessaging
import DSIPSignaling
import Encoding

/// Checks of messages and objects as they stand. M§5, M§8
enum MessagingShapes {
    static func payload(_ input: JSONValue) throws -> JSONValue {
        let schema = try input.needString("schema")
        let payload = try input.need("payload")
        let document = try JSONDocument(scanning: payload.utf8)
        guard
            let admitted = MessagingSchema.admits(payload, schema: schema)
                ?? PayloadRules.accepts(document, schema: schema)
        else { throw Unimplemented("the schema \(schema)") }
        return admitted
            ? MessagingArea.accepted() : MessagingArea.rejected(MessagingError(.schemaInvalid, "the schema refuses it"))
    }

    static func message(_ input: JSONValue) throws -> JSONValue {
        let payload = try input.need("payload")
        return MessagingArea.verdict { () throws(MessagingError) in
            _ = try MailboxMessage(payload)
            return MessagingArea.accepted()
        }
    }

    static func object(_ input: JSONValue, _ context: JSONValue) throws -> JSONValue {
        guard let kind = ConversationKind(context["conversation_kind"]?.string ?? "direct") else {
            throw VectorFault("not a kind of conversation")
        }
        let place = ObjectContext(
            conversation: try context.needULID("conversation"),
            kind: kind,
            sender: try context.needDID("leaf_identity")
        )
        let object = try input.need("object")
        return MessagingArea.verdict { () throws(MessagingError) in
            MessagingArea.accepted(effective(try MessagingObject(object, in: place)))
        }
    }

    private static func effective(_ object: MessagingObject) -> JSONObject? {
        switch object {
        case .content(let content):
            [
                "kind": .string(content.body.effectiveKind.token),
                "purpose": .string(content.purpose.effective.token),
            ]
        case .receipt(let receipt):
            if case .unknown = receipt.statement {
                ["render": "ignore"]
            } else {
                ["receipt": .string(receipt.statement.kind)]
            }
        case .activity(let activity): ["activity": .string(activity.kind.effective.token)]
        case .archiveKey, .callEvent, .recordingAcceptance, .update, .resendRequest, .saidAgain, .archiveKeyRequest,
            .conversationInfo, .identityMove:
            nil
        case .unknown: ["render": "ignore"]
        }
    }

    static func introduction(_ input: JSONValue) throws -> JSONValue {
        let document = try JSONDocument(scanning: try input.need("payload").utf8)
        let policy = VerificationPolicy(supported: SupportedVersions(profiles: [MessagingProfile.id]))
        do throws(Rejection) {
            let message = try PayloadRules.check(document, policy: policy)
            let isSealed = message.body(as: Introduction.self)?.sealed != nil
            return MessagingArea.accepted(["sealed": .bool(isSealed)])
        } catch {
            return VerdictJSON.rejected(error)
        }
    }
}
