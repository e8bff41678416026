import Encoding

/// What the old device answers: who the identity is, and the new device's delegation.
///
/// The grant travels sealed to the new device's key agreement key (`DeviceSeal`), so that a
/// relay that carries it, or a clipboard it passes through, learns nothing. It is believed for the delegation in it,
/// which the identity signed.
public struct PairingGrant: Sendable {
    static let scheme = "dsip-grant:"
    /// Characters of a sealed grant.
    public static let maximumLength = 64 << 10

    public var identity: DID
    public var name: String
    public var alias: Alias?
    public var relay: String?
    public var delegation: Envelope
    /// Whatever the agent shares between devices; opaque here.
    public var contacts: JSONValue?

    /// Seals the grant for the device of `request`.
    ///
    /// - Throws: `.tooLarge` when it does not fit, `.signing` when the device's key cannot be sealed to.
    public func sealed(for request: PairingRequest) throws(IdentityError) -> String {
        var object: JSONObject = [
            "identity": .string(identity.string), "name": .string(name), "delegation": delegation.json,
        ]
        object["alias"] = alias.map { .string($0.description) }
        object["relay"] = relay.map { .string($0) }
        object["contacts"] = contacts
        let sealed = try DeviceSeal.seal(
            JSONValue.object(object).utf8,
            to: request.device,
            purpose: PairingGrant.purpose,
            context: Array(request.digest)
        )
        let text = PairingGrant.scheme + Base64URL.encode(sealed)
        guard text.utf8.count <= PairingGrant.maximumLength else {
            throw IdentityError(.tooLarge, "the grant is too large")
        }
        return text
    }

    /// Opens `dsip-grant:…` on the device that asked.
    ///
    /// - Throws: `.malformed`, or `.refused` when it was sealed for another device or another request.
    init(opening text: String, with pending: PendingPairing) throws(IdentityError) {
        let text = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        guard text.utf8.count <= PairingGrant.maximumLength, text.hasPrefix(PairingGrant.scheme),
            let bytes = Base64URL.decode(text.dropFirst(PairingGrant.scheme.count)), bytes.count > 32
        else { throw IdentityError(.malformed, "this is not the answer to a pairing code") }
        let plaintext: [UInt8]
        do {
            plaintext = try DeviceSeal.open(
                bytes,
                with: pending.key,
                purpose: PairingGrant.purpose,
                context: Array(pending.request.digest)
            )
        } catch {
            throw error.code == .refused
                ? IdentityError(.refused, "the answer is for another device, or for an earlier pairing code") : error
        }
        guard
            let json = try? JSONValue(
                parsing: plaintext,
                limits: .init(bytes: 1 << 16, depth: 16, members: 4096)
            ),
            let identity = json["identity"]?.string.flatMap({ DID($0) }), let name = json["name"]?.string,
            DisplayText.isValid(name), let delegation = json["delegation"].flatMap(Envelope.init(published:)),
            json["relay"]?.string.map(RelayURL.isValid) ?? true
        else { throw IdentityError(.malformed, "the answer cannot be read") }
        self.init(
            identity: identity,
            name: name,
            alias: json["alias"]?.string.flatMap { Alias($0) },
            relay: json["relay"]?.string,
            delegation: delegation,
            contacts: json["contacts"]
        )
    }

    init(identity: DID, name: String, alias: Alias?, relay: String?, delegation: Envelope, contacts: JSONValue?) {
        self.identity = identity
        self.name = name
        self.alias = alias
        self.relay = relay
        self.delegation = delegation
        self.contacts = contacts
    }

    private static let purpose = "dsip pairing grant v1"
}
