import Crypto

/// The HMAC key of a message. RFC 8489 §9.1.1, §9.2.2
///
/// Strings are taken as they are: run OpaqueString (RFC 8265) over what a person typed before coming here.
public struct STUNKey: Sendable {
    let key: SymmetricKey

    /// Short-term: the password itself. ICE uses `ice-pwd`.
    public static func shortTerm(password: String) -> STUNKey {
        STUNKey(key: SymmetricKey(data: Array(password.utf8)))
    }

    /// Long-term with the MD5 password algorithm, which is the one in force when a message names none.
    public static func longTerm(username: String, realm: String, password: String) -> STUNKey {
        let input = Array("\(username):\(realm):\(password)".utf8)
        return STUNKey(key: SymmetricKey(data: Array(Insecure.MD5.hash(data: input))))
    }

    /// Long-term with the SHA-256 password algorithm.
    public static func longTermSHA256(username: String, realm: String, password: String) -> STUNKey {
        let input = Array("\(username):\(realm):\(password)".utf8)
        return STUNKey(key: SymmetricKey(data: Array(SHA256.hash(data: input))))
    }
}

extension STUNMessage {
    /// Checks whichever integrity attributes are present, the stronger one deciding; throws `notAuthentic` when neither is there
    /// or it does not verify. RFC 8489 §14.5, §14.6
    public func verifyIntegrity(_ key: STUNKey) throws(WebRTCError) {
        if let attribute = first(.messageIntegritySHA256) {
            // The tag may be truncated to a multiple of 4 bytes, at least 16.
            let length = attribute.range.count
            guard (16...32).contains(length), length.isMultiple(of: 4) else {
                throw WebRTCError(.badAttribute, "MESSAGE-INTEGRITY-SHA256 length")
            }
            let tag = HMAC<SHA256>.authenticationCode(for: covered(attribute), using: key.key)
            try require(equal: Array(tag).prefix(length), bytes[attribute.range])
        } else if let attribute = first(.messageIntegrity) {
            guard attribute.range.count == 20 else { throw WebRTCError(.badAttribute, "MESSAGE-INTEGRITY length") }
            let tag = HMAC<Insecure.SHA1>.authenticationCode(for: covered(attribute), using: key.key)
            try require(equal: Array(tag)[...], bytes[attribute.range])
        } else {
            throw WebRTCError(.notAuthentic, "no integrity attribute")
        }
    }

    /// Whether FINGERPRINT is present and right; `nil` when absent. RFC 8489 §14.7
    public var hasValidFingerprint: Bool? {
        guard let attribute = first(.fingerprint) else { return nil }
        guard attribute.range.count == 4 else { return false }
        return bytes.bigEndian32(attribute.range.lowerBound) == CRC32.of(covered(attribute)) ^ 0x5354_554E
    }

    /// What an integrity attribute covers: everything before it, under a length field that ends with the attribute.
    private func covered(_ attribute: Attribute) -> [UInt8] {
        var covered = Array(bytes[..<attribute.start])
        let length = UInt16(attribute.start + 4 + (attribute.range.count + 3) & ~3 - Self.headerLength)
        covered[2] = UInt8(length >> 8)
        covered[3] = UInt8(length & 0xFF)
        return covered
    }

    // Every byte is looked at, whatever the first difference, so that time tells nothing about the tag.
    private func require(equal a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) throws(WebRTCError) {
        guard a.count == b.count, zip(a, b).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0 else {
            throw WebRTCError(.notAuthentic, "integrity does not verify")
        }
    }
}

extension STUNWriter {
    /// MESSAGE-INTEGRITY: HMAC-SHA1 over all before it. RFC 8489 §14.5
    public mutating func messageIntegrity(_ key: STUNKey) {
        setLength(bytes.count + 24)
        attribute(.messageIntegrity, Array(HMAC<Insecure.SHA1>.authenticationCode(for: bytes, using: key.key)))
    }

    /// MESSAGE-INTEGRITY-SHA256, untruncated. RFC 8489 §14.6
    public mutating func messageIntegritySHA256(_ key: STUNKey) {
        setLength(bytes.count + 36)
        attribute(.messageIntegritySHA256, Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key.key)))
    }

    /// FINGERPRINT, always last. RFC 8489 §14.7
    public mutating func fingerprint() {
        setLength(bytes.count + 8)
        var value: [UInt8] = []
        value.append(bigEndian: CRC32.of(bytes) ^ 0x5354_554E)
        attribute(.fingerprint, value)
    }
}

/// The CRC of ITU V.42, reflected polynomial 0xEDB88320.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in crc >> 8 ^ table[Int((crc ^ UInt32(byte)) & 0xFF)] }
    }
}
