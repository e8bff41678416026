import Crypto
import Libp2p

/// Records of the tests: eight bytes of sequence, then a check that binds it to its key. The highest sequence is the one.
public struct SequenceValidator: RecordValidator {
    struct Invalid: Error {}

    public init() {}

    public static func value(_ key: [UInt8], sequence: UInt64) -> [UInt8] {
        let number = (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * UInt64($0))) }
        return number + Array(SHA256.hash(data: key + number))
    }

    public func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        guard value.count == 40 else { throw Invalid() }
        let sequence = value.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard SequenceValidator.value(key, sequence: sequence) == value else { throw Invalid() }
        return nil
    }

    public func select(key: [UInt8], values: [[UInt8]]) -> Int {
        values.indices.max { values[$0].lexicographicallyPrecedes(values[$1]) } ?? 0
    }
}
