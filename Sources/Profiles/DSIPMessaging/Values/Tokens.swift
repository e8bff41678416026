/// A value of one of the profile's registries: any well-formed token can be held, and unknown ones have a stated meaning. M§17
public protocol RegistryToken: Hashable, Sendable, CustomStringConvertible {
    var token: String { get }
    init(checked token: String)
}

extension RegistryToken {
    /// - Returns: nil unless `token` matches `^[a-z][a-z0-9-]*$`.
    public init?(_ token: String) {
        guard Grammar.isToken(token) else { return nil }
        self.init(checked: token)
    }

    public var description: String { token }
}

/// What a deposit carries (registry `dsip-deposit-class`). An unknown class is refused, not ignored: it is structural. M§5.2
public struct DepositClass: RegistryToken {
    public let token: String
    public init(checked token: String) { self.token = token }

    public static let handshake = DepositClass(checked: "handshake")
    public static let application = DepositClass(checked: "application")
    public static let welcome = DepositClass(checked: "welcome")
    public static let groupInfo = DepositClass(checked: "group-info")
    public static let ephemeral = DepositClass(checked: "ephemeral")
    public static let archive = DepositClass(checked: "archive")
    public static let introduction = DepositClass(checked: "introduction")
    public static let grant = DepositClass(checked: "grant")
}

/// The media type of content (registry `dsip-content-kind`). M§8.2
public struct ContentKind: RegistryToken {
    public let token: String
    public init(checked token: String) { self.token = token }

    public static let text = ContentKind(checked: "text")
    public static let audio = ContentKind(checked: "audio")
    public static let video = ContentKind(checked: "video")
    public static let image = ContentKind(checked: "image")
    public static let file = ContentKind(checked: "file")
    public static let contact = ContentKind(checked: "contact")
    public static let location = ContentKind(checked: "location")
    /// Device Events Profile E§5.
    public static let deviceEvent = ContentKind(checked: "device-event")
    public static let alarmAcknowledgement = ContentKind(checked: "alarm-ack")
    /// What a client shows for a kind it does not know and that carries no blob; never sent.
    public static let unsupported = ContentKind(checked: "unsupported")
}

/// What a person means by content (registry `dsip-content-purpose`). M§8.2
public struct ContentPurpose: RegistryToken {
    public let token: String
    public init(checked token: String) { self.token = token }

    public static let message = ContentPurpose(checked: "message")
    public static let voiceMessage = ContentPurpose(checked: "voice-message")
    public static let videoMessage = ContentPurpose(checked: "video-message")
    public static let voicemail = ContentPurpose(checked: "voicemail")
    public static let attachment = ContentPurpose(checked: "attachment")
    public static let reaction = ContentPurpose(checked: "reaction")
    public static let callbackRequest = ContentPurpose(checked: "callback-request")

    /// A registered value; an unknown one is `message`.
    public var effective: ContentPurpose {
        switch self {
        case .message, .voiceMessage, .videoMessage, .voicemail, .attachment, .reaction, .callbackRequest: self
        default: .message
        }
    }
}

/// Registry `dsip-activity`. M§11.1
public struct ActivityKind: RegistryToken {
    public let token: String
    public init(checked token: String) { self.token = token }

    public static let typing = ActivityKind(checked: "typing")
    public static let recordingAudio = ActivityKind(checked: "recording-audio")
    public static let recordingVideo = ActivityKind(checked: "recording-video")
    public static let uploading = ActivityKind(checked: "uploading")
    /// "Active…", for a value nobody registered; never sent.
    public static let active = ActivityKind(checked: "active")

    /// A registered value; an unknown one is shown as `active`.
    public var effective: ActivityKind {
        switch self {
        case .typing, .recordingAudio, .recordingVideo, .uploading: self
        default: .active
        }
    }
}

/// Registry `dsip-conversation-kind`. M§6.3
public struct ConversationKind: RegistryToken {
    public let token: String
    public init(checked token: String) { self.token = token }

    public static let personal = ConversationKind(checked: "personal")
    public static let direct = ConversationKind(checked: "direct")
    public static let group = ConversationKind(checked: "group")

    /// A registered value; an unknown one is handled as `group`.
    public var effective: ConversationKind {
        switch self {
        case .personal, .direct: self
        default: .group
        }
    }
}

/// What a mailbox keeps (registry `dsip-mailbox-mode`). M§4.4
public enum MailboxMode: String, Hashable, Sendable, CaseIterable {
    /// History survives as archive records.
    case sync
    /// An item is gone once every device has it.
    case queue
}

/// Whether a stranger needs a grant. M§5.7
public enum AdmissionPolicy: String, Hashable, Sendable, CaseIterable {
    case grant, open
}
