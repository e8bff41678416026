import DSIPIdentity
import DSIPSignaling
import Encoding

/// `dsip.msg` of the proposal (0.3 §8) as an extension message: one ratchet message for one device, sealed to it (§21.B).
///
/// ```
/// { …, "type": "dsip.msg", "from": <device>, "to": <device>, "content": {"enc": "ratchet/1", "ciphertext": base64url} }
/// ```
///
/// `ciphertext` is HPKE's encapsulated key and ciphertext of a reference (a ULID as text) and a ratchet `SessionMessage`, bound to id, sender
/// and recipient. The reference stays when a message is sent in another envelope. It is signed like every message, so `sig` and `aad` of the
/// proposal have no members of their own. Relays keep it as it is until the device
/// answers `accepted`; the device verifies it as of when it was issued.
public struct RatchetMessage: Hashable, Sendable {
    public static let type = "dsip.msg"
    public static let extensionID: ProfileID = "ratchet/1.0"
    private static let encryption = "ratchet/1"
    private static let purpose = "dsip ratchet message v1"
    /// Seconds from issue to expiry.
    public static let maximumLifetime = MessagingProfile.retention
    /// Bytes of `ciphertext`, decoded.
    public static let maximumCiphertext = 40_960

    public var head: ExtensionHead
    public var ciphertext: [UInt8]

    public init(_ payload: JSONView) throws(MessagingError) { try self.init(payload.value) }

    public init(decoding payload: [UInt8]) throws(MessagingError) {
        try self.init(try Read.payload(payload, limits: .init(bytes: ProtocolLimits.frame)))
    }

    /// - Throws: `schema-invalid`, `lifetime-exceeded`, `object-too-large`.
    public init(_ payload: JSONValue) throws(MessagingError) {
        var members = try Members(payload, "the payload")
        head = try ExtensionHead(&members, type: Self.type, lifetime: Self.maximumLifetime)
        var content = try Members(try members.required("content"), "content")
        try content.constant("enc", Self.encryption)
        let text = try content.required("ciphertext", Read.encoded)
        try content.finish()
        try members.finish()
        guard text.decodedCount <= Self.maximumCiphertext else {
            throw MessagingError(.objectTooLarge, "the ciphertext is too large")
        }
        guard let bytes = text.bytes else { throw Members.fault("the ciphertext is no base64url") }
        ciphertext = bytes
    }

    /// Seals a ratchet message to a device.
    ///
    /// - Throws: `sealed-open-failed` when the device's DID names no key to seal to, `object-too-large`.
    public init(
        sealing ratcheted: [UInt8],
        reference: ULID,
        id: ULID,
        from device: DID,
        to recipient: DID,
        issuedAt: Int64,
        lifetime: Int64 = maximumLifetime
    ) throws(MessagingError) {
        head = ExtensionHead(
            naming: Self.extensionID,
            id: id,
            from: device,
            to: recipient,
            issuedAt: issuedAt,
            expiresAt: issuedAt + lifetime
        )
        do throws(IdentityError) {
            ciphertext = try DeviceSeal.seal(
                Array(reference.description.utf8) + ratcheted,
                to: recipient,
                purpose: Self.purpose,
                context: Self.context(head)
            )
        } catch {
            throw MessagingError(.sealedOpenFailed, "nothing can be sealed to the device")
        }
        guard ciphertext.count <= Self.maximumCiphertext else {
            throw MessagingError(.objectTooLarge, "the ciphertext is too large")
        }
    }

    /// The reference and the ratchet message inside.
    ///
    /// - Throws: `sealed-open-failed` when it was sealed to another device, or by another or under another id.
    public func opened(by device: SigningKey) throws(MessagingError) -> (reference: ULID, message: [UInt8]) {
        let plaintext: [UInt8]
        do throws(IdentityError) {
            plaintext = try DeviceSeal.open(
                ciphertext,
                with: device,
                purpose: Self.purpose,
                context: Self.context(head)
            )
        } catch {
            throw MessagingError(.sealedOpenFailed, "the seal does not open")
        }
        guard let reference = ULID(String(decoding: plaintext.prefix(26), as: UTF8.self)) else {
            throw MessagingError(.sealedPlaintextInvalid, "there is no reference in it")
        }
        return (reference, Array(plaintext.dropFirst(26)))
    }

    private static func context(_ head: ExtensionHead) -> [UInt8] {
        Array("\(head.id)\u{0}\(head.from.string)\u{0}\(head.to.string)".utf8)
    }

    public var json: JSONValue {
        head.object(type: Self.type) { object in
            object["content"] = [
                "enc": .string(Self.encryption), "ciphertext": .string(Base64URL.encode(ciphertext)),
            ]
        }
    }
}
