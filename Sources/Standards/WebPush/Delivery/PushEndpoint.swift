/// The address that a push message is posted to: an absolute `https` URL (RFC 8030 §8.1), read strictly.
///
/// Whether it may be connected to is for who sends to judge: the address is a stranger's word.
public struct PushEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of an address.
    public static let maximumLength = 2048

    /// As it was given.
    public let url: String
    /// Lower-case; an IPv6 address in its brackets.
    public let host: String
    public let port: Int

    /// - Throws: `.endpoint` for another scheme, for user information, a fragment, a host or port that is none, characters that no URL
    ///   has, more than 2,048 bytes.
    public init(_ url: String) throws(WebPushError) {
        let failure = WebPushError(.endpoint, "a push endpoint is an https URL")
        let text = Array(url.utf8)
        guard text.count <= Self.maximumLength, text.allSatisfy(Self.isAllowed) else { throw failure }
        let scheme = "https://"
        guard text.count > scheme.utf8.count, Self.lowercased(text.prefix(scheme.utf8.count)) == scheme else {
            throw failure
        }
        let rest = text.dropFirst(scheme.utf8.count)
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        guard !text.contains(UInt8(ascii: "#")), let (host, port) = Self.split(authority) else { throw failure }
        self.url = url
        self.host = host
        self.port = port
    }

    /// The origin (RFC 6454 §6.2), which a VAPID token is for: without the port where that is 443.
    public var origin: String { port == 443 ? "https://\(host)" : "https://\(host):\(port)" }

    /// The URL is a capability: whoever has it can send. It is not written out.
    public var description: String { "\(origin)/…" }

    /// Printable ASCII but for what RFC 3986 has no place for.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21...0x7e: !#""<>\^`{|}"#.utf8.contains(byte)
        default: false
        }
    }

    private static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
    }

    private static func split(_ authority: ArraySlice<UInt8>) -> (host: String, port: Int)? {
        guard !authority.contains(UInt8(ascii: "@")) else { return nil }
        let end: Int
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")), close > authority.startIndex + 2,
                authority[(authority.startIndex + 1)..<close].allSatisfy(isAddressByte)
            else { return nil }
            end = close + 1
        } else {
            end = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
            let labels = authority[..<end].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            guard end - authority.startIndex <= 253, labels.allSatisfy(isLabel) else { return nil }
        }
        let host = lowercased(authority[..<end])
        guard end < authority.endIndex else { return (host, 443) }
        let digits = authority[(end + 1)...]
        guard authority[end] == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.first != 0x30,
            digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(String(decoding: digits, as: UTF8.self)),
            port <= 65_535
        else { return nil }
        return (host, port)
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            && label.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) && byte >= 0x41 }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        (0x30...0x3a).contains(byte) || byte == UInt8(ascii: ".") || (0x61...0x66).contains(byte | 0x20) && byte >= 0x41
    }
}
