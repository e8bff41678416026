/// Seeded mutation of byte strings: flips, splices, repeats, tokens that decoders treat specially.
struct FuzzMutator {
    private var state: UInt64
    private static let tokens: [[UInt8]] =
        [
            "\"", "\\", "\\u0000", "\\ud800", "{", "}", "[", "]", ":", ",", "null", "-0", "1e999",
            "18446744073709551616",
            "did:", "#", "%00", "\u{0}", "\u{feff}", "=", "\r\n", "a=", "m=", "candidate:",
        ].map { Array($0.utf8) } + [
            [0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x21, 0x12, 0xa4, 0x42],
        ]

    init(seed: UInt64) { self.state = seed }

    private mutating func below(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(1, bound)))
    }

    mutating func mutate(_ seeds: [[UInt8]]) -> [UInt8] {
        var bytes = seeds[below(seeds.count)]
        for _ in 0...below(6) {
            let at = below(bytes.count + 1)
            switch below(8) {
            case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(below(8))
            case 1 where at < bytes.count: bytes[at] = UInt8(below(256))
            case 2: bytes.insert(contentsOf: FuzzMutator.tokens[below(FuzzMutator.tokens.count)], at: at)
            case 3 where at < bytes.count: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(16)))
            case 4 where at < bytes.count:
                let piece = Array(bytes[at..<min(bytes.count, at + 1 + below(32))])
                bytes.insert(contentsOf: repeatElement(piece, count: 1 + below(40)).joined(), at: at)
            case 5: bytes.removeSubrange(at..<bytes.count)
            case 6:
                let other = seeds[below(seeds.count)]
                bytes = Array(bytes.prefix(at)) + other.suffix(below(other.count + 1))
            default: bytes.insert(UInt8(below(256)), at: at)
            }
            if bytes.count > 1 << 17 { bytes.removeLast(bytes.count - (1 << 17)) }
        }
        return bytes
    }
}
