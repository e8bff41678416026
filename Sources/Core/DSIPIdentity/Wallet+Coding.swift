import Crypto
import Encoding
import FoundationEssentials

/// The plaintext inside a wallet or backup: JSON, keys as base64url of their 32 bytes. Members that are unknown are
/// refused, because a program that saved the wallet without them would lose them.
extension Wallet {
    /// What goes into the text.
    enum Extent {
        case everything
        /// Without device keys, their delegations and pending pairings: they belong to one device and stay there.
        case backup
    }

    func plaintext(_ extent: Extent) -> [UInt8] {
        let json: JSONValue = [
            "identities": .array(identities.map { $0.json(extent) }), "pins": pins.json,
            "pairings": .array(extent == .everything ? pendingPairings.map(\.json) : []),
        ]
        return json.utf8
    }

    init(plaintext: [UInt8]) throws(IdentityError) {
        let damaged = IdentityError(.damaged, "the contents of the wallet cannot be read; nothing was changed")
        let limits = JSONDocument.Limits(bytes: SealedContainer.maximumBytes, depth: 12, members: 20_000)
        guard let json = try? JSONValue(parsing: plaintext, limits: limits), json.object?.count == 3,
            let identities = json["identities"]?.array, let pins = json["pins"], let pairings = json["pairings"]?.array
        else { throw damaged }
        var read: [WalletIdentity] = []
        for entry in identities {
            guard let identity = try WalletIdentity(json: entry), !read.contains(where: { $0.did == identity.did })
            else {
                throw damaged
            }
            read.append(identity)
        }
        let pending = pairings.compactMap(PendingPairing.init(json:))
        guard pending.count == pairings.count else { throw damaged }
        self.init(identities: read, pins: try PinStore(json: pins), pendingPairings: pending)
    }
}

extension WalletIdentity {
    func json(_ extent: Wallet.Extent) -> JSONValue {
        var object: JSONObject = [
            "did": .string(did.string), "name": .string(name), "created_at": .int(createdAt),
            "device_name": .string(deviceDescription.name), "device_kind": .string(deviceDescription.kind.rawValue),
            "devices": .array(devices.map(\.json)), "revocations": .array(revocations.map(\.json)),
        ]
        object["alias"] = alias.map { .string($0.description) }
        object["relay"] = relay.map { .string($0) }
        object["contact"] = contact.map { .string($0.string) }
        object["backed_up_at"] = backedUpAt.map { .int($0) }
        if let controller {
            object["entropy"] = .string(Base64URL.encode(controller.phrase.entropy))
            object["kid"] = .string(controller.key.kid.description)
        }
        if let nextController {
            object["next_entropy"] = .string(Base64URL.encode(nextController.phrase.entropy))
            object["next_kid"] = .string(nextController.key.kid.description)
        }
        if extent == .everything {
            object["device"] = .string(device.withSeed { Base64URL.encode($0) })
            object["delegation"] = delegation?.json
            if let overlap {
                object["overlap"] = ["delegation": overlap.delegation.json, "until": .int(overlap.until)]
            }
            object["data_key"] = dataKey.map { key in .string(key.withUnsafeBytes { Base64URL.encode($0) }) }
        }
        return .object(object)
    }

    /// - Returns: nil for anything that `json(_:)` does not write. Without a device key, as in a backup, a new one is
    ///   made.
    init?(json: JSONValue) throws(IdentityError) {
        let known: Set<String> = [
            "did", "name", "created_at", "device_name", "device_kind", "devices", "revocations", "alias", "relay",
            "contact",
            "backed_up_at", "entropy", "kid", "device", "delegation", "data_key",
            "overlap", "next_entropy", "next_kid",
        ]
        guard let object = json.object, object.members.allSatisfy({ known.contains($0.name) }),
            let did = object["did"]?.string.flatMap({ DID($0) }), let name = object["name"]?.string,
            let createdAt = object["created_at"]?.int, let deviceName = object["device_name"]?.string,
            let kind = object["device_kind"]?.string.flatMap(Delegation.DeviceClass.init(rawValue:)),
            let devices = object["devices"]?.array, let revocations = object["revocations"]?.array
        else { return nil }
        func read(_ entropy: String, _ kid: String) throws(IdentityError) -> Controller?? {
            guard let text = object[entropy]?.string else { return .some(nil) }
            guard let phrase = Base64URL.decode(text).flatMap(RecoveryPhrase.init(entropy:)),
                let kid = object[kid]?.string.flatMap({ DIDURL($0) }), kid.did == did
            else { return nil }
            return try Controller(phrase: phrase, kid: kid)
        }
        guard let controller = try read("entropy", "kid"),
            let next = try read("next_entropy", "next_kid")
        else { return nil }
        if did.method == "key", let key = controller?.key, DIDKey.did(of: key.publicKey) != did { return nil }
        var device = SigningKey()
        if let text = object["device"]?.string {
            guard let seed = Base64URL.decode(text),
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
            else {
                return nil
            }
            device = SigningKey(selfIssued: key)
        }
        var dataKey: SymmetricKey?
        if let text = object["data_key"]?.string {
            guard let bytes = Base64URL.decode(text), bytes.count == 32 else { return nil }
            dataKey = SymmetricKey(data: bytes)
        }
        self.init(
            did: did,
            name: name,
            relay: object["relay"]?.string,
            contact: object["contact"]?.string.flatMap { DID($0) },
            controller: controller,
            device: device,
            deviceDescription: DeviceDescription(name: deviceName, kind: kind),
            createdAt: createdAt
        )
        self.dataKey = dataKey
        self.nextController = next
        if let overlap = object["overlap"] {
            guard let delegation = overlap["delegation"].flatMap(Envelope.init(published:)),
                let until = overlap["until"]?.int
            else { return nil }
            self.overlap = Overlap(delegation: delegation, until: until)
        }
        self.alias = object["alias"]?.string.flatMap { Alias($0) }
        self.backedUpAt = object["backed_up_at"]?.int
        self.delegation = object["delegation"].flatMap(Envelope.init(published:))
        self.devices = devices.compactMap(KnownDevice.init(json:))
        self.revocations = revocations.compactMap(Envelope.init(published:))
        guard self.devices.count == devices.count, self.revocations.count == revocations.count,
            (object["delegation"] == nil) == (delegation == nil)
        else { return nil }
    }
}

extension WalletIdentity.KnownDevice {
    var json: JSONValue {
        var object: JSONObject = [
            "did": .string(did.string), "name": .string(description.name), "kind": .string(description.kind.rawValue),
            "delegated_at": .int(delegatedAt), "expires_at": .int(expiresAt),
        ]
        object["revoked_at"] = revokedAt.map { .int($0) }
        return .object(object)
    }

    init?(json: JSONValue) {
        guard let did = json["did"]?.string.flatMap({ DID($0) }), let name = json["name"]?.string,
            let kind = json["kind"]?.string.flatMap(Delegation.DeviceClass.init(rawValue:)),
            let delegatedAt = json["delegated_at"]?.int, let expiresAt = json["expires_at"]?.int
        else { return nil }
        self.init(
            did: did,
            description: DeviceDescription(name: name, kind: kind),
            delegatedAt: delegatedAt,
            expiresAt: expiresAt,
            revokedAt: json["revoked_at"]?.int
        )
    }
}
