import DSIPIdentity
import Encoding

/// KeyPackages: a device leaves them at its mailbox, the mailbox hands them out. M§5.5
public struct KeyPackages: Hashable, Sendable {
    /// The fetch that this answers; nil when uploading.
    public var inReplyTo: ULID?
    /// The identity they belong to.
    public var subject: DID
    /// Used once each.
    public var packages: [EncodedBytes]
    /// Used when none is left, again and again.
    public var lastResort: EncodedBytes?

    public init(inReplyTo: ULID? = nil, subject: DID, packages: [EncodedBytes], lastResort: EncodedBytes? = nil) {
        self.inReplyTo = inReplyTo
        self.subject = subject
        self.packages = packages
        self.lastResort = lastResort
    }

    init(_ members: inout Members) throws(MessagingError) {
        inReplyTo = try members.optional("in_reply_to", Read.ulid)
        subject = try members.required("subject", Read.did)
        packages = try members.optional("key_packages", Read.list(Read.encoded)) ?? []
        lastResort = try members.optional("last_resort", Read.encoded)
    }

    /// Neither a package nor a last resort, which no message may be. M§5.5
    var isEmpty: Bool { packages.isEmpty && lastResort == nil }

    func write(to object: inout JSONObject) {
        if let inReplyTo { object["in_reply_to"] = .string(inReplyTo.description) }
        object["subject"] = .string(subject.string)
        if !packages.isEmpty { object["key_packages"] = .array(packages.map { .string($0.text) }) }
        if let lastResort { object["last_resort"] = .string(lastResort.text) }
    }
}

/// Asks for one KeyPackage of every device of an identity. M§5.5
public struct KeyPackageFetch: Hashable, Sendable {
    public var target: DID
    /// A grant from the target, compact. M§14.2
    public var grant: String?
    /// The dead group that the new one succeeds. M§7.5
    public var successorOf: GroupID?

    public init(target: DID, grant: String? = nil, successorOf: GroupID? = nil) {
        self.target = target
        self.grant = grant
        self.successorOf = successorOf
    }

    init(_ members: inout Members) throws(MessagingError) {
        target = try members.required("target", Read.did)
        grant = try members.optional("grant", Read.filled)
        successorOf = try members.optional("successor_of", Read.group)
    }

    func write(to object: inout JSONObject) {
        object["target"] = .string(target.string)
        if let grant { object["grant"] = .string(grant) }
        if let successorOf { object["successor_of"] = .string(successorOf.text) }
    }
}
