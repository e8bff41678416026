import DSIPIdentity
import DSIPTransport
import Encoding

/// Claims a name at a relay: a request signed by the identity's own key, posted to `/names`.
enum NameRegistration {
    /// - Returns: the alias, `name@host`.
    static func register(
        _ name: String,
        did: DID,
        key: SigningKey,
        relay: String,
        fetcher: HTTPDocumentFetcher,
        id: ULID,
        at now: Int64
    ) async throws(AgentError) -> String {
        let authority = String(relay.dropFirst(6).prefix { $0 != "/" && $0 != "?" })
        guard relay.hasPrefix("wss://"), let alias = Alias("\(name)@\(authority)") else {
            throw AgentError(.badRequest, "A name is letters, digits, dots and dashes, such as alice.")
        }
        let request: JSONValue = [
            "type": "register-name", "id": .string(id.description), "from": .string(did.string),
            "host": .string(authority), "name": .string(alias.user), "action": "claim", "hosted": false,
            "issued_at": .int(now), "expires_at": .int(now + 60),
        ]
        do throws(IdentityError) {
            let response = try await fetcher.post(
                url: "https://\(authority)/names",
                Envelope(signing: request.utf8, by: key).bytes
            )
            guard (200..<300).contains(response.status) else {
                let answer = try? JSONValue(parsing: response.body)
                let why = answer?["error"]?["message"]?.string ?? answer?["message"]?.string
                throw IdentityError(.refused, why ?? "the relay refused it (HTTP status \(response.status))")
            }
            return alias.description
        } catch {
            throw AgentError(error, doing: "The name could not be registered")
        }
    }
}
