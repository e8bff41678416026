import Encoding

/// Twenty bytes that name an account or a contract.
public struct EthereumAddress: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// - Returns: nil for another length.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 20 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads `0x` and 40 digits. Where their case is mixed it is a checksum (EIP-55), and must be right.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 42, text.hasPrefix("0x"), let bytes = Hex.decode(text.dropFirst(2).lowercased()) else {
            return nil
        }
        self.bytes = bytes
        let digits = text.dropFirst(2)
        guard digits == digits.lowercased() || digits == digits.uppercased() || text == description else { return nil }
    }

    /// The address of a public key: the end of the hash of its point.
    ///
    /// - Parameter point: 64 bytes, x and y.
    public init?(point: [UInt8]) {
        guard point.count == 64 else { return nil }
        self.bytes = Array(Keccak256.hash(point).suffix(20))
    }

    public var isZero: Bool { bytes.allSatisfy { $0 == 0 } }

    /// `0x` and 40 digits in lower case.
    public var lowercased: String { "0x" + Hex.encode(bytes) }

    /// With the checksum of EIP-55 in the case of its letters.
    public var description: String {
        let digits = Hex.encode(bytes)
        let hash = Keccak256.hash(digits.utf8)
        return "0x"
            + zip(digits, 0..<40).map { digit, index in
                hash[index / 2] >> (index % 2 == 0 ? 4 : 0) & 8 == 8 ? digit.uppercased() : String(digit)
            }.joined()
    }
}
