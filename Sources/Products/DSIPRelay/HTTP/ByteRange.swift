/// The one range of a `Range` header that is served (RFC 9110 §14.1.2, §14.2).
enum ByteRange: Hashable, Sendable {
    /// Answer with everything, 200: there is no header, or none that is served. Several ranges in one are passed over, which §14.2 allows.
    case whole
    /// 206.
    case part(Range<Int64>)
    /// 416: it begins behind the end.
    case unsatisfiable

    /// - Parameter size: bytes of the whole.
    init(_ header: String?, size: Int64) {
        guard let header, header.utf8.count <= 64, header.prefix(6).lowercased() == "bytes=" else {
            self = .whole
            return
        }
        let bounds = header.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
        guard bounds.count == 2, let first = ByteRange.bound(bounds[0]), let last = ByteRange.bound(bounds[1]) else {
            self = .whole
            return
        }
        switch (first, last) {
        case (nil, nil): self = .whole
        case (nil, let count?): self = count > 0 && size > 0 ? .part(max(0, size - count)..<size) : .unsatisfiable
        case (let first?, nil): self = first < size ? .part(first..<size) : .unsatisfiable
        case (let first?, let last?):
            guard first <= last else {
                self = .whole
                return
            }
            self = first < size ? .part(first..<(min(last, size - 1) + 1)) : .unsatisfiable
        }
    }

    /// - Returns: nil for what is no number; a nil inside for an empty bound.
    private static func bound(_ text: Substring) -> Int64?? {
        if text.isEmpty { return .some(nil) }
        guard text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text).map { .some($0) }
    }
}
