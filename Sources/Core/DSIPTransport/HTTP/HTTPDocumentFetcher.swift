import DSIPIdentity
import NIOHTTP1

/// Fetches DID documents and WebFinger answers over HTTPS, and posts signed registrations (DSIP §8.2, §8.4).
///
/// ```swift
/// let resolver = CachingResolver(upstream: MethodResolver(fetcher: HTTPDocumentFetcher()), clock: now)
/// ```
public struct HTTPDocumentFetcher: DocumentFetcher {
    private let client: GuardedHTTPClient

    /// - Parameter roots: beside the system's, such as the root of a development relay.
    public init(
        policy: AddressPolicy = AddressPolicy(),
        roots: TrustRoots = .system,
        resolver: any HostResolver = SystemHostResolver()
    ) {
        client = GuardedHTTPClient(
            allows: { !policy.refuses($0) },
            roots: roots,
            resolver: resolver,
            timeout: .seconds(FetchLimit.seconds)
        )
    }

    public func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let accepted = "application/did+json, application/jrd+json, application/json;q=0.9"
        let response = try await client.send(
            .init(.GET, url, headers: [(name: "Accept", value: accepted)]),
            limit: limit,
            redirects: FetchLimit.redirects
        )
        return FetchedDocument(response)
    }

    /// Posts what an identity signed, such as the registration of its name. Redirects are not followed.
    ///
    /// - Returns: the server's answer, whatever its status.
    public func post(url: String, _ body: [UInt8], limit: Int = 64 << 10) async throws(IdentityError)
        -> FetchedDocument
    {
        let headers = [(name: "Content-Type", value: "application/json"), (name: "Accept", value: "application/json")]
        let response = try await client.send(
            .init(.POST, url, headers: headers, body: body),
            limit: limit,
            redirects: 0
        )
        return FetchedDocument(response)
    }

    /// Puts what an identity signed in its place, such as a packet on a Pkarr relay. Redirects are not followed.
    ///
    /// - Returns: the server's answer, whatever its status.
    public func put(url: String, _ body: [UInt8], type: String, limit: Int = 64 << 10) async throws(IdentityError)
        -> FetchedDocument
    {
        let headers = [(name: "Content-Type", value: type)]
        return FetchedDocument(
            try await client.send(.init(.PUT, url, headers: headers, body: body), limit: limit, redirects: 0)
        )
    }
}

extension FetchedDocument {
    fileprivate init(_ response: GuardedHTTPClient.Response) {
        self.init(
            status: response.status,
            body: response.body,
            finalURL: response.url,
            cacheControl: response.header("Cache-Control"),
            expires: response.header("Expires"),
            date: response.header("Date")
        )
    }
}
