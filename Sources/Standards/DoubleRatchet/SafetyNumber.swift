import Crypto
import FoundationEssentials

/// What two people compare to know that nobody sits between them: 60 digits to read out, or bytes to show as a QR code.
///
/// The digits are Signal's numeric fingerprint, version 0: 5200 rounds of SHA-512 over identity and keys, 30 digits a side, the
/// lesser side first, so both see the same.
public struct SafetyNumber: Hashable, Sendable {
    /// One side: a name that does not change, and the keys of its devices.
    public struct Party: Hashable, Sendable {
        /// A DID, a number: what the person is known by.
        public var name: [UInt8]
        /// Encoded public keys; their order does not matter.
        public var keys: [[UInt8]]

        public init(name: [UInt8], keys: [[UInt8]]) {
            self.name = name
            self.keys = keys
        }

        public init(name: String, keys: [IdentityKey]) { self.init(name: Array(name.utf8), keys: keys.map(\.bytes)) }
    }

    /// How a scanned code compares.
    public enum Comparison: Hashable, Sendable {
        case same
        case different
        /// Made by another version, or no safety number.
        case incomparable
    }

    private let local: [UInt8]
    private let remote: [UInt8]

    /// - Parameter rounds: 5200 everywhere but in tests.
    public init(local: Party, remote: Party, rounds: Int = 5200) {
        self.local = Self.fingerprint(local, rounds)
        self.remote = Self.fingerprint(remote, rounds)
    }

    /// 60 decimal digits.
    public var digits: String {
        let (a, b) = (Self.digits(local), Self.digits(remote))
        return a < b ? a + b : b + a
    }

    /// The digits in twelve groups of five.
    public var grouped: String {
        let digits = Array(digits)
        return stride(from: 0, to: digits.count, by: 5).map { String(digits[$0..<$0 + 5]) }.joined(separator: " ")
    }

    /// What a QR code holds: `| version 1 | 32 bytes of the shower | 32 bytes of the other |`.
    public var scannable: [UInt8] { [1] + local.prefix(32) + remote.prefix(32) }

    /// Compares what was scanned from the other's screen.
    public func compare(scanned: [UInt8]) -> Comparison {
        guard scanned.count == 65, scanned[0] == 1 else { return .incomparable }
        let expected = Array(remote.prefix(32)) + local.prefix(32)
        return constantTimeEqual(expected, Array(scanned.dropFirst())) ? .same : .different
    }

    private static func fingerprint(_ party: Party, _ rounds: Int) -> [UInt8] {
        let keys = Array(party.keys.sorted { $0.lexicographicallyPrecedes($1) }.joined())
        var hash: [UInt8] = [0, 0] + keys + party.name
        for _ in 0..<rounds {
            var function = SHA512()
            function.update(data: hash)
            function.update(data: keys)
            hash = Array(function.finalize())
        }
        return hash
    }

    private static func digits(_ fingerprint: [UInt8]) -> String {
        (0..<6).map { group in
            let number = fingerprint[group * 5..<group * 5 + 5].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } % 100_000
            let text = String(number)
            return String(repeating: "0", count: 5 - text.count) + text
        }.joined()
    }
}
