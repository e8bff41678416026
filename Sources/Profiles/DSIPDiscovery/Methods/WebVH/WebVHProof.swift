import Crypto
import DSIPIdentity
import Encoding

/// The hashes of did:webvh: base58btc of a sha2-256 multihash, without a multibase prefix.
enum WebVHHash {
    static func of(_ bytes: [UInt8]) -> String { Base58.encode([0x12, 0x20] + Array(SHA256.hash(data: bytes))) }

    static func isHash(_ text: some StringProtocol) -> Bool {
        guard let bytes = Base58.decode(text) else { return false }
        return bytes.count == 34 && bytes[0] == 0x12 && bytes[1] == 0x20
    }
}

/// A Data Integrity proof with the cryptosuite eddsa-jcs-2022.
struct WebVHProof: Sendable {
    /// The key that made it, as a multikey; whether that is right is not known before `isValid`.
    let key: String
    private let options: JSONObject

    /// - Returns: nil unless the verification method is a did:key that names itself in its fragment.
    init?(_ json: JSONValue) {
        guard let options = json.object, let method = options["verificationMethod"]?.string,
            method.utf8.starts(with: "did:key:".utf8)
        else { return nil }
        let parts = method.dropFirst(8).split(separator: "#", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.elementsEqual(parts[1].utf8), !parts[0].isEmpty else { return nil }
        self.key = String(parts[0])
        self.options = options
    }

    /// - Parameter digest: SHA-256 of the canonical document without its proofs.
    func isValid(over digest: [UInt8]) -> Bool {
        guard let key = WebVHProof.key(key), isOption("type", "DataIntegrityProof"),
            isOption("cryptosuite", "eddsa-jcs-2022"), isOption("proofPurpose", "assertionMethod"),
            let text = options["proofValue"]?.string, text.utf8.first == UInt8(ascii: "z"),
            let signature = Base58.decode(text.dropFirst()), signature.count == 64
        else { return false }
        var unsigned = options
        unsigned["proofValue"] = nil
        let covered = Array(SHA256.hash(data: JSONValue.object(unsigned).canonical)) + digest
        return key.isValidSignature(signature, for: covered)
    }

    private func isOption(_ name: String, _ value: String) -> Bool {
        options[name]?.string.map { $0.utf8.elementsEqual(value.utf8) } ?? false
    }

    /// An Ed25519 multikey.
    static func key(_ multikey: String) -> PublicKey? {
        guard multikey.utf8.first == UInt8(ascii: "z"), case .ed25519(let key)? = PublicKey(multibase: multikey) else {
            return nil
        }
        return .ed25519(key)
    }
}
