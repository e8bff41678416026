/// An IPv4 or IPv6 address as bytes, its text, and the range it is counted under.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// Four bytes or sixteen, network order.
    public let bytes: [UInt8]

    /// - Returns: nil unless there are 4 or 16 bytes.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads dotted decimal, or IPv6 text of RFC 4291 §2.2 without a zone.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let parsed = text.utf8.contains(UInt8(ascii: ":")) ? IPAddress.parseV6(String(text)) : IPAddress.parseV4(text)
        guard let parsed else { return nil }
        self.bytes = parsed
    }

    public var isV4: Bool { bytes.count == 4 }

    /// The IPv4 address inside an IPv4-mapped IPv6 one, else the address itself: one machine is counted once.
    public var unmapped: IPAddress {
        guard bytes.count == 16, bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xff, bytes[11] == 0xff else {
            return self
        }
        return IPAddress(bytes: bytes[12...]) ?? self
    }

    public var isLoopback: Bool { isV4 ? bytes[0] == 127 : bytes[..<15].allSatisfy { $0 == 0 } && bytes[15] == 1 }
    /// Of one link only (RFC 3927, RFC 4291 §2.5.6).
    public var isLinkLocal: Bool { isV4 ? bytes[..<2] == [169, 254] : bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80 }
    public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    /// Loopback, link-local, private (RFC 1918, RFC 4193) or shared (RFC 6598) space: not reachable from the internet.
    public var isPrivate: Bool {
        if isLoopback || isUnspecified { return true }
        guard isV4 else {
            let mapped = unmapped
            if mapped.isV4 { return mapped.isPrivate }
            return bytes[0] & 0xfe == 0xfc || isLinkLocal
        }
        return switch (bytes[0], bytes[1]) {
        case (10, _), (192, 168), (169, 254), (172, 16...31), (100, 64...127): true
        default: false
        }
    }

    /// Who shares an operator as a rule: the /24 of IPv4, the /48 of IPv6.
    public var range: AddressRange {
        let address = unmapped
        return AddressRange(prefix: Array(address.bytes.prefix(address.isV4 ? 3 : 6)))
    }

    public var description: String {
        guard !isV4 else { return bytes.map { "\($0)" }.joined(separator: ".") }
        // RFC 5952 §4: the longest run of at least two zero groups is shortened, the first of equal ones.
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(1, best.count) { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !best.isEmpty else { return text(0..<8) }
        return text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }

    private static func parseV4(_ text: some StringProtocol) -> [UInt8]? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard let value = decimal(part, maximum: 255) else { return nil }
            bytes.append(UInt8(value))
        }
        return bytes
    }

    private static func parseV6(_ text: String) -> [UInt8]? {
        var halves: [Substring] = [text[...]]
        if let gap = text.firstDoubleColon {
            halves = [text[..<gap], text[text.index(gap, offsetBy: 2)...]]
        }
        var parsed: [[UInt8]] = []
        for (index, half) in halves.enumerated() {
            var bytes: [UInt8] = []
            let groups = half.isEmpty ? [] : half.split(separator: ":", omittingEmptySubsequences: false)
            for (place, group) in groups.enumerated() {
                if group.contains("."), index == halves.count - 1, place == groups.count - 1 {
                    guard let v4 = parseV4(group) else { return nil }
                    bytes += v4
                } else {
                    guard (1...4).contains(group.utf8.count), group.allSatisfy(\.isHexDigit),
                        let value = UInt16(group, radix: 16)
                    else { return nil }
                    bytes += [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)]
                }
            }
            parsed.append(bytes)
        }
        guard parsed.count == 2 else { return parsed[0].count == 16 ? parsed[0] : nil }
        let missing = 16 - parsed[0].count - parsed[1].count
        guard missing >= 2 else { return nil }
        return parsed[0] + [UInt8](repeating: 0, count: missing) + parsed[1]
    }

    /// Digits without a leading zero, at most `maximum`.
    static func decimal(_ text: some Collection<UInt8>, maximum: Int) -> Int? {
        guard let first = text.first, text.count <= 5, first != UInt8(ascii: "0") || text.count == 1 else { return nil }
        var value = 0
        for digit in text {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int(digit - UInt8(ascii: "0"))
        }
        return value <= maximum ? value : nil
    }
}

/// A block of addresses that is counted as one for limits and diversity.
public struct AddressRange: Hashable, Sendable {
    let prefix: [UInt8]
}

extension String {
    /// Where the only `::` stands.
    fileprivate var firstDoubleColon: String.Index? {
        var index = startIndex
        while index < endIndex {
            let next = self.index(after: index)
            if next < endIndex, self[index] == ":", self[next] == ":" { return index }
            index = next
        }
        return nil
    }
}
