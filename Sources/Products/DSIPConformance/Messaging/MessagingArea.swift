import DSIPMessaging
import DSIPSignaling
import Encoding

/// Vectors of kind `messaging`: the Messaging Profile 1.0, from the shape of a message to traces of its machines.
enum MessagingArea {
    private typealias Check = @Sendable (_ input: JSONValue, _ vector: JSONValue) throws -> JSONValue

    /// What this implementation makes of a vector, in the shape of its `expect`.
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let name = input["check"]?.string else { throw VectorFault("no check") }
        guard let check = checks[name] else { throw Unimplemented("the check \(name)") }
        return try check(input, vector)
    }

    private static let checks: [String: Check] = [
        // Messages and objects
        "payload": { input, _ in try MessagingShapes.payload(input) },
        "message": { input, _ in try MessagingShapes.message(input) },
        "object": { input, vector in try MessagingShapes.object(input, vector["context"] ?? [:]) },
        "introduction": { input, _ in try MessagingShapes.introduction(input) },
        // Groups
        "conversation-ext": { input, _ in try MessagingGroups.conversation(input) },
        "conversation-update": { input, _ in try MessagingGroups.conversationUpdate(input) },
        "mls-conversation-bytes": { input, _ in try MessagingGroups.conversationBytes(input) },
        "mls-extension-encode": { input, _ in try MessagingGroups.encodeExtension(input) },
        "mls-extension-decode": { input, _ in try MessagingGroups.decodeExtension(input) },
        "mls-credential": { input, vector in try MessagingGroups.credential(input, vector["context"]) },
        "external-join": { input, _ in try MessagingGroups.externalJoin(input) },
        "registration-on-removal": { input, _ in try MessagingGroups.removal(input) },
        "direct-select": { input, _ in try MessagingGroups.directSelect(input) },
        "successor-check": { input, _ in try MessagingGroups.successorCheck(input) },
        "successor-select": { input, _ in try MessagingGroups.successorSelect(input) },
        // Mailboxes and calls
        "mailbox-select": { input, _ in try MessagingServices.select(input) },
        "mailbox-switch": { input, _ in try MessagingServices.change(input) },
        "voicemail-offer": { input, _ in try MessagingServices.voicemail(input) },
        "call-event": { input, _ in try MessagingServices.callEvent(input) },
        "peer-timeline": { input, _ in try MessagingServices.timeline(input) },
        // Blobs
        "blob-put": { input, _ in try MessagingBlobs.put(input) },
        "blob-get": { input, _ in try MessagingBlobs.get(input) },
        "blob-replicate": { input, _ in try MessagingBlobs.replicate(input) },
        "items-blobs": { input, _ in try MessagingBlobs.rewrite(input) },
        "blob-sources": { input, _ in try MessagingBlobs.sources(input) },
        "blob-fetch": { input, _ in try MessagingBlobs.fetch(input) },
        // Seals
        "seal": { input, _ in try MessagingSeals.seal(input) },
        "open": { input, _ in try MessagingSeals.open(input) },
        "hpke-open": { input, _ in try MessagingSeals.hpkeOpen(input) },
        "hpke-derive-key-pair": { input, _ in try MessagingSeals.deriveKeyPair(input) },
        "x25519-key-agreement": { input, _ in try MessagingSeals.keyAgreement(input) },
        "sealed-introduction-open": { input, _ in try MessagingSeals.openIntroduction(input) },
        // Traces
        "gap-trace": { _, vector in try MessagingTrace.run(vector, GapTrace.init) },
        "resume-trace": { _, vector in try MessagingTrace.run(vector, ResumeTrace.init) },
        "commit-retry-trace": { _, vector in try MessagingTrace.run(vector, CommitRetryTrace.init) },
        "hub-outage-trace": { _, vector in try MessagingTrace.run(vector, HubOutageTrace.init) },
        "client-trace": { _, vector in try MessagingTrace.run(vector, ClientTrace.init) },
        "history-trace": { _, vector in try MessagingTrace.run(vector, HistoryTrace.init) },
        "successor-trace": { _, vector in try MessagingTrace.run(vector, SuccessorTrace.init) },
        "hub-trace": { _, vector in try MessagingTrace.run(vector, HubTrace.init) },
        "mailbox-trace": { _, vector in try MessagingTrace.run(vector, MailboxTrace.init) },
    ]

    static func rejected(_ error: MessagingError) -> JSONValue {
        var object: JSONObject = ["verdict": "reject", "code": .string(error.code.rawValue)]
        if let reason = error.reason { object["reason"] = .string(reason.token) }
        return .object(object)
    }

    static func accepted(_ effective: JSONObject? = nil) -> JSONValue {
        guard let effective else { return ["verdict": "accept"] }
        return ["verdict": "accept", "effective": .object(effective)]
    }

    /// The verdict of `judge`, whose result is what it accepts with.
    static func verdict(_ judge: () throws(MessagingError) -> JSONValue) -> JSONValue {
        do throws(MessagingError) { return try judge() } catch { return rejected(error) }
    }
}
