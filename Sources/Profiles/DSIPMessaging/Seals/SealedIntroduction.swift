import Crypto
import Encoding

/// The free text of an introduction, sealed to whom it is for. M§14.1
public enum SealedIntroduction {
    private static let info = Array("dsip sealed introduction v1".utf8)
    /// Unicode scalars of a purpose. DSIP §19.4
    public static let maximumPurpose = 280

    /// `id ‖ 0 ‖ from ‖ 0 ‖ to`: a sealed body belongs to one introduction.
    private static func additionalData(id: String, from: String, to: String) -> [UInt8] {
        Array(id.utf8) + [0] + Array(from.utf8) + [0] + Array(to.utf8)
    }

    /// The `sealed` member for an introduction.
    ///
    /// - Parameter publicKey: the recipient's X25519 `keyAgreement` key, raw.
    public static func seal(
        purpose: String,
        id: String,
        from: String,
        to: String,
        publicKey: [UInt8]
    ) throws(MessagingError) -> JSONValue {
        guard purpose.unicodeScalars.count <= maximumPurpose else {
            throw MessagingError(.purposeTooLong, "a purpose has at most 280 characters")
        }
        let plaintext: JSONValue = ["purpose": .string(purpose)]
        let (key, ciphertext) = try HPKESuite.seal(
            plaintext.utf8,
            to: publicKey,
            info: info,
            additionalData: additionalData(id: id, from: from, to: to)
        )
        return [
            "alg": .string(HPKESuite.identifier), "enc": .string(Base64URL.encode(key)),
            "ct": .string(Base64URL.encode(ciphertext)),
        ]
    }

    /// What an introduction says, plain or sealed.
    ///
    /// - Parameter payload: of a verified introduction.
    /// - Returns: nil when it says nothing.
    /// - Throws: `sealed-alg-unsupported`, `sealed-open-failed`, `sealed-plaintext-invalid` or `purpose-too-long`.
    public static func purpose(
        of payload: JSONValue,
        privateKey: Curve25519.KeyAgreement.PrivateKey
    ) throws(MessagingError) -> String? {
        guard let sealed = payload["sealed"] else { return payload["purpose"]?.string }
        guard sealed["alg"]?.string == HPKESuite.identifier else {
            throw MessagingError(.sealedAlgUnsupported, "another suite than the profile's")
        }
        guard let key = sealed["enc"]?.string.flatMap({ Base64URL.decode($0) }),
            let ciphertext = sealed["ct"]?.string.flatMap({ Base64URL.decode($0) }), let id = payload["id"]?.string,
            let from = payload["from"]?.string, let to = payload["to"]?.string
        else { throw MessagingError(.sealedOpenFailed, "the seal is malformed") }
        let plaintext: [UInt8]
        do throws(MessagingError) {
            plaintext = try HPKESuite.open(
                ciphertext,
                encapsulatedKey: key,
                privateKey: privateKey,
                info: info,
                additionalData: additionalData(id: id, from: from, to: to)
            )
        } catch {
            throw MessagingError(.sealedOpenFailed, "the seal does not open")
        }
        guard let object = (try? JSONValue(parsing: plaintext, limits: .init(bytes: 8192)))?.object, object.count == 1,
            let purpose = object["purpose"]?.string
        else { throw MessagingError(.sealedPlaintextInvalid, "there is more or less than a purpose in it") }
        guard purpose.unicodeScalars.count <= maximumPurpose else {
            throw MessagingError(.purposeTooLong, "a purpose has at most 280 characters")
        }
        return purpose
    }
}
