import DSIPIdentity
import Encoding

/// What someone asks of the name registry: the payload of a DSIP-JOSE envelope posted to `/names`.
///
/// ```json
/// {"type": "register-name", "id": "01J…", "from": "did:key:z6Mk…", "host": "relay.example.com", "name": "alice",
///  "action": "claim", "hosted": true, "issued_at": 1760000000, "expires_at": 1760000060}
/// ```
///
/// The envelope is signed by a key of `from` itself, never by a device: a name belongs to an identity. `host` binds the request to one
/// relay, so that it cannot be taken to another.
public struct NameRequest: Sendable, Hashable {
    public enum Action: String, Sendable, Hashable {
        /// Take the name, or change what it stands for.
        case claim
        case release
    }

    public var id: ULID
    /// The identity the name will stand for, or the owner's, when the document is hosted here.
    public var from: DID
    public var host: String
    public var name: String
    public var action: Action
    /// The relay shall serve `did:web:<host>:users:<name>`, whose key is the owner's.
    public var hosted: Bool
    /// The key that owns the name from now on, and signs in a hosted document; nil to leave it as it is. This is how a hosted identity
    /// rotates its key.
    public var nextKey: PublicKey?
    /// Revocations that a hosted document shall publish (DSIP §7.4), all of them each time; nil to leave them as they are.
    public var revocations: [Envelope]?
    /// Delegations of today that a hosted document shall publish, all of them each time; nil to leave them as they are. Under `nextKey`
    /// those of the old key are left out.
    public var delegations: [Envelope]?
    /// The `key-rotation` record that goes with `nextKey` (DSIP §7.5), for the document to publish.
    public var rotation: Envelope?
    /// Unix seconds.
    public var issuedAt: Int64
    public var expiresAt: Int64

    public static let maximumRevocations = 64
    public static let maximumDelegations = DIDDocument.Limit.delegations
    /// Bytes of the payload.
    static let maximumBytes = 96 << 10

    public init(
        id: ULID,
        from: DID,
        host: String,
        name: String,
        action: Action = .claim,
        hosted: Bool = false,
        nextKey: PublicKey? = nil,
        revocations: [Envelope]? = nil,
        delegations: [Envelope]? = nil,
        rotation: Envelope? = nil,
        issuedAt: Int64,
        expiresAt: Int64
    ) {
        self.id = id
        self.from = from
        self.host = host
        self.name = name
        self.action = action
        self.hosted = hosted
        self.nextKey = nextKey
        self.revocations = revocations
        self.delegations = delegations
        self.rotation = rotation
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
    }

    public var json: JSONValue {
        var object: JSONObject = [
            "type": "register-name", "id": .string(id.description), "from": .string(from.string), "host": .string(host),
            "name": .string(name), "action": .string(action.rawValue), "hosted": .bool(hosted),
            "issued_at": .int(issuedAt), "expires_at": .int(expiresAt),
        ]
        if let nextKey { object["next_key"] = .string(nextKey.multibase) }
        if let revocations { object["delegation_revocations"] = .array(revocations.map(\.json)) }
        if let delegations { object["delegations"] = .array(delegations.map { .string($0.compact) }) }
        if let rotation { object["key_rotation"] = .string(rotation.compact) }
        return .object(object)
    }

    public func signed(by key: SigningKey) throws(IdentityError) -> Envelope {
        try Envelope(signing: json.utf8, by: key)
    }

    /// What the envelope claims, with the key it names; nothing is verified.
    static func claimed(_ envelope: Envelope) throws(RelayError) -> (request: NameRequest, kid: DIDURL) {
        guard
            let header = try? JSONDocument(scanning: envelope.decodedProtected(), limits: .init(bytes: 4096, depth: 4))
                .root,
            header["crit"] == nil, header["alg"]?.equals("EdDSA") == true,
            let kid = header["kid"]?.string.flatMap({ DIDURL($0) })
        else {
            throw RelayError(
                .malformed,
                "The request's protected header must name alg EdDSA and the kid of an identity key."
            )
        }
        guard
            let document = try? JSONDocument(
                scanning: envelope.decodedPayload(),
                limits: .init(bytes: NameRequest.maximumBytes)
            ),
            document.firstNonInteger == nil, let request = NameRequest(document.root)
        else {
            throw RelayError(
                .malformed,
                "The payload is no register-name request: see the relay's documentation for its members."
            )
        }
        return (request, kid)
    }

    private init?(_ payload: JSONView) {
        guard payload["type"]?.equals("register-name") == true, let id = payload["id"]?.string.flatMap({ ULID($0) }),
            let from = payload["from"]?.string.flatMap({ DID($0) }), let host = payload["host"]?.string,
            let name = payload["name"]?.string, let issuedAt = payload["issued_at"]?.integer,
            let expiresAt = payload["expires_at"]?.integer
        else { return nil }
        self.init(id: id, from: from, host: host, name: name, issuedAt: issuedAt, expiresAt: expiresAt)
        if let action = payload["action"] {
            guard let action = action.string.flatMap(Action.init(rawValue:)) else { return nil }
            self.action = action
        }
        if let hosted = payload["hosted"] {
            guard let hosted = hosted.boolean else { return nil }
            self.hosted = hosted
        }
        if let key = payload["next_key"] {
            guard let key = key.string.flatMap({ PublicKey(multibase: $0) }), case .ed25519 = key else { return nil }
            self.nextKey = key
        }
        if let list = payload["delegation_revocations"] {
            let envelopes = list.elements.compactMap { Envelope($0) }
            guard list.isArray, envelopes.count == list.count, envelopes.count <= NameRequest.maximumRevocations else {
                return nil
            }
            self.revocations = envelopes
        }
        if let list = payload["delegations"] {
            let envelopes = list.elements.compactMap { $0.string.flatMap { Envelope(compact: $0) } }
            guard list.isArray, envelopes.count == list.count, envelopes.count <= NameRequest.maximumDelegations else {
                return nil
            }
            self.delegations = envelopes
        }
        if let record = payload["key_rotation"] {
            guard let envelope = record.string.flatMap({ Envelope(compact: $0) }) else { return nil }
            self.rotation = envelope
        }
    }
}
