/// A domain name as its labels: any bytes, compared label by label without ASCII case (RFC 1035 §2.3.3).
public struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// The longest name in wire form (RFC 1035 §2.3.4).
    public static let maximumLength = 255

    /// Each 1 to 63 bytes.
    public let labels: [[UInt8]]

    init(unchecked labels: [[UInt8]]) { self.labels = labels }

    /// - Returns: nil for an empty or over-long label, or a name over 255 bytes.
    public init?(_ labels: [String]) {
        let bytes = labels.map { Array($0.utf8) }
        guard bytes.allSatisfy({ (1...63).contains($0.count) }),
            bytes.reduce(1, { $0 + 1 + $1.count }) <= DNSName.maximumLength
        else { return nil }
        self.labels = bytes
    }

    /// Reads `a.b.c`, with or without the last point.
    public init?(text: some StringProtocol) {
        var body = String(text)
        if body.last == "." { body.removeLast() }
        let labels = body.split(separator: ".", omittingEmptySubsequences: false)
        self.init(labels.map { String($0) })
    }

    /// Uncompressed, as in a message.
    public var wire: [UInt8] { labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

    public static func == (a: DNSName, b: DNSName) -> Bool {
        a.labels.count == b.labels.count && zip(a.labels, b.labels).allSatisfy { fold($0) == fold($1) }
    }

    public func hash(into hasher: inout Hasher) { for label in labels { hasher.combine(DNSName.fold(label)) } }

    public var description: String {
        labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".") + "."
    }

    private static func fold(_ label: [UInt8]) -> [UInt8] { label.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } }
}
