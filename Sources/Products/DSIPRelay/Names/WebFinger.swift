import DSIPIdentity
import Encoding

/// WebFinger for the names of this relay (RFC 7033).
enum WebFinger {
    static let contentType = "application/jrd+json"
    /// The link that says where the identity is signalled.
    static let signalingRelation = "https://github.com/thevoiceguy/DSIP#signaling"

    /// - Returns: the name in `acct:name@host` when the host is ours; nil for every other resource.
    static func name(in resource: String, authority: Authority) -> String? {
        guard resource.utf8.count <= 320, resource.hasPrefix("acct:"), let at = resource.lastIndex(of: "@") else { return nil }
        let host = resource[resource.index(after: at)...].lowercased()
        // `acct:` has no port (RFC 7565); a relay on another port is also known by its bare host.
        guard host == authority.description || host == authority.host else { return nil }
        let name = resource.dropFirst("acct:".count)[..<at]
        return name.isEmpty ? nil : name.lowercased()
    }

    static func descriptor(of record: NameRecord, authority: Authority) -> JSONValue {
        [
            "subject": "acct:\(record.name)@\(authority)",
            "aliases": [.string(record.did.string)],
            "links": [
                ["rel": "self", "type": "application/did+json", "href": .string(record.did.string)],
                ["rel": .string(signalingRelation), "href": .string(authority.signaling)],
            ],
        ]
    }
}
