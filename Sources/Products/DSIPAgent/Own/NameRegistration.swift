import DSIPIdentity
import DSIPTransport
import Encoding
import NIOHTTP1

/// Claims a name at a relay: a request signed by the identity's own key, posted to `/names`.
enum NameRegistration {
    /// - Returns: the alias, `name@host`.
    static func register(
        _ name: String, did: DID, key: SigningKey, relay: String, roots: [String], allowing ranges: [AddressRange],
        id: ULID, at now: Int64
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
        let policy = AddressPolicy(allowing: ranges)
        let client = GuardedHTTPClient(
            allows: { !policy.refuses($0) }, roots: TrustRoots(additionalFiles: roots))
        do throws(IdentityError) {
            let envelope = try Envelope(signing: request.utf8, by: key)
            let response = try await client.send(
                .init(
                    .POST, "https://\(authority)/names", headers: [("Content-Type", "application/json")],
                    body: envelope.bytes), limit: 64 << 10)
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
