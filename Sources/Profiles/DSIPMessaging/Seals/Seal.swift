import Crypto
import Encoding

/// The AES-256-GCM of the profile: `nonce (12) ‖ ciphertext ‖ tag (16)`. M§8.4, M§11.1, M§12.2
public enum Seal {
    /// What a seal is bound to beyond its key.
    public enum Use: Hashable, Sendable {
        /// Nothing: the key is the blob's alone. M§8.4
        case blob
        /// `group_id ‖ epoch`. M§11.1
        case activity(group: [UInt8], epoch: UInt64)
        /// `group_id ‖ seq`. M§12.2
        case archive(group: [UInt8], seq: UInt64)

        var additionalData: [UInt8] {
            switch self {
            case .blob: []
            case .activity(let group, let number), .archive(let group, let number):
                group + stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
            }
        }
    }

    /// The label of the MLS exporter that gives a group's activity key, with the group id as context and 32 bytes. M§11.1
    public static let activityExporterLabel = "dsip activity"
    public static let nonceBytes = 12
    public static let tagBytes = 16

    /// - Parameters:
    ///   - key: 32 bytes.
    ///   - nonce: 12 bytes, never used twice under one key.
    public static func seal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], use: Use) throws(MessagingError)
        -> [UInt8]
    {
        do {
            guard key.count == 32, nonce.count == nonceBytes else { throw CryptoKitError.incorrectKeySize }
            let box = try AES.GCM.seal(
                plaintext,
                using: SymmetricKey(data: key),
                nonce: AES.GCM.Nonce(data: nonce),
                authenticating: use.additionalData
            )
            return nonce + Array(box.ciphertext) + Array(box.tag)
        } catch {
            throw MessagingError(.aeadOpenFailed, "a key of 32 bytes and a nonce of 12 are needed")
        }
    }

    /// - Throws: `sealed-too-short` or `aead-open-failed`.
    public static func open(_ sealed: [UInt8], key: [UInt8], use: Use) throws(MessagingError) -> [UInt8] {
        guard sealed.count >= nonceBytes + tagBytes else {
            throw MessagingError(.sealedTooShort, "no room for nonce and tag")
        }
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: sealed[..<nonceBytes]),
                ciphertext: sealed[nonceBytes..<(sealed.count - tagBytes)],
                tag: sealed[(sealed.count - tagBytes)...]
            )
            guard key.count == 32 else { throw CryptoKitError.incorrectKeySize }
            return Array(
                try AES.GCM.open(box, using: SymmetricKey(data: key), authenticating: use.additionalData)
            )
        } catch {
            throw MessagingError(.aeadOpenFailed, "the seal does not open")
        }
    }

    /// A blob as it was fetched: verified against what the content says before it is opened. M§8.4 rule 7
    ///
    /// - Throws: `blob-size-mismatch`, `blob-hash-mismatch`, `sealed-too-short` or `aead-open-failed`.
    public static func openBlob(
        _ ciphertext: [UInt8],
        size: Int64,
        sha256: String,
        key: [UInt8]
    ) throws(MessagingError) -> [UInt8] {
        guard Int64(ciphertext.count) == size else {
            throw MessagingError(.blobSizeMismatch, "the blob has another size")
        }
        guard hash(ciphertext) == sha256 else { throw MessagingError(.blobHashMismatch, "the blob has another hash") }
        return try open(ciphertext, key: key, use: .blob)
    }

    /// SHA-256 as messages write it.
    public static func hash(_ bytes: [UInt8]) -> String {
        Hex.encode(Array(SHA256.hash(data: bytes)))
    }
}
