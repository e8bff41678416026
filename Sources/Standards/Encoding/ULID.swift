/// A ULID: 48 bits of Unix milliseconds and 80 random bits, written as 26 characters of Crockford base32.
///
/// Text order, numeric order and time order are one, which glare resolution depends on (DSIP §12.6). Only the canonical
/// upper-case spelling is read (DSIP §10.3 and its schemas).
public struct ULID: Hashable, Comparable, Sendable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    /// - Parameters:
    ///   - milliseconds: Unix time; the low 48 bits count.
    ///   - generator: source of the 80 random bits.
    public init(milliseconds: UInt64, using generator: inout some RandomNumberGenerator) {
        self.high = milliseconds << 16 | (generator.next() as UInt64) & 0xffff
        self.low = generator.next()
    }

    /// - Parameter bytes: sixteen, the time first.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        self.high = bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        self.low = bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public init?(_ text: some StringProtocol) {
        var text = String(text)
        guard let value = text.withUTF8({ ULID(utf8: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = value
    }

    public init?(utf8 text: UnsafeRawBufferPointer) {
        guard text.count == 26, text[0] <= UInt8(ascii: "7") else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for character in text {
            let digit = ULID.reverse[Int(character)]
            guard digit != 0xff else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | UInt64(digit)
        }
        self.high = high
        self.low = low
    }

    /// Unix milliseconds of the time component.
    public var milliseconds: UInt64 { high >> 16 }
    /// Unix seconds of the time component.
    public var seconds: Int64 { Int64(milliseconds / 1000) }

    /// The sixteen bytes, the time first.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> $0) }
        }
    }

    public var description: String {
        var text = [UInt8](repeating: 0, count: 26)
        var (h, l) = (high, low)
        for i in stride(from: 25, through: 0, by: -1) {
            text[i] = ULID.alphabet[Int(l & 31)]
            l = l >> 5 | h << 59
            h >>= 5
        }
        return String(decoding: text, as: UTF8.self)
    }

    public static func < (a: ULID, b: ULID) -> Bool { (a.high, a.low) < (b.high, b.low) }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    private static let reverse: [UInt8] = {
        var table = [UInt8](repeating: 0xff, count: 256)
        for (value, character) in alphabet.enumerated() { table[Int(character)] = UInt8(value) }
        return table
    }()
}
