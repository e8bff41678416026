/// What a push service's status means for the sender (RFC 8030 §5, §7.2, §7.3, §8.4).
public enum PushAnswer: Hashable, Sendable {
    /// The service has the message; whether the user agent ever gets it is not said.
    case accepted
    /// The subscription is no more: forget it.
    case gone
    /// The message is larger than the service takes.
    case tooLarge
    /// Not now; `after` is the service's own word in seconds, if it gave one.
    case later(after: Int?)
    /// The service will not take it however often it is sent: malformed, or not authorised (RFC 8292 §4.2).
    case refused(status: Int)

    /// The longest wait that is believed.
    public static let longestWait = 86_400

    /// - Parameters:
    ///   - retryAfter: the header of that name, seconds or a date (RFC 9110 §10.2.3).
    ///   - now: Unix seconds.
    public init(status: Int, retryAfter: String? = nil, at now: Int64) {
        let wait = retryAfter.flatMap { Self.seconds($0, at: now) }
        switch status {
        case 200..<300: self = .accepted
        case 404, 410: self = .gone
        case 413: self = .tooLarge
        case 408, 425, 429, 500..<600: self = .later(after: wait)
        // Redirects are not followed: a subscription's address is its own.
        default: self = .refused(status: status)
        }
    }

    private static func seconds(_ text: String, at now: Int64) -> Int? {
        if let seconds = Int(text), seconds >= 0 { return min(seconds, longestWait) }
        guard let date = HTTPDate.seconds(text) else { return nil }
        return Int(min(max(0, date - now), Int64(longestWait)))
    }
}

/// IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7). The two obsolete forms are not read.
enum HTTPDate {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Returns: Unix seconds, or nil when `text` has another form.
    static func seconds(_ text: String) -> Int64? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard text.utf8.count == 29, parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT",
            let day = number(parts[1], 2, 1...31), let month = months.firstIndex(of: String(parts[2])),
            let year = number(parts[3], 4, 1970...9999)
        else { return nil }
        let clock = parts[4].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3, let hour = number(clock[0], 2, 0...23), let minute = number(clock[1], 2, 0...59),
            let second = number(clock[2], 2, 0...60)
        else { return nil }
        return days(year, Int64(month) + 1, day) * 86_400 + hour * 3600 + minute * 60 + second
    }

    private static func number(_ text: Substring, _ length: Int, _ range: ClosedRange<Int64>) -> Int64? {
        guard text.utf8.count == length, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int64(text)
        else { return nil }
        return range.contains(value) ? value : nil
    }

    /// Days since 1970-01-01 in the Gregorian calendar, counting years from March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let yearDay = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return y * 365 + y / 4 - y / 100 + y / 400 + yearDay - 719_468
    }
}
