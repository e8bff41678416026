import DSIPIdentity
import Encoding

/// Receipts, typing and edits as the proposal writes them (proposal 0.3 §8), for conversations that speak its dialect.
///
/// ```
/// { "type":"dsip.receipt",   "for":"<id>",    "kind":"delivered|read", "ts":1733871700, "from":"did:…#key-1" }
/// { "type":"dsip.typing",    "thread":"<id>", "state":"on|off",        "ts":1733871701 }
/// { "type":"dsip.msgUpdate", "for":"<id>",    "patch":{…} }
/// ```
///
/// The `sig` member is the dialect's: it is verified before a statement is read here, and says who speaks. What is not mentioned
/// above is passed over. Ids are kept as text: the dialect does not say that they are ULIDs.
public struct ProposalStatement: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        case delivered(String)
        case read(String)
        case typing(thread: String, isOn: Bool)
        case update(String, MessageUpdate.Patch)
    }

    /// Bytes of an id or a thread.
    public static let maximumID = 256

    public var body: Body
    /// Who signed it.
    public var from: DID
    /// Unix seconds; an edit may have none.
    public var timestamp: Int64?

    public init(_ body: Body, from: DID, timestamp: Int64?) {
        self.body = body
        self.from = from
        self.timestamp = timestamp
    }

    /// - Parameter signer: of the verified `sig`; a `from` beside it must name the same DID.
    /// - Returns: nil when it is none of the three, or not well formed.
    public init?(_ value: JSONValue, signedBy signer: DID) {
        let named = value["from"].map { $0.string.flatMap { DID($0.prefix { $0 != "#" }) } }
        guard named == nil || named == signer, let subject = (value["for"] ?? value["thread"])?.string,
            (1...Self.maximumID).contains(subject.utf8.count)
        else { return nil }
        self.from = signer
        timestamp = value["ts"]?.int
        guard timestamp.map({ $0 >= 0 }) ?? (value["type"]?.string == "dsip.msgUpdate") else { return nil }
        switch (value["type"]?.string, value["kind"]?.string ?? value["state"]?.string) {
        case ("dsip.receipt", "delivered"): body = .delivered(subject)
        case ("dsip.receipt", "read"): body = .read(subject)
        case ("dsip.typing", "on"): body = .typing(thread: subject, isOn: true)
        case ("dsip.typing", "off"): body = .typing(thread: subject, isOn: false)
        case ("dsip.msgUpdate", _):
            if value["patch"]?["retracted"]?.bool == true {
                body = .update(subject, .retraction)
            } else if let text = value["patch"]?["text"]?.string, !text.isEmpty {
                body = .update(subject, .text(text))
            } else {
                return nil
            }
        default: return nil
        }
    }

    public var json: JSONValue {
        var object: JSONObject
        switch body {
        case .delivered(let id): object = ["type": "dsip.receipt", "for": .string(id), "kind": "delivered"]
        case .read(let id): object = ["type": "dsip.receipt", "for": .string(id), "kind": "read"]
        case .typing(let thread, let isOn):
            object = ["type": "dsip.typing", "thread": .string(thread), "state": isOn ? "on" : "off"]
        case .update(let id, let patch):
            object = ["type": "dsip.msgUpdate", "for": .string(id)]
            switch patch {
            case .text(let text): object["patch"] = ["text": .string(text)]
            case .retraction: object["patch"] = ["retracted": true]
            }
        }
        if let timestamp { object["ts"] = .int(timestamp) }
        switch body {
        case .delivered, .read: object["from"] = .string(from.string)
        case .typing, .update: break
        }
        return .object(object)
    }

    /// A receipt of the profile in the dialect: one statement for each target. `played` has none there.
    public static func statements(_ receipt: Receipt) -> [ProposalStatement] {
        let bodies: [Body] =
            switch receipt.statement {
            case .delivered(let targets): targets.map { .delivered($0.description) }
            case .read(let through): [.read(through.description)]
            case .played, .unknown: []
            }
        return bodies.map { ProposalStatement($0, from: receipt.sender, timestamp: receipt.sentAt) }
    }

    /// What the statement says in the profile's words, for one machine behind both dialects; nil for an edit, and for an id that is
    /// no ULID.
    public var receipt: Receipt.Statement? {
        switch body {
        case .delivered(let id): ULID(id).map { .delivered([$0]) }
        case .read(let id): ULID(id).map { .read(through: $0) }
        case .typing, .update: nil
        }
    }
}
