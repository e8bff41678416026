import DSIPIdentity
import Encoding

/// What content of each kind holds. M§8.2
public enum ContentBody: Hashable, Sendable {
    case text(String, type: String?)
    case audio(ContentBlob, milliseconds: Int64)
    case video(ContentBlob, milliseconds: Int64)
    case image(Image)
    case file(ContentBlob, name: String)
    case contact(DID, displayName: String?, token: String?)
    case location(Location)
    /// Signed by a gateway; read by the Device Events Profile, E§5.
    case deviceEvent(JSONValue)
    case alarmAcknowledgement(alarm: JSONObject, state: AlarmState)
    /// A kind nobody here knows: a file when it carries a blob, a placeholder otherwise.
    case unknown(ContentKind, ContentBlob?)

    public struct Image: Hashable, Sendable {
        public var blob: ContentBlob
        /// Pixels.
        public var width: Int64?
        public var height: Int64?
        /// A small picture inline, at most 8,192 bytes.
        public var thumbnail: [UInt8]?

        public static let maximumThumbnail = 8_192

        public init(_ blob: ContentBlob, width: Int64? = nil, height: Int64? = nil, thumbnail: [UInt8]? = nil) {
            self.blob = blob
            self.width = width
            self.height = height
            self.thumbnail = thumbnail
        }
    }

    /// A place in degrees times ten million, since payloads hold no fractions (DSIP §10.3).
    public struct Location: Hashable, Sendable {
        public var latitudeE7: Int64
        public var longitudeE7: Int64
        /// Metres.
        public var accuracy: Int64?

        public init(latitudeE7: Int64, longitudeE7: Int64, accuracy: Int64? = nil) {
            self.latitudeE7 = latitudeE7
            self.longitudeE7 = longitudeE7
            self.accuracy = accuracy
        }
    }

    /// Device Events Profile E§5.
    public enum AlarmState: String, Hashable, Sendable {
        case acknowledged = "ack"
        case closed
    }

    public var kind: ContentKind {
        switch self {
        case .text: .text
        case .audio: .audio
        case .video: .video
        case .image: .image
        case .file: .file
        case .contact: .contact
        case .location: .location
        case .deviceEvent: .deviceEvent
        case .alarmAcknowledgement: .alarmAcknowledgement
        case .unknown(let kind, _): kind
        }
    }

    /// What a client shows: the kind itself, or for an unknown one a file or a placeholder, never nothing.
    public var effectiveKind: ContentKind {
        switch self {
        case .unknown(_, let blob): blob == nil ? .unsupported : .file
        default: kind
        }
    }

    public var blob: ContentBlob? {
        switch self {
        case .audio(let blob, _), .video(let blob, _), .file(let blob, _): blob
        case .image(let image): image.blob
        case .unknown(_, let blob): blob
        case .text, .contact, .location, .deviceEvent, .alarmAcknowledgement: nil
        }
    }
}

/// The optional members of a content object, each of the right shape, before its kind says which must be there.
struct ContentFields {
    var contentType: String?
    var text: String?
    var blob: ContentBlob?
    var duration: Int64?
    var width: Int64?
    var height: Int64?
    var thumbnail: String?
    var name: String?
    var did: DID?
    var displayName: String?
    var contactToken: String?
    var latitude: Int64?
    var longitude: Int64?
    var accuracy: Int64?
    var event: JSONValue?
    var alarm: JSONValue?
    var state: String?

    init(_ members: inout Members) throws(MessagingError) {
        contentType = try members.optional("content_type", Read.filled)
        text = try members.optional("text", Read.string)
        blob = try members.optional("blob", ContentBlob.read)
        duration = try members.optional("duration_ms", Read.natural)
        width = try members.optional("width", Read.positive)
        height = try members.optional("height", Read.positive)
        thumbnail = try members.optional("thumbnail") { (value, name) throws(MessagingError) in
            try Read.string(value, name) { $0.utf8.count <= 10_924 && Grammar.isBase64URL($0) }
        }
        name = try members.optional("name", Read.string)
        did = try members.optional("did", Read.did)
        displayName = try members.optional("display_name") { (value, name) throws(MessagingError) in
            try Read.string(value, name) { $0.unicodeScalars.count <= 256 }
        }
        contactToken = try members.optional("contact_token", Read.filled)
        latitude = try members.optional("lat_e7") { (value, name) throws(MessagingError) in
            try Read.integer(value, name, -900_000_000...900_000_000)
        }
        longitude = try members.optional("lon_e7") { (value, name) throws(MessagingError) in
            try Read.integer(value, name, -1_800_000_000...1_800_000_000)
        }
        accuracy = try members.optional("accuracy_m", Read.natural)
        event = members.optional("event")
        alarm = members.optional("alarm")
        state = members.optional("state")?.string
    }

    /// The body of `kind`, or nil when a member that the kind must carry is missing. M§8.2
    func body(of kind: ContentKind) -> ContentBody? {
        switch kind {
        case .text: return text.map { .text($0, type: contentType) }
        case .audio:
            guard let blob, let duration else { return nil }
            return .audio(blob, milliseconds: duration)
        case .video:
            guard let blob, let duration else { return nil }
            return .video(blob, milliseconds: duration)
        case .image:
            guard let blob else { return nil }
            guard let thumbnail else { return .image(.init(blob, width: width, height: height)) }
            guard let bytes = Base64URL.decode(thumbnail), bytes.count <= ContentBody.Image.maximumThumbnail else {
                return nil
            }
            return .image(.init(blob, width: width, height: height, thumbnail: bytes))
        case .file:
            guard let blob, let name = name ?? blob.name else { return nil }
            return .file(blob, name: name)
        case .contact: return did.map { .contact($0, displayName: displayName, token: contactToken) }
        case .location:
            guard let latitude, let longitude else { return nil }
            return .location(.init(latitudeE7: latitude, longitudeE7: longitude, accuracy: accuracy))
        case .deviceEvent: return event.map { .deviceEvent($0) }
        case .alarmAcknowledgement:
            guard let alarm = alarm?.object, alarm["resource"]?.string != nil, alarm["type"]?.string != nil,
                let state = state.flatMap(ContentBody.AlarmState.init(rawValue:))
            else { return nil }
            return .alarmAcknowledgement(alarm: alarm, state: state)
        default: return .unknown(kind, blob)
        }
    }
}

extension ContentBody {
    func write(to object: inout JSONObject) {
        object["kind"] = .string(kind.token)
        if let blob { object["blob"] = blob.json }
        switch self {
        case .text(let text, let type):
            if let type { object["content_type"] = .string(type) }
            object["text"] = .string(text)
        case .audio(_, let milliseconds), .video(_, let milliseconds):
            object["duration_ms"] = .int(milliseconds)
        case .image(let image):
            if let width = image.width { object["width"] = .int(width) }
            if let height = image.height { object["height"] = .int(height) }
            if let thumbnail = image.thumbnail { object["thumbnail"] = .string(Base64URL.encode(thumbnail)) }
        case .file(_, let name): object["name"] = .string(name)
        case .contact(let did, let displayName, let token):
            object["did"] = .string(did.string)
            if let displayName { object["display_name"] = .string(displayName) }
            if let token { object["contact_token"] = .string(token) }
        case .location(let location):
            object["lat_e7"] = .int(location.latitudeE7)
            object["lon_e7"] = .int(location.longitudeE7)
            if let accuracy = location.accuracy { object["accuracy_m"] = .int(accuracy) }
        case .deviceEvent(let event): object["event"] = event
        case .alarmAcknowledgement(let alarm, let state):
            object["alarm"] = .object(alarm)
            object["state"] = .string(state.rawValue)
        case .unknown: break
        }
    }
}
