import Crypto
import DSIPIdentity
import Encoding
import FoundationEssentials

/// A reach that contacts can open and nobody else: one content key, sealed to each contact's key agreement key (HPKE base mode, the
/// suite of DSIP §10.4), and the reach under it.
///
/// The record names no contact, and how many there are is hidden among blanks: the number of keys is a power of two, eight at least.
public struct SealedReach: Hashable, Sendable {
    public static let algorithm = "hpke-base-x25519-sha256-aes128gcm"
    /// Contacts that one record is sealed to.
    public static let maximumContacts = 64
    private static let purpose = "dsip-presence/1.0"
    /// An encapsulated key, a content key of 16 bytes and a tag.
    private static let keyLength = 32 + 16 + 16
    /// Plaintexts are filled up to multiples of this.
    private static let block = 256

    private let keys: [[UInt8]]
    /// Nonce, ciphertext, tag.
    private let content: [UInt8]

    /// Seals `reach`.
    ///
    /// - Parameters:
    ///   - contacts: X25519 keys, 32 bytes each.
    ///   - context: binds the seal to its record.
    /// - Throws: `.limit` for too many contacts, `.badKey` for a key that nothing can be sealed to.
    init(_ reach: PresenceReach, to contacts: [[UInt8]], context: [UInt8]) throws(DiscoveryError) {
        guard contacts.count <= SealedReach.maximumContacts else {
            throw DiscoveryError(.limit, "a record is sealed to \(SealedReach.maximumContacts) contacts at most")
        }
        let contentKey = SymmetricKey(size: .bits128)
        var keys: [[UInt8]] = []
        do {
            for contact in contacts { keys.append(try SealedReach.seal(contentKey, to: contact, context)) }
            var size = 8
            while size < contacts.count { size *= 2 }
            while keys.count < size {
                let nobody = Curve25519.KeyAgreement.PrivateKey().publicKey.rawRepresentation
                keys.append(try SealedReach.seal(contentKey, to: Array(nobody), context))
            }
            var plaintext = JSONValue.object(reach.json).utf8
            let padding = SealedReach.block - plaintext.count % SealedReach.block
            plaintext += [UInt8](repeating: UInt8(ascii: " "), count: padding % SealedReach.block)
            guard let sealed = try AES.GCM.seal(plaintext, using: contentKey, authenticating: context).combined else {
                throw DiscoveryError(.badKey, "the reach cannot be sealed")
            }
            self.content = Array(sealed)
        } catch let error as DiscoveryError {
            throw error
        } catch {
            throw DiscoveryError(.badKey, "a contact's key cannot be sealed to")
        }
        // Each contact at a place of chance, so that no place is anybody's.
        self.keys = keys.shuffled()
    }

    init(_ json: JSONValue) throws(DiscoveryError) {
        guard let algorithm = json["alg"]?.string, algorithm == SealedReach.algorithm, let list = json["keys"]?.array,
            (1...SealedReach.maximumContacts).contains(list.count), let text = json["ct"]?.string,
            let content = Base64URL.decode(text), content.count > 28
        else { throw DiscoveryError(.malformed, "no sealed reach") }
        let keys = list.compactMap { $0.string.flatMap { Base64URL.decode($0) } }
        guard keys.count == list.count, keys.allSatisfy({ $0.count == SealedReach.keyLength }) else {
            throw DiscoveryError(.malformed, "a sealed key of another length")
        }
        self.keys = keys
        self.content = content
    }

    var json: JSONValue {
        [
            "alg": .string(SealedReach.algorithm), "keys": .array(keys.map { .string(Base64URL.encode($0)) }),
            "ct": .string(Base64URL.encode(content)),
        ]
    }

    /// - Returns: nil when it is sealed to others only.
    func open(with key: Curve25519.KeyAgreement.PrivateKey, context: [UInt8]) -> PresenceReach? {
        for sealed in keys {
            guard
                var recipient = try? HPKE.Recipient(
                    privateKey: key,
                    ciphersuite: DeviceSeal.suite,
                    info: Data(SealedReach.purpose.utf8),
                    encapsulatedKey: Data(sealed[..<32])
                ), let contentKey = try? recipient.open(sealed[32...], authenticating: context),
                let box = try? AES.GCM.SealedBox(combined: content),
                let plaintext = try? AES.GCM.open(box, using: SymmetricKey(data: contentKey), authenticating: context),
                let json = IJSON.read(Array(plaintext), limits: .init(bytes: 8192, depth: 6, members: 64)),
                let object = json.object
            else { continue }
            return try? PresenceReach(object)
        }
        return nil
    }

    private static func seal(_ contentKey: SymmetricKey, to contact: [UInt8], _ context: [UInt8]) throws -> [UInt8] {
        let key = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: contact)
        var sender = try HPKE.Sender(recipientKey: key, ciphersuite: DeviceSeal.suite, info: Data(purpose.utf8))
        let sealed = try contentKey.withUnsafeBytes { try sender.seal(Data($0), authenticating: context) }
        return Array(sender.encapsulatedKey + sealed)
    }

    /// What a seal belongs to.
    static func context(_ subject: DID, seq: Int64, expiresAt: Int64) -> [UInt8] {
        Array("\(subject) \(seq) \(expiresAt)".utf8)
    }
}

extension PresenceRecord {
    /// The reach meant for contacts.
    ///
    /// - Parameter key: the key agreement key of the reader's identity.
    /// - Returns: nil when nothing is sealed, or not to this reader.
    public func reach(openedWith key: Curve25519.KeyAgreement.PrivateKey) -> PresenceReach? {
        sealed?.open(with: key, context: SealedReach.context(subject, seq: seq, expiresAt: expiresAt))
    }
}
