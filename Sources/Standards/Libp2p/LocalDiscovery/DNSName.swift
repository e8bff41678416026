/// A domain name as labels. Two names are equal when they differ in the case of ASCII letters only (RFC 4343).
struct DNSName: Hashable, Sendable {
    /// Without the root; each 1 to 63 bytes.
    let labels: [[UInt8]]

    /// Of the wire form, in bytes, with the root (RFC 1035 §2.3.4).
    static let maximumLength = 255

    /// - Parameter text: labels joined by dots; ours, so that a label over 63 bytes is a mistake of the caller.
    init(_ text: String) {
        labels = text.utf8.split(separator: UInt8(ascii: ".")).map(Array.init)
        precondition(labels.allSatisfy { $0.count < 64 } && length <= DNSName.maximumLength, "no domain name")
    }

    private init(labels: [[UInt8]]) { self.labels = labels }

    /// Reads a name, following pointers (RFC 1035 §4.1.4) that lead backwards.
    ///
    /// - Parameter position: moved behind the name.
    init(_ message: ArraySlice<UInt8>, at position: inout Int) throws(Libp2pError) {
        var labels: [[UInt8]] = []
        var (at, length, isBehindPointer) = (position, 1, false)
        while true {
            guard at < message.endIndex else { throw Libp2pError(.malformed, "a name cut short") }
            let size = Int(message[at])
            switch size >> 6 {
            case 0:
                let next = at + 1 + size
                guard next <= message.endIndex else { throw Libp2pError(.malformed, "a name cut short") }
                if !isBehindPointer { position = next }
                guard size > 0 else {
                    self.init(labels: labels)
                    return
                }
                length += size + 1
                guard length <= DNSName.maximumLength else { throw Libp2pError(.limit, "a name too long") }
                labels.append(Array(message[at + 1..<next]))
                at = next
            case 3:
                guard at + 1 < message.endIndex else { throw Libp2pError(.malformed, "a name cut short") }
                let target = message.startIndex + (size & 0x3f) << 8 + Int(message[at + 1])
                if !isBehindPointer { position = at + 2 }
                isBehindPointer = true
                // A pointer leads to before itself. A loop would pass labels, which the length bounds, or only pointers, which fall.
                guard target < at else { throw Libp2pError(.malformed, "a name that points forward") }
                at = target
            default: throw Libp2pError(.malformed, "an unknown kind of label")
            }
        }
    }

    var bytes: [UInt8] { labels.flatMap { [UInt8($0.count)] + $0 } + [0] }

    private var length: Int { labels.reduce(1) { $0 + $1.count + 1 } }

    /// The name below this one, when it is exactly one label longer.
    func label(under parent: DNSName) -> [UInt8]? {
        labels.count == parent.labels.count + 1 && DNSName(labels: Array(labels.dropFirst())) == parent
            ? labels[0] : nil
    }

    static func == (a: DNSName, b: DNSName) -> Bool { a.folded == b.folded }
    func hash(into hasher: inout Hasher) { hasher.combine(folded) }

    private var folded: [[UInt8]] {
        labels.map { $0.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 } }
    }
}
