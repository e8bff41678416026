import DSIPIdentity
import Encoding

/// What a person is about to say.
public struct MessageDraft: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        case text(String, type: String? = nil)
        case location(ContentBody.Location)
        case contact(DID, displayName: String?)
        case attachment(AttachmentDraft)
    }

    public var body: Body
    /// The content's id, when the owner has something of its own under it already; a new ULID of this second. Nil for any.
    public var id: ULID?
    public var purpose: ContentPurpose
    public var replyTo: ULID?
    public var mentions: [Mention]
    /// The unanswered invite, of a voicemail.
    public var session: ULID?
    /// What it is said after: it does not leave before that message has its place, or has failed.
    public var after: ULID?

    public init(
        _ body: Body,
        purpose: ContentPurpose = .message,
        replyTo: ULID? = nil,
        mentions: [Mention] = [],
        session: ULID? = nil
    ) {
        self.body = body
        self.purpose = purpose
        self.replyTo = replyTo
        self.mentions = mentions
        self.session = session
    }

    public init(text: String) { self.init(.text(text)) }
}

/// A file, a picture or a recording, whose plaintext the owner holds.
public struct AttachmentDraft: Hashable, Sendable {
    /// `audio`, `video`, `image` or `file`.
    public var kind: MessageRecord.Kind
    public var name: String?
    public var contentType: String
    /// Bytes of the plaintext.
    public var size: Int64
    public var duration: Int64?
    public var width: Int64?
    public var height: Int64?
    /// At most 8,192 bytes; of an image.
    public var thumbnail: [UInt8]?
    /// 0 to 100, at most 64; kept on this device.
    public var waveform: [UInt8]

    public init(
        _ kind: MessageRecord.Kind,
        name: String? = nil,
        contentType: String,
        size: Int64,
        duration: Int64? = nil,
        width: Int64? = nil,
        height: Int64? = nil,
        thumbnail: [UInt8]? = nil,
        waveform: [UInt8] = []
    ) {
        self.kind = kind
        self.name = name
        self.contentType = contentType
        self.size = size
        self.duration = duration
        self.width = width
        self.height = height
        self.thumbnail = thumbnail
        self.waveform = waveform
    }

    var isWellFormed: Bool {
        switch kind {
        case .audio, .video: guard duration.map({ $0 >= 0 }) ?? false else { return false }
        case .image, .file: break
        case .text, .contact, .location, .call, .roster, .unsupported: return false
        }
        return size > 0 && !contentType.isEmpty && waveform.count <= 64 && (width ?? 1) > 0 && (height ?? 1) > 0
            && (thumbnail?.count ?? 0) <= ContentBody.Image.maximumThumbnail
            && (name?.utf8.count ?? 0) <= 1024 && contentType.utf8.count <= 256
    }
}
