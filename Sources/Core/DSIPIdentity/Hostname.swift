/// DNS names as they stand in identifiers: ASCII, lower case when written, never an address.
enum Hostname {
    /// - Returns: the name in lower case, or nil for anything but letters, digits and hyphens in labels of 1 to 63, 253
    ///   in all. A name whose last label is all digits would be read as an IPv4 address by resolvers, so it is none.
    static func normalized(_ text: some StringProtocol) -> String? {
        guard !text.isEmpty, text.utf8.count <= 253 else { return nil }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        for label in labels {
            guard (1...63).contains(label.utf8.count), label.first != "-", label.last != "-",
                label.utf8.allSatisfy({ isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") })
            else { return nil }
        }
        guard let last = labels.last, !last.utf8.allSatisfy(isDigit), !last.lowercased().hasPrefix("0x") else {
            return nil
        }
        return text.lowercased()
    }

    /// `host` or `host:port`, normalised.
    static func normalizedAuthority(_ text: some StringProtocol) -> String? {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let host = normalized(first) else { return nil }
        guard parts.count == 2 else { return host }
        guard let port = port(parts[1]) else { return nil }
        return "\(host):\(port)"
    }

    static func port(_ text: some StringProtocol) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(isDigit), text.first != "0", let port = Int(text),
            port <= 65_535
        else { return nil }
        return port
    }

    static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte & 0x40 != 0
    }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}

/// Percent-encoding (RFC 3986 §2.1).
enum PercentEncoding {
    /// Encodes every byte that is not unreserved or in `allowed`.
    static func encode(_ text: some StringProtocol, allowing allowed: String = "") -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            if isUnreserved(byte) || allowed.utf8.contains(byte) {
                out.append(byte)
            } else {
                out.append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// - Returns: nil for a stray `%` or bytes that are no UTF-8.
    static func decode(_ text: some StringProtocol) -> String? {
        var out: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard let high = bytes.next().flatMap(value), let low = bytes.next().flatMap(value) else { return nil }
            out.append(high << 4 | low)
        }
        return String(validating: out, as: UTF8.self)
    }

    static func isUnreserved(_ byte: UInt8) -> Bool {
        Hostname.isLetter(byte) || Hostname.isDigit(byte) || "-._~".utf8.contains(byte)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
