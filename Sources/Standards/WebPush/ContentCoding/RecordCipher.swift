import Crypto

/// The keys of one body, and its records by number (RFC 8188 §2.2, §2.3).
struct RecordCipher: Sendable {
    static let tagSize = 16
    /// Delimiter and tag.
    static let overhead = 17

    enum Delimiter: UInt8 {
        case more = 1
        case last = 2
    }

    private let key: SymmetricKey
    private let nonce: [UInt8]
    private var sequence: UInt64 = 0

    init(keyMaterial material: SymmetricKey, salt: [UInt8]) {
        func derive(_ label: String, _ count: Int) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: material,
                salt: salt,
                info: Array("Content-Encoding: \(label)\u{0}".utf8),
                outputByteCount: count
            )
        }
        key = derive(ContentHeader.coding, 16)
        nonce = derive("nonce", 12).withUnsafeBytes { Array($0) }
    }

    /// Of the record that comes next: the derived nonce with its number over the last bytes. RFC 8188 §2.3
    private mutating func nextNonce() -> AES.GCM.Nonce {
        var bytes = nonce
        for at in 0..<8 { bytes[4 + at] ^= UInt8(sequence >> UInt64(56 - 8 * at) & 0xff) }
        // 2^64 records of 18 bytes are more than anybody sends.
        sequence += 1
        guard let nonce = try? AES.GCM.Nonce(data: bytes) else { preconditionFailure("a nonce has 12 bytes") }
        return nonce
    }

    mutating func seal(_ content: ArraySlice<UInt8>, _ delimiter: Delimiter, padding: Int) -> [UInt8] {
        var record = Array(content)
        record.reserveCapacity(content.count + Self.overhead + padding)
        record.append(delimiter.rawValue)
        record.append(contentsOf: repeatElement(0, count: padding))
        guard let box = try? AES.GCM.seal(record, using: key, nonce: nextNonce()) else {
            preconditionFailure("AES-GCM seals whatever fits a record")
        }
        return Array(box.ciphertext) + Array(box.tag)
    }

    /// - Throws: `.authentication`; what a forged record and one with wrong padding throw is the same.
    mutating func open(_ record: ArraySlice<UInt8>) throws(WebPushError) -> (content: ArraySlice<UInt8>, isLast: Bool) {
        let failure = WebPushError(.authentication, "a record does not open")
        // Content may be empty in the last record; its delimiter may not be missing.
        guard record.count >= Self.overhead else { throw WebPushError(.truncated, "a record shorter than its tag") }
        let opened: [UInt8]
        do {
            let box = try AES.GCM.SealedBox(
                nonce: nextNonce(),
                ciphertext: record.dropLast(Self.tagSize),
                tag: record.suffix(Self.tagSize)
            )
            opened = Array(try AES.GCM.open(box, using: key))
        } catch {
            throw failure
        }
        // The last byte that is not zero. The whole record is gone through, so that time says nothing of how much of it was padding.
        var (end, delimiter) = (0, UInt8(0))
        for (at, byte) in opened.enumerated() {
            let isSet = Int(bitPattern: UInt(byte | (0 &- byte)) >> 7 & 1)
            end ^= (end ^ at) & -isSet
            delimiter ^= (delimiter ^ byte) & UInt8(truncatingIfNeeded: -isSet)
        }
        guard let kind = Delimiter(rawValue: delimiter) else { throw failure }
        return (opened[..<end], kind == .last)
    }
}
