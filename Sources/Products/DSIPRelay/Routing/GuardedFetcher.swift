import DSIPIdentity
import DSIPTransport
import NIOHTTP1

/// Fetches the DID documents of others, through the guarded client.
struct GuardedFetcher: DocumentFetcher {
    let client: GuardedHTTPClient

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let response = try await client.send(.init(.GET, url), limit: limit)
        return FetchedDocument(
            status: response.status, body: response.body, finalURL: response.url,
            cacheControl: response.header("cache-control"), expires: response.header("expires"), date: response.header("date"))
    }
}
