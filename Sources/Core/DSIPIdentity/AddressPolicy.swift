/// Which addresses a fetch on a stranger's behalf may connect to.
///
/// A DID or an alias from the network chooses the host that is asked, and its DNS chooses the address: without this
/// guard a peer could make a relay speak to services behind its firewall. The check is on the address connected to,
/// after resolution, at every redirect. Refused is everything that is not globally reachable unicast (IANA
/// special-purpose registries, RFC 6890).
public struct AddressPolicy: Sendable {
    /// Ranges that the operator allows all the same, such as those of an own test network.
    public var allowed: [AddressRange]

    public init(allowing allowed: [AddressRange] = []) { self.allowed = allowed }

    /// - Parameter address: 4 or 16 bytes in network order; other lengths are refused.
    public func refuses(_ address: [UInt8]) -> Bool {
        if allowed.contains(where: { $0.contains(address) }) { return false }
        switch address.count {
        case 4: return AddressPolicy.special4.contains { $0.contains(address) }
        case 16:
            // An IPv4 address inside an IPv6 one is judged as what it stands for.
            if AddressPolicy.embedding.contains(where: { $0.contains(address) }) {
                return refuses(Array(address[12...]))
            }
            guard AddressPolicy.globalUnicast.contains(address) else { return true }
            return AddressPolicy.special6.contains { $0.contains(address) }
        default: return true
        }
    }

    private static let special4 = ranges(
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4"
    )
    /// v4-mapped (RFC 4291 §2.5.5.2) and the well-known NAT64 prefix (RFC 6052).
    private static let embedding = ranges("::ffff:0:0/96", "64:ff9b::/96")
    private static let globalUnicast = AddressRange("2000::/3")!
    /// IETF protocol assignments with Teredo, documentation, 6to4, AS112, SRv6 documentation.
    private static let special6 = ranges("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")

    private static func ranges(_ texts: String...) -> [AddressRange] { texts.map { AddressRange($0)! } }
}

/// A range of addresses in CIDR notation.
public struct AddressRange: Hashable, Sendable {
    let prefix: [UInt8]
    let length: Int

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address. - Returns: nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let prefix = IPAddress.parse(String(parts[0])) else { return nil }
        var length = prefix.count * 8
        if parts.count == 2 {
            guard let given = Int(parts[1]), parts[1].utf8.allSatisfy(Hostname.isDigit), given <= length else {
                return nil
            }
            length = given
        }
        self.prefix = prefix
        self.length = length
    }

    public func contains(_ address: [UInt8]) -> Bool {
        guard address.count == prefix.count else { return false }
        let whole = length / 8
        guard address[..<whole] == prefix[..<whole] else { return false }
        guard length % 8 != 0 else { return true }
        return (address[whole] ^ prefix[whole]) >> UInt8(8 - length % 8) == 0
    }
}

/// Addresses in text, strictly: four decimal numbers, or RFC 4291 §2.2.
public enum IPAddress {
    /// - Returns: 4 or 16 bytes in network order, or nil. Octal, hexadecimal and short IPv4 forms are not read.
    public static func parse(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 45 else { return nil }
        return text.contains(":") ? v6(text) : v4(text)
    }

    private static func v4(_ text: some StringProtocol) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy(Hostname.isDigit),
                part.utf8.count == 1 || part.first != "0", let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func v6(_ text: String) -> [UInt8]? {
        guard let gap = text.firstRange(of: "::") else {
            guard let bytes = groups(text), bytes.count == 16 else { return nil }
            return bytes
        }
        let (before, after) = (text[..<gap.lowerBound], text[gap.upperBound...])
        guard let head = before.isEmpty ? [] : groups(before), let tail = after.isEmpty ? [] : groups(after),
            head.count + tail.count <= 14
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    private static func groups(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        for (i, part) in parts.enumerated() {
            if i == parts.count - 1, part.contains(".") {
                guard let tail = v4(part) else { return nil }
                return bytes + tail
            }
            guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0 < 0x80 }), part.first != "+",
                part.first != "-",
                let value = UInt16(part, radix: 16)
            else { return nil }
            bytes += [UInt8(value >> 8), UInt8(value & 0xff)]
        }
        return bytes
    }
}
