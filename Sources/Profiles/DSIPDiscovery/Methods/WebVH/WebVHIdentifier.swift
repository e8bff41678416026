import Encoding

/// A `did:webvh` identifier: a self-certifying name, and the place on the web where its log lies (did:webvh v1.0).
public struct WebVHIdentifier: Hashable, Sendable {
    /// 46 characters of base58btc.
    public let scid: String
    /// `host` or `host:port`.
    public let authority: String
    /// Percent-encoded, as in the DID.
    public let path: [String]

    /// - Returns: nil for another method, an SCID of another form, an address or a single label in place of a domain, and path segments
    ///   that are no names.
    public init?(_ did: String) {
        let parts = did.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 4, did.utf8.starts(with: "did:webvh:".utf8), parts[2].utf8.count == 46,
            Base58.decode(parts[2]) != nil, let authority = WebVHIdentifier.authority(parts[3]),
            parts.dropFirst(4).allSatisfy(WebVHIdentifier.isSegment)
        else { return nil }
        self.scid = String(parts[2])
        self.authority = authority
        self.path = parts.dropFirst(4).map(String.init)
    }

    /// Where the log lies.
    public var logURL: String { url("did.jsonl") }
    /// Where the witnesses' proofs lie.
    public var witnessURL: String { url("did-witness.json") }

    private func url(_ file: String) -> String {
        "https://\(authority)/" + (path.isEmpty ? [".well-known"] : path).map { $0 + "/" }.joined() + file
    }

    /// `host[%3Aport]`, two labels at least.
    private static func authority(_ text: Substring) -> String? {
        let bytes = Array(text.utf8)
        var (host, port) = (bytes[...], ArraySlice<UInt8>?.none)
        if let percent = bytes.firstIndex(of: UInt8(ascii: "%")) {
            let mark = bytes[percent...].prefix(3)
            guard mark.elementsEqual("%3A".utf8) || mark.elementsEqual("%3a".utf8) else { return nil }
            host = bytes[..<percent]
            port = bytes[(percent + 3)...]
        }
        let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard host.count <= 253, labels.count >= 2,
            labels.allSatisfy({ (1...63).contains($0.count) && $0.allSatisfy(isHostCharacter) }),
            !labels.allSatisfy({ $0.allSatisfy(isDigit) })
        else { return nil }
        let name = String(decoding: host, as: UTF8.self).lowercased()
        guard let port else { return name }
        guard (1...5).contains(port.count), port.allSatisfy(isDigit),
            let number = Int(String(decoding: port, as: UTF8.self)), (1...65_535).contains(number)
        else { return nil }
        return "\(name):\(number)"
    }

    /// Unreserved characters and percent-encodings of UTF-8 that name something below, not above or beside.
    private static func isSegment(_ text: Substring) -> Bool {
        var decoded: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard bytes.count >= 2, let value = Hex.decode(String(decoding: bytes.prefix(2), as: UTF8.self)) else {
                    return false
                }
                decoded += value
                bytes = bytes.dropFirst(2)
            } else {
                guard isHostCharacter(byte) || "._~".utf8.contains(byte) else { return false }
                decoded.append(byte)
            }
        }
        guard let name = String(validating: decoded, as: UTF8.self), !decoded.isEmpty, name != ".", name != "..",
            !decoded.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }),
            let first = name.unicodeScalars.first, let last = name.unicodeScalars.last
        else { return false }
        return !first.properties.isWhitespace && !last.properties.isWhitespace
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "-")
    }
}
