/// An IPv4 or IPv6 address as its bytes in network order.
///
/// The IPv6 bytes are two words and not a vector: a 16-byte aligned payload returned through an unoptimized call is stored in a slot of
/// lesser alignment, and the aligned load that follows faults (Swift 6.3, x86-64).
public enum IPAddress: Hashable, Sendable {
    case v4(SIMD4<UInt8>)
    case v6(high: UInt64, low: UInt64)

    /// From 4 or 16 bytes in network order; `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(SIMD4(bytes))
        case 16:
            self = .v6(
                high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) }
            )
        default: return nil
        }
    }

    /// 4 or 16 bytes in network order.
    public var bytes: [UInt8] {
        switch self {
        case .v4(let b): b.indices.map { b[$0] }
        case .v6(let high, let low):
            [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
        }
    }
}

/// Where a datagram came from or goes to: an address and a UDP or TCP port.
public struct TransportAddress: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension TransportAddress: CustomStringConvertible {
    public var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted decimal, or the canonical IPv6 text: lower case, the longest run of zero groups shortened. RFC 5952 §4
    public var description: String {
        switch self {
        case .v4(let b): return "\(b[0]).\(b[1]).\(b[2]).\(b[3])"
        case .v6(let high, let low):
            let groups = [high, low].flatMap { word in
                (0..<4).map { UInt16(truncatingIfNeeded: word >> UInt64(48 - 16 * $0)) }
            }
            let text = { (range: Range<Int>) in groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
            guard let zeros = Self.longestZeroRun(groups) else { return text(0..<8) }
            return text(0..<zeros.lowerBound) + "::" + text(zeros.upperBound..<8)
        }
    }

    /// The first of the longest runs of at least two zero groups.
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
        var best = 0..<0
        var start = 0
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 { continue }
            if index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best.count >= 2 ? best : nil
    }
}

extension IPAddress {
    /// From dotted decimal, or IPv6 text with at most one `::` and an optional dotted tail; no zone, no prefix, no brackets.
    public init?(_ text: String) {
        guard text.utf8.count <= 45 else { return nil }
        guard let bytes = Self.dotted(text[...]) ?? Self.colons(text) else { return nil }
        self.init(bytes: bytes)
    }

    private static func dotted(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                part == "0" || !part.hasPrefix("0"), let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func colons(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (3...9).contains(parts.count) else { return nil }
        var head: [UInt8] = []
        var tail: [UInt8]?
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                // "::" leaves one empty part inside, two at an end, three when it stands alone.
                let edge = index == 0 || index == parts.count - 1
                if edge {
                    let neighbour = index == 0 ? parts[1] : parts[parts.count - 2]
                    guard neighbour.isEmpty else { return nil }
                } else {
                    guard tail == nil else { return nil }
                    tail = []
                }
                continue
            }
            let bytes: [UInt8]
            if index == parts.count - 1, let v4 = dotted(part) {
                bytes = v4
            } else {
                guard part.utf8.count <= 4, part.utf8.first != 0x2B, let group = UInt16(part, radix: 16) else {
                    return nil
                }
                bytes = [UInt8(group >> 8), UInt8(group & 0xFF)]
            }
            if tail == nil { head += bytes } else { tail! += bytes }
        }
        guard let tail else { return head.count == 16 ? head : nil }
        // RFC 5952 §4.2.2 writes no "::" for one group, RFC 4291 §2.2 reads it; no room for a group is an error.
        guard head.count + tail.count <= 14 else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }
}
