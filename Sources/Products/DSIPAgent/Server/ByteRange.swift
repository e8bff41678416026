/// The one range of a `Range` header that is served (RFC 9110 §14.1.2).
enum ByteRange: Hashable {
    /// No range, or one this server passes over: the whole.
    case whole
    case part(Range<Int64>)
    /// Beyond the end: 416.
    case unsatisfiable

    /// - Parameter size: of the whole, in bytes.
    init(_ header: String?, size: Int64) {
        guard let header, header.hasPrefix("bytes=") else {
            self = .whole
            return
        }
        let spec = header.dropFirst(6).trimmed
        let bounds = spec.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        // Several ranges at once may be answered with the whole.
        guard bounds.count == 2, !spec.contains(",") else {
            self = .whole
            return
        }
        switch (ByteRange.number(bounds[0]), ByteRange.number(bounds[1])) {
        case (let first?, let last) where last != nil || bounds[1].isEmpty:
            if let last, last < first {
                self = .whole
            } else if first >= size {
                self = .unsatisfiable
            } else {
                self = .part(first..<(min(last ?? Int64.max - 1, size - 1) + 1))
            }
        case (nil, let suffix?) where bounds[0].isEmpty:
            self = suffix == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - suffix)..<size)
        default: self = .whole
        }
    }

    private static func number(_ text: Substring) -> Int64? {
        text.utf8.allSatisfy { $0 &- 0x30 < 10 } ? Int64(text) : nil
    }
}
