/// The words of an ABI encoding: 32 bytes each, numbers big-endian, what has no fixed length behind an offset.
///
/// Nothing is trusted: whatever does not lie inside is nil.
public struct ABIReader: Sendable {
    private let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public func word(_ index: Int) -> ArraySlice<UInt8>? {
        guard index >= 0, index < bytes.count / 32 else { return nil }
        return bytes[index * 32..<index * 32 + 32]
    }

    /// A number that fits; larger ones are nil.
    public func number(_ index: Int) -> Int64? {
        guard let word = word(index), word.prefix(24).allSatisfy({ $0 == 0 }) else { return nil }
        return Int64(exactly: word.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }

    /// The same, with all that is larger at the largest.
    public func saturated(_ index: Int) -> Int64? { word(index).map { _ in number(index) ?? .max } }

    public func address(_ index: Int) -> EthereumAddress? {
        guard let word = word(index), word.prefix(12).allSatisfy({ $0 == 0 }) else { return nil }
        return EthereumAddress(bytes: word.suffix(20))
    }

    /// Text of at most 32 bytes, zeros behind it.
    public func shortText(_ index: Int) -> String? {
        guard let word = word(index) else { return nil }
        let text = word.prefix { $0 != 0 }
        guard word.dropFirst(text.count).allSatisfy({ $0 == 0 }) else { return nil }
        return String(validating: text, as: UTF8.self)
    }

    /// `bytes` or `string`, whose offset is at `index`.
    public func dynamic(_ index: Int) -> [UInt8]? {
        guard let offset = number(index), offset % 32 == 0, offset >= 0, offset < bytes.count,
            let count = number(Int(offset / 32)), count >= 0
        else { return nil }
        let start = Int(offset) + 32
        guard count <= bytes.count - start else { return nil }
        return Array(bytes[start..<start + Int(count)])
    }
}

/// Calls of contracts, as the ABI has them.
public enum ABICall {
    /// The first four bytes of the signature's hash, then the arguments.
    ///
    /// - Parameter signature: such as `changed(address)`.
    public static func data(_ signature: String, _ arguments: [UInt8] = []) -> [UInt8] {
        Keccak256.hash(signature.utf8).prefix(4) + arguments
    }

    /// The topic of an event.
    public static func topic(_ signature: String) -> [UInt8] { Keccak256.hash(signature.utf8) }

    public static func argument(_ address: EthereumAddress) -> [UInt8] {
        [UInt8](repeating: 0, count: 12) + address.bytes
    }

    public static func argument(_ number: UInt32) -> [UInt8] {
        [UInt8](repeating: 0, count: 28) + (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }

    /// `bytes` or `string`, as it stands behind the offset that points to it: its length, itself, zeros up to a whole word.
    public static func tail(_ bytes: [UInt8]) -> [UInt8] {
        argument(UInt32(bytes.count)) + bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
    }
}
