/// An instant as did:webvh writes it: `2026-01-01T00:01:00Z`, with up to nine digits of a fraction, always UTC.
struct WebVHTime: Comparable, Sendable {
    /// Unix seconds.
    let seconds: Int64
    let nanoseconds: Int64

    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count <= 35 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard byte &- 0x30 < 10 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            return value
        }
        for (place, mark) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")] as [(Int, Unicode.Scalar)] {
            guard bytes[place] == UInt8(ascii: mark) else { return nil }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...WebVHTime.days(in: month, of: year)).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var end = 19
        var fraction: Int64 = 0
        if bytes[19] == UInt8(ascii: ".") {
            end = bytes[20...].firstIndex { $0 &- 0x30 >= 10 } ?? bytes.count
            guard (1...9).contains(end - 20), let digits = number(20..<end) else { return nil }
            fraction = digits
            for _ in end - 20..<9 { fraction *= 10 }
        }
        let zone = bytes[end...]
        guard zone.elementsEqual("Z".utf8) || zone.elementsEqual("+00:00".utf8) else { return nil }
        self.seconds = WebVHTime.dayNumber(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        self.nanoseconds = fraction
    }

    static func < (a: WebVHTime, b: WebVHTime) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days since 1970 in the proleptic Gregorian calendar, years starting in March.
    private static func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
