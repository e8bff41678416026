/// Turns a DID into its document. Methods join by conforming; `MethodResolver` chooses among them.
public protocol Resolver: Sendable {
    /// - Throws: `IdentityError`: `.unsupported` method, `.notFound`, `.unreachable`, `.refused`, `.tooLarge`,
    ///   `.malformed`.
    func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument
}

public struct ResolvedDocument: Sendable {
    public var document: DIDDocument
    /// Seconds for which the source lets the document be used again; nil when it does not say.
    public var lifetime: Int64?

    public init(document: DIDDocument, lifetime: Int64? = nil) {
        self.document = document
        self.lifetime = lifetime
    }
}

/// Fetches one small document over HTTPS. Implementations hold to `FetchLimit` and to an `AddressPolicy`.
public protocol DocumentFetcher: Sendable {
    /// - Parameters:
    ///   - url: an `https` URL.
    ///   - limit: bytes of the body after which the fetch ends with `.tooLarge`.
    /// - Throws: `IdentityError` `.unreachable` (no name, no connection, no TLS, timeout), `.refused` (address,
    ///   redirect), `.tooLarge`.
    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument
}

/// What every fetch of a document or alias keeps to.
public enum FetchLimit {
    /// Redirects followed, each to `https` and to an address that the policy allows.
    public static let redirects = 3
    /// Seconds for the whole fetch.
    public static let seconds: Int64 = 10
    /// Bytes of a WebFinger answer.
    public static let webFingerBytes = 64 << 10
}

/// An HTTP answer, as far as documents need it.
public struct FetchedDocument: Sendable {
    public var status: Int
    public var body: [UInt8]
    /// After redirects.
    public var finalURL: String
    /// Header values as received.
    public var cacheControl: String?
    public var expires: String?
    public var date: String?

    public init(
        status: Int,
        body: [UInt8],
        finalURL: String,
        cacheControl: String? = nil,
        expires: String? = nil,
        date: String? = nil
    ) {
        self.status = status
        self.body = body
        self.finalURL = finalURL
        self.cacheControl = cacheControl
        self.expires = expires
        self.date = date
    }

    /// The body of a 200 answer over https.
    ///
    /// - Throws: `.notFound` for 404 and 410, `.unreachable` for other statuses, `.refused` when a redirect left https.
    func content(of what: String) throws(IdentityError) -> [UInt8] {
        guard finalURL.hasPrefix("https://") else {
            throw IdentityError(.refused, "\(what) was redirected away from https")
        }
        switch status {
        case 200: return body
        case 404, 410: throw IdentityError(.notFound, "\(what) does not exist (HTTP status \(status))")
        default: throw IdentityError(.unreachable, "the server of \(what) answered with HTTP status \(status)")
        }
    }
}

/// Hands each DID to the resolver of its method.
public struct MethodResolver: Resolver {
    private let methods: [String: any Resolver]

    public init(_ methods: [String: any Resolver]) { self.methods = methods }

    /// did:key without help, did:web through `fetcher`.
    public init(fetcher: any DocumentFetcher) {
        self.init(["key": DIDKeyResolver(), "web": DIDWebResolver(fetcher: fetcher)])
    }

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard let resolver = methods[String(did.method)] else {
            throw IdentityError(.unsupported, "the DID method \(did.method) is not supported")
        }
        return try await resolver.resolve(did)
    }
}

public struct DIDKeyResolver: Resolver {
    public init() {}

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        guard let document = DIDKey.document(of: did) else {
            throw IdentityError(.malformed, "the did:key is not an Ed25519, P-256 or X25519 key")
        }
        return ResolvedDocument(document: document, lifetime: .max)
    }
}

public struct DIDWebResolver: Resolver {
    private let fetcher: any DocumentFetcher

    public init(fetcher: any DocumentFetcher) { self.fetcher = fetcher }

    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        let url = try DIDWeb.url(of: did)
        let fetched = try await fetcher.fetch(url: url, limit: DIDDocument.Limit.bytes)
        let document = try DIDDocument(parsing: fetched.content(of: "the DID document"), expecting: did)
        return ResolvedDocument(document: document, lifetime: fetched.freshness)
    }
}
