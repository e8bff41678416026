/// Writes one STUN message front to back. RFC 8489 §5, §14
///
///     var writer = STUNWriter(STUNMessageType(.success, .binding), transactionID: request.transactionID)
///     writer.xorMappedAddress(source)
///     writer.fingerprint()
///     send(writer.bytes)
///
/// Integrity covers what was written before it, so add it after the attributes it should cover and before the fingerprint.
public struct STUNWriter: Sendable {
    /// A whole message at any moment: the length field always tells what has been written.
    public private(set) var bytes: [UInt8]

    /// `transactionID` is 12 bytes; draw new ones from a cryptographic generator. RFC 8489 §5
    public init(_ type: STUNMessageType, transactionID: some Collection<UInt8>) {
        precondition(transactionID.count == 12, "a transaction id has 12 bytes")
        bytes = []
        bytes.reserveCapacity(128)
        bytes.append(bigEndian: type.rawValue)
        bytes.append(bigEndian: 0 as UInt16)
        bytes.append(bigEndian: STUNMessage.magicCookie)
        bytes += transactionID
    }

    /// Any attribute; the value is padded with zeros to 4 bytes. At most 763 bytes of value.
    public mutating func attribute(_ type: STUNAttributeType, _ value: some Collection<UInt8>) {
        precondition(value.count <= 763, "attribute value too long")
        bytes.append(bigEndian: type.rawValue)
        bytes.append(bigEndian: UInt16(value.count))
        bytes += value
        while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
        setLength(bytes.count)
    }

    /// XOR-MAPPED-ADDRESS. RFC 8489 §14.2
    public mutating func xorMappedAddress(_ source: TransportAddress) {
        let mask = Array(bytes[4..<20])
        var value = header(of: source.address)
        value.append(bigEndian: source.port ^ mask.bigEndian16(0))
        value += zip(source.address.bytes, mask).map { $0 ^ $1 }
        attribute(.xorMappedAddress, value)
    }

    /// MAPPED-ADDRESS. RFC 8489 §14.1
    public mutating func mappedAddress(_ source: TransportAddress) {
        var value = header(of: source.address)
        value.append(bigEndian: source.port)
        attribute(.mappedAddress, value + source.address.bytes)
    }

    /// ERROR-CODE. RFC 8489 §14.8
    public mutating func errorCode(_ error: STUNErrorCode) {
        attribute(.errorCode, [0, 0, UInt8(error.code / 100), UInt8(error.code % 100)] + Array(error.phrase.utf8))
    }

    /// UNKNOWN-ATTRIBUTES. RFC 8489 §14.13
    public mutating func unknownAttributes(_ types: [STUNAttributeType]) {
        var value: [UInt8] = []
        for type in types { value.append(bigEndian: type.rawValue) }
        attribute(.unknownAttributes, value)
    }

    mutating func setLength(_ end: Int) {
        let length = UInt16(end - STUNMessage.headerLength)
        bytes[2] = UInt8(length >> 8)
        bytes[3] = UInt8(length & 0xFF)
    }

    private func header(of address: IPAddress) -> [UInt8] {
        switch address {
        case .v4: [0, 1]
        case .v6: [0, 2]
        }
    }
}
