import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Whether a running agent's page and token work.
enum PageProbe {
    enum Finding: Sendable {
        case good
        case unreachable(String)
        case withoutPage
        case tokenRefused
        /// It does what is asked without asking who asks.
        case unguarded
    }

    static func look(at agent: StateHolder.Announcement) async -> Finding {
        do {
            guard try await status(agent, .POST, "/api/v1/state.get", token: nil) == 401 else { return .unguarded }
            guard try await status(agent, .POST, "/api/v1/state.get", token: agent.token) == 200 else {
                return .tokenRefused
            }
            return try await status(agent, .GET, "/", token: nil) == 200 ? .good : .withoutPage
        } catch {
            return .unreachable("\(agent.base) does not answer: \(error)")
        }
    }

    private static func status(
        _ agent: StateHolder.Announcement,
        _ method: HTTPMethod,
        _ path: String,
        token: String?
    ) async throws -> UInt {
        var request = HTTPClientRequest(url: agent.base + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(5))
        return response.status.code
    }
}
