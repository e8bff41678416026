/// Typed reading of attribute values. A missing attribute is `nil`, a malformed one throws `badAttribute`.
extension STUNMessage {
    /// XOR-MAPPED-ADDRESS: the address the server saw. RFC 8489 §14.2
    public func xorMappedAddress() throws(WebRTCError) -> TransportAddress? {
        guard let value = value(.xorMappedAddress) else { return nil }
        return try address(value, mask: Array(bytes[4..<20]))
    }

    /// MAPPED-ADDRESS, for servers that know nothing better. RFC 8489 §14.1
    public func mappedAddress() throws(WebRTCError) -> TransportAddress? {
        guard let value = value(.mappedAddress) else { return nil }
        return try address(value, mask: [UInt8](repeating: 0, count: 16))
    }

    /// USERNAME, at most 508 bytes of UTF-8. RFC 8489 §14.3
    public func username() throws(WebRTCError) -> String? { try text(.username, limit: 508) }
    /// REALM. RFC 8489 §14.9
    public func realm() throws(WebRTCError) -> String? { try text(.realm, limit: 762) }
    /// NONCE. RFC 8489 §14.10
    public func nonce() throws(WebRTCError) -> String? { try text(.nonce, limit: 762) }
    /// SOFTWARE, unauthenticated and only for logs. RFC 8489 §14.14
    public func software() throws(WebRTCError) -> String? { try text(.software, limit: 762) }

    /// USERHASH: SHA-256 of `username:realm`, 32 bytes. RFC 8489 §14.4
    public func userHash() throws(WebRTCError) -> [UInt8]? {
        guard let value = value(.userHash) else { return nil }
        guard value.count == 32 else { throw WebRTCError(.badAttribute, "USERHASH is not 32 bytes") }
        return Array(value)
    }

    /// ERROR-CODE. RFC 8489 §14.8
    ///
    ///     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    ///     |           Reserved, should be 0         |Class|     Number    |
    ///     |      Reason Phrase (variable, UTF-8)                          |
    public func errorCode() throws(WebRTCError) -> STUNErrorCode? {
        guard let value = value(.errorCode) else { return nil }
        let bytes = Array(value)
        guard (4...767).contains(bytes.count), (3...6).contains(bytes[2] & 7), bytes[3] < 100,
            let phrase = String(validating: bytes[4...], as: UTF8.self)
        else { throw WebRTCError(.badAttribute, "ERROR-CODE") }
        return STUNErrorCode(code: Int(bytes[2] & 7) * 100 + Int(bytes[3]), phrase: phrase)
    }

    /// UNKNOWN-ATTRIBUTES: what the server did not understand. RFC 8489 §14.13
    public func unknownAttributes() throws(WebRTCError) -> [STUNAttributeType]? {
        guard let value = value(.unknownAttributes) else { return nil }
        guard value.count.isMultiple(of: 2) else { throw WebRTCError(.badAttribute, "UNKNOWN-ATTRIBUTES") }
        let bytes = Array(value)
        return stride(from: 0, to: bytes.count, by: 2).map { STUNAttributeType(rawValue: bytes.bigEndian16($0)) }
    }

    /// A 4-byte number: PRIORITY (RFC 8445 §16.1) and the like.
    public func number(_ type: STUNAttributeType) throws(WebRTCError) -> UInt32? {
        guard let value = value(type) else { return nil }
        guard value.count == 4 else { throw WebRTCError(.badAttribute, "not 4 bytes") }
        return Array(value).bigEndian32(0)
    }

    // RFC 8489 §14.1, §14.2
    //
    //      0                   1                   2                   3
    //     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    //     |0 0 0 0 0 0 0 0|  1: v4, 2: v6 |       Port ^ cookie[0..<2]    |
    //     |            Address, 4 or 16 bytes, ^ cookie, transaction id   |
    private func address(_ value: ArraySlice<UInt8>, mask: [UInt8]) throws(WebRTCError) -> TransportAddress {
        let bytes = Array(value)
        guard bytes.count == 8 && bytes[1] == 1 || bytes.count == 20 && bytes[1] == 2,
            let address = IPAddress(bytes: zip(bytes[4...], mask).map { $0 ^ $1 })
        else { throw WebRTCError(.badAttribute, "address family or length") }
        return TransportAddress(address, port: bytes.bigEndian16(2) ^ mask.bigEndian16(0))
    }

    private func text(_ type: STUNAttributeType, limit: Int) throws(WebRTCError) -> String? {
        guard let value = value(type) else { return nil }
        guard value.count <= limit, let text = String(validating: value, as: UTF8.self) else {
            throw WebRTCError(.badAttribute, "text too long or not UTF-8")
        }
        return text
    }
}

/// A STUN error: 300 to 699, and a phrase for logs. RFC 8489 §14.8
public struct STUNErrorCode: Hashable, Sendable {
    public var code: Int
    public var phrase: String

    public init(code: Int, phrase: String) {
        self.code = code
        self.phrase = phrase
    }

    public static let badRequest = STUNErrorCode(code: 400, phrase: "Bad Request")
    public static let unauthenticated = STUNErrorCode(code: 401, phrase: "Unauthenticated")
    public static let unknownAttribute = STUNErrorCode(code: 420, phrase: "Unknown Attribute")
    public static let staleNonce = STUNErrorCode(code: 438, phrase: "Stale Nonce")
    public static let roleConflict = STUNErrorCode(code: 487, phrase: "Role Conflict")
    public static let serverError = STUNErrorCode(code: 500, phrase: "Server Error")
}
