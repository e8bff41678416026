import DSIPIdentity
import DSIPSignaling
import Encoding

/// The `serviceEndpoint` of a `DSIPMailbox` entry of a DID document, or of a hint. M§4.2
public struct MailboxService: Hashable, Sendable {
    public static let serviceType = "DSIPMailbox"

    public struct Voicemail: Hashable, Sendable {
        /// Seconds.
        public var maximumDuration: Int64?
        /// Unencrypted, by the owner's choice.
        public var greeting: BlobReference?

        public init(maximumDuration: Int64? = nil, greeting: BlobReference? = nil) {
            self.maximumDuration = maximumDuration
            self.greeting = greeting
        }
    }

    /// `wss`.
    public var uri: String
    public var bindings: [String]
    /// The service that must sign the `hello`.
    public var mailbox: DID
    /// Lower first.
    public var priority: Int64
    public var profiles: [ProfileID]
    /// Kinds the owner's clients show; a hint to senders.
    public var accepts: [ContentKind]
    /// Of an entry of a hint: the service it stands for.
    public var service: String?
    public var voicemail: Voicemail?

    public init(
        uri: String,
        bindings: [String] = ["ws/1.0"],
        mailbox: DID,
        priority: Int64 = 0,
        profiles: [ProfileID] = [MessagingProfile.id],
        accepts: [ContentKind] = [],
        service: String? = nil,
        voicemail: Voicemail? = nil
    ) {
        self.uri = uri
        self.bindings = bindings
        self.mailbox = mailbox
        self.priority = priority
        self.profiles = profiles
        self.accepts = accepts
        self.service = service
        self.voicemail = voicemail
    }

    /// - Throws: `schema-invalid`.
    public init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, "serviceEndpoint")
        uri = try members.required("uri", Read.uri("wss://"))
        bindings = try members.required(
            "bindings",
            Read.list(atLeast: 1) { (value, name) throws(MessagingError) in
                try Read.string(value, name, Grammar.isBinding)
            }
        )
        mailbox = try members.required("mailbox", Read.did)
        priority = try members.optional("priority", Read.natural) ?? 0
        profiles = try members.optional("profiles", Read.list(Read.profile)) ?? []
        accepts = try members.optional("accepts", Read.list(Read.token))?.map { ContentKind(checked: $0) } ?? []
        service = try members.optional("service") { (value, name) throws(MessagingError) in
            try Read.string(value, name, Grammar.isServiceType)
        }
        voicemail = try members.optional("voicemail") { (value, name) throws(MessagingError) in
            var members = try Members(value, name)
            let voicemail = Voicemail(
                maximumDuration: try members.optional("max_duration_s", Read.positive),
                greeting: try members.optional("greeting", BlobReference.read)
            )
            try members.finish()
            return voicemail
        }
        try members.finish()
    }

    /// Whether a deposit can go there: it says that it speaks the profile.
    public var isUsable: Bool { profiles.contains(MessagingProfile.id) }

    public var json: JSONValue {
        var object: JSONObject = [
            "uri": .string(uri), "bindings": .array(bindings.map { .string($0) }), "mailbox": .string(mailbox.string),
            "priority": .int(priority), "profiles": .array(profiles.map { .string($0.string) }),
        ]
        if !accepts.isEmpty { object["accepts"] = .array(accepts.map { .string($0.token) }) }
        if let service { object["service"] = .string(service) }
        if let voicemail {
            var members: JSONObject = [:]
            if let duration = voicemail.maximumDuration { members["max_duration_s"] = .int(duration) }
            if let greeting = voicemail.greeting { members["greeting"] = greeting.json }
            object["voicemail"] = .object(members)
        }
        return .object(object)
    }
}
