import DSIPIdentity
import DSIPTransport
import Encoding

/// What is asked of the name registry of a relay: a request signed by the identity's own key, posted to `/names` (docs/relay.md).
struct NameRegistration {
    /// The part before the `@`.
    let alias: Alias
    /// `host` or `host:port` of the relay.
    let authority: String

    /// - Parameter relay: `wss://…`.
    init(_ name: String, at relay: String) throws(AgentError) {
        let authority = String(relay.dropFirst(6).prefix { $0 != "/" && $0 != "?" })
        guard relay.hasPrefix("wss://"), let alias = Alias("\(name)@\(authority)") else {
            throw AgentError(.badRequest, "A name is letters, digits, dots and dashes, such as alice.")
        }
        (self.alias, self.authority) = (alias, authority)
    }

    /// Of an identity whose document the relay publishes; nil for any other.
    init?(hosting did: DID, alias: String?, at relay: String) {
        guard let user = alias.flatMap({ Alias($0) })?.user, let own = try? NameRegistration(user, at: relay),
            own.did == did
        else { return nil }
        self = own
    }

    /// The identity whose document the relay publishes under this name.
    var did: DID? {
        DID("did:web:\(authority.replacing(":", with: "%3A")):users:\(alias.user)")
    }

    /// What goes beside the name.
    struct Document {
        var nextKey: PublicKey?
        var revocations: [Envelope] = []
        var delegations: [Envelope]?
        var rotation: Envelope?
    }

    /// - Parameters:
    ///   - key: of `from`, the identity that the name stands for or the owner of the document.
    ///   - document: what the relay is to publish; nil for an identity that is published elsewhere.
    /// - Throws: `.notAllowed` when the relay refuses; `.unreachable` when what became of it is not known.
    func claim(
        as from: DID,
        by key: SigningKey,
        publishing document: Document? = nil,
        through fetcher: HTTPDocumentFetcher,
        id: ULID,
        at now: Int64
    ) async throws(AgentError) {
        var request: JSONObject = [
            "type": "register-name", "id": .string(id.description), "from": .string(from.string),
            "host": .string(authority), "name": .string(alias.user), "action": "claim",
            "hosted": .bool(document != nil), "issued_at": .int(now), "expires_at": .int(now + 60),
        ]
        if let document {
            request["next_key"] = document.nextKey.map { .string($0.multibase) }
            request["delegation_revocations"] = .array(document.revocations.map(\.json))
            request["delegations"] = document.delegations.map { .array($0.map { .string($0.compact) }) }
            request["key_rotation"] = document.rotation.map { .string($0.compact) }
        }
        do throws(IdentityError) {
            let response = try await fetcher.post(
                url: "https://\(authority)/names",
                Envelope(signing: JSONValue.object(request).utf8, by: key).bytes
            )
            guard (200..<300).contains(response.status) else {
                let answer = try? JSONValue(parsing: response.body)
                let why = answer?["error"]?["message"]?.string ?? answer?["message"]?.string
                throw IdentityError(.refused, why ?? "the relay refused it (HTTP status \(response.status))")
            }
        } catch {
            throw AgentError(error, doing: "The name could not be registered")
        }
    }
}
