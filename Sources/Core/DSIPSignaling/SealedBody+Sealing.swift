import Crypto
import DSIPIdentity
import Encoding
import FoundationEssentials

/// Sealed bodies, `sealed-body/1.0` (DSIP §10.4): what no relay routes by moves into a ciphertext that only the addressee opens.
///
/// ```
/// plaintext   {"media":[…],"transports":[…],…} and spaces, to a multiple of 256 bytes
/// HPKE        base mode, info "dsip sealed body v1", AAD  type ‖ 00 ‖ id ‖ 00 ‖ from ‖ 00 ‖ to
/// ```
extension SealedBody {
    public static let hpke = "hpke-base-x25519-sha256-aes128gcm"
    /// Plaintexts are padded to a multiple of as many bytes.
    public static let block = 256
    static let info = Array("dsip sealed body v1".utf8)

    /// The members that a message of `type` seals; empty for the types that are never sealed.
    public static func sealable(_ type: MessageType) -> [String] {
        switch type {
        case .invite: ["identity", "intent", "policy", "media", "transports"]
        case .answer, .update: ["answered_by", "media", "policy", "transports"]
        case .info: ["about", "data"]
        case .reject, .cancel, .bye: ["detail"]
        case .progress, .introduction, .grant, .publish, .subscribe, .notify, .unpublish, .provenance, .keyRotation,
            .delegationRevocation, .error, .hello, .reachabilityHint:
            []
        }
    }

    /// - Returns: nil when one of the members is no string: such a payload is not opened.
    static func context(_ type: String?, _ id: String?, _ from: String?, _ to: String?) -> [UInt8]? {
        guard let type, let id, let from, let to else { return nil }
        return Array([type, id, from, to].joined(separator: "\u{0}").utf8)
    }
}

extension Message {
    /// The same message with all that can be sealed sealed; itself when there is nothing to seal.
    ///
    /// - Parameter key: the X25519 key agreement key of `to`, raw.
    /// - Throws: `.signing` when nothing can be sealed to that key.
    public func sealed(to key: [UInt8]) throws(IdentityError) -> Message {
        guard var payload = json.object else { return self }
        let names = SealedBody.sealable(type)
        let body = JSONObject(members: payload.members.filter { names.contains($0.name) })
        guard !body.isEmpty, payload["sealed"] == nil,
            let context = SealedBody.context(type.rawValue, id.description, from.string, to?.string)
        else { return self }
        var plaintext = JSONValue.object(body).utf8
        let padding = -plaintext.count & (SealedBody.block - 1)
        plaintext += repeatElement(0x20, count: padding)
        guard let recipient = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: key),
            var sender = try? HPKE.Sender(
                recipientKey: recipient,
                ciphersuite: DeviceSeal.suite,
                info: Data(SealedBody.info)
            ), let ciphertext = try? sender.seal(plaintext, authenticating: context)
        else { throw IdentityError(.signing, "nothing can be sealed to that key") }
        for name in names { payload[name] = nil }
        var version = version
        if !version.extensions.contains(.sealedBody) { version.extensions.append(.sealedBody) }
        if !version.critical.contains(.sealedBody) { version.critical.append(.sealedBody) }
        payload["dsip"] = version.json
        payload["sealed"] =
            SealedBody(
                algorithm: SealedBody.hpke,
                encapsulatedKey: Base64URL.encode(sender.encapsulatedKey),
                ciphertext: Base64URL.encode(ciphertext)
            ).json
        guard let document = try? JSONDocument(scanning: JSONValue.object(payload).utf8),
            let message = try? Message(decoding: document)
        else { throw IdentityError(.malformed, "the message has no sealed form") }
        return message
    }

    /// Whether it came, or goes, sealed.
    public var isSealed: Bool { version.critical.contains(.sealedBody) }
}

/// Opens what was sealed to the identities and devices whose keys it holds.
public struct SealOpener: Sendable {
    private var keys: [DID: SigningKey]

    /// - Parameter keys: each opens what is addressed to its own DID.
    public init(_ keys: some Sequence<SigningKey>) {
        self.keys = Dictionary(keys.map { ($0.did, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The payload with the opened members in clear and `sealed` gone; nil when there is nothing to open.
    ///
    /// - Throws: the first condition of DSIP §10.4 that fails.
    func open(_ root: JSONView) throws(Rejection) -> JSONDocument? {
        guard let member = root["sealed"], member.isObject, let algorithm = member["alg"]?.string,
            let enc = member["enc"]?.string, let ct = member["ct"]?.string,
            let context = SealedBody.context(
                root["type"]?.string,
                root["id"]?.string,
                root["from"]?.string,
                root["to"]?.string
            )
        else { return nil }
        func refuse(_ code: VerdictCode, reason: Reason? = nil, _ detail: String) -> Rejection {
            Rejection(code, reason: reason, detail, reading: root)
        }
        let critical = root["dsip"]?["critical"]?.elements.contains { $0.equals("sealed-body/1.0") }
        guard critical == true else { throw refuse(.sealedNotCritical, "sealed, and not critical") }
        guard algorithm == SealedBody.hpke else {
            throw refuse(.sealedAlgUnsupported, "not the suite of sealed bodies")
        }
        guard let key = root["to"]?.did.flatMap({ keys[$0] }), let plaintext = SealOpener.open(enc, ct, context, key)
        else { throw refuse(.sealedOpenFailed, "the seal does not open") }
        guard !plaintext.isEmpty, plaintext.count.isMultiple(of: SealedBody.block),
            let inner = try? JSONDocument(scanning: plaintext, limits: .init(bytes: ProtocolLimits.frame)),
            inner.root.isObject, inner.root.count > 0, inner.firstNonInteger == nil
        else { throw refuse(.sealedPlaintextInvalid, "what was sealed is no padded JSON object") }
        var payload = root.value.object ?? [:]
        let sealable = root["type"]?.string.flatMap(MessageType.init(rawValue:)).map(SealedBody.sealable) ?? []
        for (name, value) in inner.root.members {
            guard sealable.contains(name) else { throw refuse(.sealedFieldForbidden, "a member that is never sealed") }
            guard payload[name] == nil else { throw refuse(.sealedFieldDuplicate, "a member both sealed and in clear") }
            payload[name] = value.value
        }
        payload["sealed"] = nil
        return try? JSONDocument(scanning: JSONValue.object(payload).utf8)
    }

    private static func open(_ enc: String, _ ct: String, _ context: [UInt8], _ key: SigningKey) -> [UInt8]? {
        guard let enc = Base64URL.decode(enc), let ct = Base64URL.decode(ct),
            let agreement = try? key.keyAgreementKey(),
            var recipient = try? HPKE.Recipient(
                privateKey: agreement,
                ciphersuite: DeviceSeal.suite,
                info: Data(SealedBody.info),
                encapsulatedKey: Data(enc)
            )
        else { return nil }
        return (try? recipient.open(Data(ct), authenticating: context)).map { Array($0) }
    }
}
