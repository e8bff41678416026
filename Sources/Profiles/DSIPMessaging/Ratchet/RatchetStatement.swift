import DSIPIdentity
import DSIPSignaling
import Encoding

/// A receipt, typing or an edit as the proposal has them (0.3 §8): signed by a device for one other, and beside the ratchet.
///
/// ```
/// { …, "type": "dsip.receipt", "from": <device>, "to": <device>, "for": <id of a dsip.msg>, "kind": "delivered"|"read", "ts": … }
/// ```
///
/// Devices of ours say the same inside a ratchet message, where no relay reads it. This is for those who do it as the proposal shows: they are
/// understood, and told of receipts and typing in kind. Text never goes this way: an edit of ours stays in the ratchet.
public struct RatchetStatement: Hashable, Sendable {
    public static let types = ["dsip.receipt", "dsip.typing", "dsip.msgUpdate"]

    public var head: ExtensionHead
    public var statement: ProposalStatement

    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        guard let type = payload["type"]?.string, Self.types.contains(type) else {
            throw Members.fault("it is none of the three")
        }
        head = try ExtensionHead(&members, type: type, lifetime: RatchetMessage.maximumLifetime)
        guard let statement = ProposalStatement(payload, signedBy: head.from) else {
            throw Members.fault("it says nothing")
        }
        self.statement = statement
    }

    public init(
        _ body: ProposalStatement.Body,
        id: ULID,
        from device: DID,
        to recipient: DID,
        issuedAt: Int64,
        lifetime: Int64 = RatchetMessage.maximumLifetime
    ) {
        head = ExtensionHead(
            naming: RatchetMessage.extensionID,
            id: id,
            from: device,
            to: recipient,
            issuedAt: issuedAt,
            expiresAt: issuedAt + lifetime
        )
        statement = ProposalStatement(body, from: device, timestamp: issuedAt)
    }

    public var json: JSONValue {
        let said = statement.json.object ?? [:]
        return head.object(type: said["type"]?.string ?? "") { object in
            for member in said.members where object[member.name] == nil { object[member.name] = member.value }
        }
    }
}
