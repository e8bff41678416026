import DSIPIdentity
import Encoding

/// What an MLS application message holds, read strictly and held against who sent it and where. M§8.1
///
/// Of several faults the first rule decides: fractions, then the schema, the sender, the conversation, the time of the id, the
/// group it may travel in, and last what its kind must carry.
public enum MessagingObject: Hashable, Sendable {
    case content(Content)
    case receipt(Receipt)
    case activity(Activity)
    case archiveKey(ArchiveKey)
    case callEvent(CallEvent)
    case recordingAcceptance(RecordingAcceptance)
    /// An edit or a retraction, ours.
    case update(MessageUpdate)
    /// What did not open is to be said again, ours.
    case resendRequest(ResendRequest)
    /// What did not open somewhere, in its old place, ours.
    case saidAgain(SaidAgain)
    /// Keys of the archive that this device lacks, ours.
    case archiveKeyRequest(ArchiveKeyRequest)
    /// A conversation's title, ours.
    case conversationInfo(ConversationInfo)
    /// The sender is another identity from now on, ours.
    case identityMove(MoveNotice)
    /// An object nobody here knows: not shown, and no error.
    case unknown(String)

    /// From an opened MLS application message.
    ///
    /// - Throws: `payload-not-utf8`, `payload-not-json`, or what ``init(_:in:)`` throws.
    public init(decoding bytes: [UInt8], in context: ObjectContext) throws(MessagingError) {
        try self.init(try MessagingObject.parse(bytes), in: context)
    }

    /// The JSON object of a payload. DSIP §10.3
    static func parse(_ bytes: [UInt8]) throws(MessagingError) -> JSONValue {
        try Read.payload(bytes, limits: .init(bytes: MessagingProfile.maximumMLSBytes))
    }

    public init(_ value: JSONValue, in context: ObjectContext) throws(MessagingError) {
        guard !value.holdsNonInteger else { throw MessagingError(.payloadFloat, "a number is no integer") }
        guard let name = value["object"]?.string else { throw Members.fault("object is missing") }
        switch name {
        case "content":
            let draft = try ContentDraft(value)
            try Self.check(draft.sender, draft.conversation, context)
            try Self.check(draft.id, draft.sentAt)
            self = .content(try draft.checked())
        case "receipt":
            let draft = try ReceiptDraft(value)
            // M§10.5: a watermark kept from the conversation travels in the personal group and names what was read.
            let isPrivateWatermark = context.isPersonal && draft.kind == "read"
            try Self.check(draft.sender, isPrivateWatermark ? context.conversation : draft.conversation, context)
            try Self.check(draft.id, draft.sentAt)
            self = .receipt(try draft.checked())
        case "activity":
            let activity = try Activity(value)
            try Self.check(activity.sender, activity.conversation, context)
            self = .activity(activity)
        case "archive-key":
            let key = try ArchiveKey(value)
            try Self.checkPersonal(context)
            self = .archiveKey(key)
        case "call-event":
            let event = try CallEvent(value)
            try Self.checkPersonal(context)
            self = .callEvent(event)
        case "recording-acceptance":
            let acceptance = try RecordingAcceptance(value)
            try Self.checkPersonal(context)
            self = .recordingAcceptance(acceptance)
        case MessageUpdate.objectName:
            let update = try MessageUpdate(value)
            try Self.check(update.sender, update.conversation, context)
            try Self.check(update.id, update.sentAt)
            self = .update(update)
        case ResendRequest.objectName:
            let request = try ResendRequest(value)
            try Self.check(request.sender, request.conversation, context)
            try Self.check(request.id, request.sentAt)
            self = .resendRequest(request)
        case SaidAgain.objectName:
            let again = try SaidAgain(value)
            try Self.check(again.sender, again.conversation, context)
            try Self.check(again.id, again.sentAt)
            self = .saidAgain(again)
        case ArchiveKeyRequest.objectName:
            let request = try ArchiveKeyRequest(value)
            try Self.check(request.sender, request.conversation, context)
            try Self.checkPersonal(context)
            self = .archiveKeyRequest(request)
        case ConversationInfo.objectName:
            let info = try ConversationInfo(value)
            try Self.check(info.sender, info.conversation, context)
            try Self.check(info.id, info.sentAt)
            self = .conversationInfo(info)
        case MoveNotice.objectName:
            let notice = try MoveNotice(value)
            try Self.check(notice.sender, notice.conversation, context)
            try Self.check(notice.id, notice.sentAt)
            self = .identityMove(notice)
        default: self = .unknown(name)
        }
    }

    /// M§8.1: an object speaks as the identity of the leaf that signed it, in the conversation of the group that carried it.
    private static func check(_ sender: DID, _ conversation: ULID, _ context: ObjectContext) throws(MessagingError) {
        guard sender == context.sender else {
            throw MessagingError(.senderMismatch, "the sender is not the identity of the leaf")
        }
        guard conversation == context.conversation else {
            throw MessagingError(.conversationMismatch, "the conversation is not the group's")
        }
    }

    private static func check(_ id: ULID, _ sentAt: Int64) throws(MessagingError) {
        guard id.isWithin(MessagingProfile.timeTolerance, of: sentAt) else {
            throw MessagingError(.ulidSentAtMismatch, "the id was made at another time")
        }
    }

    private static func checkPersonal(_ context: ObjectContext) throws(MessagingError) {
        guard context.isPersonal else {
            throw MessagingError(.personalGroupOnly, "the object belongs in the personal group")
        }
    }

    public var json: JSONValue {
        switch self {
        case .content(let content): content.json
        case .receipt(let receipt): receipt.json
        case .activity(let activity): activity.json
        case .archiveKey(let key): key.json
        case .callEvent(let event): event.json
        case .recordingAcceptance(let acceptance): acceptance.json
        case .update(let update): update.json
        case .resendRequest(let request): request.json
        case .saidAgain(let again): again.json
        case .archiveKeyRequest(let request): request.json
        case .conversationInfo(let info): info.json
        case .identityMove(let notice): notice.json
        case .unknown(let name): ["object": .string(name)]
        }
    }
}

extension ULID {
    /// Whether the time in the id is at most `tolerance` seconds from `time`. DSIP §20.6
    func isWithin(_ tolerance: Int64, of time: Int64) -> Bool {
        let (difference, overflow) = seconds.subtractingReportingOverflow(time)
        return !overflow && difference.magnitude <= UInt64(tolerance)
    }
}
