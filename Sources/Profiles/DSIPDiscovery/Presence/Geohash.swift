/// A region of the earth as a geohash: letters of base 32 that halve longitude and latitude in turn.
public struct Geohash: Hashable, Sendable, CustomStringConvertible {
    /// Characters of the finest region read here, about five kilometres wide. A finer one would be an address.
    public static let maximumLength = 5

    /// 1 to 5 characters, lower case.
    public let text: String

    public init?(_ text: some StringProtocol) {
        guard (1...Geohash.maximumLength).contains(text.utf8.count),
            text.utf8.allSatisfy({ Geohash.alphabet.contains($0) })
        else { return nil }
        self.text = String(text)
    }

    /// The region of a place.
    ///
    /// - Parameters:
    ///   - latitude: degrees, −90 to 90.
    ///   - longitude: degrees, −180 to 180.
    ///   - length: characters, brought into 1 to 5.
    /// - Returns: nil for a place that is not on the earth.
    public init?(latitude: Double, longitude: Double, length: Int) {
        guard (-90...90).contains(latitude), (-180...180).contains(longitude) else { return nil }
        var (south, north, west, east) = (-90.0, 90.0, -180.0, 180.0)
        var text: [UInt8] = []
        var isLongitude = true
        for _ in 0..<min(max(length, 1), Geohash.maximumLength) {
            var value = 0
            for _ in 0..<5 {
                let middle = isLongitude ? (west + east) / 2 : (south + north) / 2
                let isAbove = (isLongitude ? longitude : latitude) >= middle
                value = value << 1 | (isAbove ? 1 : 0)
                switch (isLongitude, isAbove) {
                case (true, true): west = middle
                case (true, false): east = middle
                case (false, true): south = middle
                case (false, false): north = middle
                }
                isLongitude.toggle()
            }
            text.append(Geohash.alphabet[value])
        }
        self.text = String(decoding: text, as: UTF8.self)
    }

    /// The region and those around it that hold it, finest first: where a client looks for the nearest, and what a server is announced
    /// under. Of one character, the last holds thousands of kilometres.
    public var prefixes: [Geohash] {
        (1...text.utf8.count).reversed().compactMap { Geohash(text.prefix($0)) }
    }

    /// The region of at most `length` characters that holds this one.
    public func coarsened(to length: Int) -> Geohash { Geohash(text.prefix(max(1, length))) ?? self }

    public var description: String { text }

    private static let alphabet = Array("0123456789bcdefghjkmnpqrstuvwxyz".utf8)
}
