import DSIPSignaling
import Encoding

/// What a mailbox says of itself in its `hello`: the member `mailbox` of `capabilities`. Informative; the service enforces. M§4.3
public struct MailboxCapability: Hashable, Sendable {
    public static let member = "mailbox"

    public var modes: [String]
    /// Whether it orders groups.
    public var hub: Bool
    /// MLS cipher suites by number.
    public var ciphersuites: [Int64]
    /// `https`; blobs are put and got at `{blob_endpoint}/{sha256}`. Nil when it keeps none.
    public var blobEndpoint: String?
    /// Bytes.
    public var maximumBlobBytes: Int64?
    /// Seconds MLS items are kept, and archive records at most.
    public var retention: Int64?
    public var maximumRetention: Int64?
    /// Bytes.
    public var quota: Int64?

    public init(
        modes: [String] = MailboxMode.allCases.map(\.rawValue),
        hub: Bool,
        ciphersuites: [Int64] = [1, 3],
        blobEndpoint: String? = nil,
        maximumBlobBytes: Int64? = nil,
        retention: Int64? = nil,
        maximumRetention: Int64? = nil,
        quota: Int64? = nil
    ) {
        self.modes = modes
        self.hub = hub
        self.ciphersuites = ciphersuites
        self.blobEndpoint = blobEndpoint
        self.maximumBlobBytes = maximumBlobBytes
        self.retention = retention
        self.maximumRetention = maximumRetention
        self.quota = quota
    }

    /// Of a verified `hello`. Members that are not well formed are passed over: nothing depends on them but convenience.
    ///
    /// - Returns: nil when the service is no mailbox of this profile.
    public init?(_ capabilities: RelayCapabilities) {
        guard let object = capabilities.other[MailboxCapability.member],
            let profiles = object["profiles"]?.array?.prefix(64).compactMap(\.string),
            profiles.contains(MessagingProfile.id.string)
        else { return nil }
        func natural(_ name: String) -> Int64? { object[name]?.int.flatMap { $0 >= 0 ? $0 : nil } }
        let endpoint = object["blob_endpoint"]?.string
        self.init(
            modes: object["modes"]?.array?.prefix(64).compactMap(\.string) ?? [],
            hub: object["hub"]?.bool ?? false,
            ciphersuites: object["ciphersuites"]?.array?.prefix(64).compactMap(\.int) ?? [],
            blobEndpoint: endpoint.flatMap { $0.hasPrefix("https://") && $0.utf8.count <= 2048 ? $0 : nil },
            maximumBlobBytes: natural("max_blob_bytes"),
            retention: natural("mls_retention_s"),
            maximumRetention: natural("max_retention_s"),
            quota: natural("quota_bytes")
        )
    }

    public var json: JSONValue {
        var object: JSONObject = [
            "profiles": [.string(MessagingProfile.id.string)], "modes": .array(modes.map { .string($0) }),
            "hub": .bool(hub), "ciphersuites": .array(ciphersuites.map { .int($0) }),
            "max_mls_bytes": .int(Int64(MessagingProfile.maximumMLSBytes)),
        ]
        if let blobEndpoint { object["blob_endpoint"] = .string(blobEndpoint) }
        if let maximumBlobBytes { object["max_blob_bytes"] = .int(maximumBlobBytes) }
        if let retention { object["mls_retention_s"] = .int(retention) }
        if let maximumRetention { object["max_retention_s"] = .int(maximumRetention) }
        if let quota { object["quota_bytes"] = .int(quota) }
        return .object(object)
    }
}
