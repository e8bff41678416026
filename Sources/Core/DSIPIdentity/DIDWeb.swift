/// The `did:web` method: the identifier is a place on the web where the document lies (did:web §3.2).
///
/// Trust in it is trust in DNS and the Web PKI (DSIP §8.4). Addresses are refused in place of names, and so are path
/// segments that a server might resolve upwards.
public enum DIDWeb {
    /// The HTTPS URL of the document: `https://host[:port]/.well-known/did.json`, or
    /// `https://host[:port]/path/did.json`.
    ///
    /// - Throws: `.unsupported` for another method, `.malformed` for an identifier that names no host or a doubtful
    ///   path.
    public static func url(of did: DID) throws(IdentityError) -> String {
        guard did.method == "web" else { throw IdentityError(.unsupported, "\(did.method) is not the method did:web") }
        let segments = did.identifier.split(separator: ":", omittingEmptySubsequences: false)
        // A port's colon is percent-encoded; nothing else may be, in the host.
        let parts = segments[0].replacing("%3a", with: "%3A").split(separator: "%3A", omittingEmptySubsequences: false)
        guard parts.count <= 2, let authority = Hostname.normalizedAuthority(parts.joined(separator: ":")) else {
            throw IdentityError(.malformed, "the did:web identifier does not begin with a host name")
        }
        guard segments.count > 1 else { return "https://\(authority)/.well-known/did.json" }
        for segment in segments.dropFirst() {
            guard let decoded = PercentEncoding.decode(segment), !decoded.isEmpty, decoded != ".", decoded != "..",
                decoded.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f && !"/\\?#%:".utf8.contains($0) })
            else { throw IdentityError(.malformed, "the did:web identifier holds a path segment that is not allowed") }
        }
        return "https://\(authority)/\(segments.dropFirst().joined(separator: "/"))/did.json"
    }

    /// The DID whose document lies at `host`, `port` and `path`; for those who host documents.
    ///
    /// - Returns: nil when a part cannot stand in a did:web identifier.
    public static func did(host: String, port: Int? = nil, path: [String] = []) -> DID? {
        guard let host = Hostname.normalized(host), port.map({ (1...65_535).contains($0) }) ?? true else { return nil }
        let authority = port.map { "\(host)%3A\($0)" } ?? host
        let segments = path.map { PercentEncoding.encode($0).replacing("~", with: "%7E") }
        guard let did = DID("did:web:" + ([authority] + segments).joined(separator: ":")), (try? url(of: did)) != nil
        else {
            return nil
        }
        return did
    }
}
