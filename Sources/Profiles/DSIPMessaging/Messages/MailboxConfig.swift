import DSIPIdentity
import Encoding

/// A device configures its identity's mailbox. What is absent stays as it is. M§5.7
public struct MailboxConfig: Hashable, Sendable {
    public struct Group: Hashable, Sendable {
        public enum State: String, Hashable, Sendable {
            case joined, left
        }

        public var group: GroupID
        public var state: State
        /// With `handoverSeq`: the group has moved here. M§7.4
        public var hub: DID?
        /// `wss`.
        public var hubURI: String?
        /// The `seq` of the commit that moved the group.
        public var handoverSeq: Int64?

        public init(
            _ group: GroupID,
            _ state: State,
            hub: DID? = nil,
            hubURI: String? = nil,
            handoverSeq: Int64? = nil
        ) {
            self.group = group
            self.state = state
            self.hub = hub
            self.hubURI = hubURI
            self.handoverSeq = handoverSeq
        }
    }

    public static let maximumIntroductions = 256

    public var subject: DID
    public var mode: MailboxMode?
    /// Seconds archive records are kept.
    public var retention: Int64?
    public var admit: AdmissionPolicy?
    public var groups: [Group]
    public var revokedGrants: [ULID]
    /// Introductions the owner has sent, so that a grant answering one is expected. M§14.1
    public var introductionsSent: [ULID]
    /// `delegation-revocation` envelopes of the owner, compact.
    public var revokedDelegations: [String]

    public init(
        subject: DID,
        mode: MailboxMode? = nil,
        retention: Int64? = nil,
        admit: AdmissionPolicy? = nil,
        groups: [Group] = [],
        revokedGrants: [ULID] = [],
        introductionsSent: [ULID] = [],
        revokedDelegations: [String] = []
    ) {
        self.subject = subject
        self.mode = mode
        self.retention = retention
        self.admit = admit
        self.groups = groups
        self.revokedGrants = revokedGrants
        self.introductionsSent = introductionsSent
        self.revokedDelegations = revokedDelegations
    }

    func write(to object: inout JSONObject) {
        object["subject"] = .string(subject.string)
        if let mode { object["mode"] = .string(mode.rawValue) }
        if let retention { object["retention_s"] = .int(retention) }
        if let admit { object["admit"] = .string(admit.rawValue) }
        if !groups.isEmpty { object["groups"] = .array(groups.map(\.json)) }
        if !revokedGrants.isEmpty { object["revoked_grants"] = .array(revokedGrants.map { .string($0.description) }) }
        if !introductionsSent.isEmpty {
            object["introductions_sent"] = .array(introductionsSent.map { .string($0.description) })
        }
        if !revokedDelegations.isEmpty {
            object["revoked_delegations"] = .array(revokedDelegations.map { .string($0) })
        }
    }
}

/// A configuration as its schema admits it, its mode not looked up yet.
struct MailboxConfigFields {
    private let mode: String?
    private let config: MailboxConfig

    init(_ members: inout Members) throws(MessagingError) {
        mode = try members.optional("mode", Read.token)
        config = MailboxConfig(
            subject: try members.required("subject", Read.did),
            retention: try members.optional("retention_s", Read.natural),
            admit: try members.optional("admit") { (value, name) throws(MessagingError) in
                guard let policy = value.string.flatMap(AdmissionPolicy.init(rawValue:)) else {
                    throw Members.fault("\(name) is none of its values")
                }
                return policy
            },
            groups: try members.optional("groups", Read.list(MailboxConfig.Group.read)) ?? [],
            revokedGrants: try members.optional("revoked_grants", Read.list(Read.ulid)) ?? [],
            introductionsSent: try members.optional(
                "introductions_sent",
                Read.list(atMost: MailboxConfig.maximumIntroductions, Read.ulid)
            ) ?? [],
            revokedDelegations: try members.optional("revoked_delegations", Read.list(Read.filled)) ?? []
        )
    }

    func checked() throws(MessagingError) -> MailboxConfig {
        guard let mode else { return config }
        guard let known = MailboxMode(rawValue: mode) else {
            throw MessagingError(.mailboxModeUnsupported, "not a mode of a mailbox")
        }
        var config = config
        config.mode = known
        return config
    }
}

extension MailboxConfig.Group {
    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> MailboxConfig.Group {
        var members = try Members(value, name)
        guard let state = State(rawValue: try members.required("state", Read.string)) else {
            throw Members.fault("state is none of its values")
        }
        let group = MailboxConfig.Group(
            try members.required("group", Read.group),
            state,
            hub: try members.optional("hub", Read.did),
            hubURI: try members.optional("hub_uri", Read.uri("wss://")),
            handoverSeq: try members.optional("handover_seq", Read.positive)
        )
        try members.finish()
        return group
    }

    var json: JSONValue {
        var object: JSONObject = ["group": .string(group.text), "state": .string(state.rawValue)]
        if let hub { object["hub"] = .string(hub.string) }
        if let hubURI { object["hub_uri"] = .string(hubURI) }
        if let handoverSeq { object["handover_seq"] = .int(handoverSeq) }
        return .object(object)
    }
}
