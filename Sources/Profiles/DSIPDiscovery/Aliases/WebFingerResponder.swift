import DSIPIdentity
import Encoding

/// Our own side of WebFinger (RFC 7033), without a socket: it tells who a name is to those who know the name, and nothing to those who
/// guess.
///
/// An unknown name, one that is not listed, and one of another host get the same bytes; only what is no alias at all is told apart.
/// How often an address may ask is for the owner of the socket to limit.
public struct WebFingerResponder: Sendable {
    public struct Entry: Hashable, Sendable {
        public var did: DID
        public var relay: String?
        /// Whether strangers may find it.
        public var isListed: Bool

        public init(did: DID, relay: String? = nil, isListed: Bool = true) {
            self.did = did
            self.relay = relay
            self.isListed = isListed
        }
    }

    public struct Response: Hashable, Sendable {
        public var status: Int
        public var contentType: String?
        public var body: [UInt8]
        /// Header fields of every answer, so that no cache and no header tells one from another.
        public static let headers = [
            (name: "Access-Control-Allow-Origin", value: "*"), (name: "Cache-Control", value: "max-age=300"),
        ]

        static let nobody = Response(status: 404, contentType: nil, body: [])
    }

    /// Bytes of a resource that are looked at.
    private static let maximumResource = 512
    /// Those this server answers for, lower case, with a port where there is one.
    private let hosts: Set<String>

    public init(hosts: Set<String>) { self.hosts = Set(hosts.map { $0.lowercased() }) }

    /// - Parameters:
    ///   - resource: the query parameter, decoded.
    ///   - relations: the `rel` parameters; none asks for all links.
    ///   - lookup: asked once for every alias of ours that is well formed, known or not.
    public func answer(
        resource: String?,
        relations: [String] = [],
        lookup: (Alias) throws -> Entry?
    ) rethrows -> Response {
        guard let resource, resource.utf8.count <= WebFingerResponder.maximumResource, resource.hasPrefix("acct:"),
            let alias = Alias(resource)
        else { return Response(status: 400, contentType: nil, body: []) }
        guard hosts.contains(alias.host), let entry = try lookup(alias), entry.isListed else { return .nobody }
        var document = WebFinger.document(for: alias, did: entry.did, relay: entry.relay)
        if !relations.isEmpty, var object = document.object {
            let links = (object["links"]?.array ?? []).filter { link in
                link["rel"]?.string.map(relations.contains) ?? false
            }
            object["links"] = .array(links)
            document = .object(object)
        }
        return Response(status: 200, contentType: "application/jrd+json", body: document.utf8)
    }
}
