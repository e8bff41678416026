extension FetchedDocument {
    /// Seconds for which the answer may be used again (RFC 9111 §4.2.1); nil when it does not say.
    public var freshness: Int64? {
        if let cacheControl {
            var maxAge: Int64?
            for directive in cacheControl.lowercased().split(separator: ",").prefix(32) {
                let parts = directive.split(separator: "=", maxSplits: 1)
                let name = parts.first.map { HTTPDate.trim($0) } ?? ""
                switch name {
                case "no-store", "no-cache": return 0
                case "max-age" where parts.count == 2 && maxAge == nil:
                    let digits = HTTPDate.trim(parts[1]).filter { $0 != "\"" }
                    // A value beyond 64 bits means forever; one that is no number means nothing.
                    guard !digits.isEmpty, digits.utf8.allSatisfy(Hostname.isDigit) else { return 0 }
                    maxAge = Int64(digits) ?? .max
                default: continue
                }
            }
            if let maxAge { return maxAge }
        }
        guard let expires else { return nil }
        // An unreadable date means already expired (RFC 9111 §5.3).
        guard let end = HTTPDate.seconds(expires), let start = date.flatMap(HTTPDate.seconds) else { return 0 }
        return max(0, end - start)
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of HTTP dates still written (RFC 9110 §5.6.7).
enum HTTPDate {
    static func seconds(_ text: String) -> Int64? {
        let parts = trim(text).split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int64(parts[1]), (1...31).contains(day),
            let month = months.firstIndex(of: String(parts[2])).map({ Int64($0) + 1 }), let year = Int64(parts[3]),
            (1970...9999).contains(year)
        else { return nil }
        let clock = parts[4].split(separator: ":").compactMap { Int64($0) }
        guard clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]), (0...60).contains(clock[2])
        else {
            return nil
        }
        // Days since 1970 in the proleptic Gregorian calendar, years starting in March.
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }

    static func trim(_ text: some StringProtocol) -> String {
        let body = text.drop { $0 == " " || $0 == "\t" }
        return String(body.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
