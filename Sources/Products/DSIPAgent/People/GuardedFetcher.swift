import DSIPIdentity
import DSIPTransport
import NIOHTTP1

/// Fetches documents through the guarded client: public addresses only, bounded, https only.
struct GuardedFetcher: DocumentFetcher {
    let client: GuardedHTTPClient

    init(roots: TrustRoots, allowing ranges: [AddressRange]) {
        let policy = AddressPolicy(allowing: ranges)
        client = GuardedHTTPClient(allows: { !policy.refuses($0) }, roots: roots)
    }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let response = try await client.send(.init(.GET, url), limit: limit, redirects: FetchLimit.redirects)
        return FetchedDocument(
            status: response.status, body: response.body, finalURL: response.url,
            cacheControl: response.header("Cache-Control"), expires: response.header("Expires"),
            date: response.header("Date"))
    }
}
