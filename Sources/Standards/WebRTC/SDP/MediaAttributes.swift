/// Which way media flows, seen from the side that wrote it. RFC 8866 §6.7
public enum MediaDirection: String, Hashable, Sendable, CaseIterable {
    case sendrecv, sendonly, recvonly, inactive

    /// The same flow seen from the other side.
    public var reversed: MediaDirection {
        switch self {
        case .sendonly: .recvonly
        case .recvonly: .sendonly
        case .sendrecv, .inactive: self
        }
    }

    public var sends: Bool { self == .sendrecv || self == .sendonly }
    public var receives: Bool { self == .sendrecv || self == .recvonly }

    /// Whether `answer` is a direction that may answer an offer of this one. RFC 3264 §6.1
    public func admits(answer: MediaDirection) -> Bool {
        (!answer.sends || receives) && (!answer.receives || sends)
    }
}

/// `a=setup`: who opens the DTLS association. RFC 4145 §4, RFC 8842 §5.1
public enum SetupRole: String, Hashable, Sendable {
    case active, passive, actpass, holdconn
}

/// `a=ice-ufrag` and `a=ice-pwd`. RFC 8839 §5.4
public struct ICECredentials: Hashable, Sendable {
    /// 4 to 256 characters.
    public var usernameFragment: String
    /// 22 to 256 characters.
    public var password: String

    public init(usernameFragment: String, password: String) {
        self.usernameFragment = usernameFragment
        self.password = password
    }
}

/// `a=rtpmap:<payload type> <encoding>/<clock rate>[/<channels>]`. RFC 8866 §6.6
public struct RTPMap: Hashable, Sendable {
    /// 0 to 127.
    public var payloadType: UInt8
    /// As written; names compare without case.
    public var encoding: String
    /// Hz.
    public var clockRate: UInt32
    /// Absent means one channel, or that the encoding has none.
    public var channels: UInt8?

    init?(_ value: String) {
        let words = value.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, let payloadType = UInt8(digits: words[0]), payloadType < 128 else { return nil }
        let parts = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), !parts[0].isEmpty, let clockRate = UInt32(digits: parts[1]) else {
            return nil
        }
        if parts.count == 3 {
            guard let channels = UInt8(digits: parts[2]) else { return nil }
            self.channels = channels
        }
        self.payloadType = payloadType
        encoding = String(parts[0])
        self.clockRate = clockRate
    }
}

/// `a=fmtp:<format> <parameters>`. RFC 8866 §6.15
public struct FormatParameters: Hashable, Sendable {
    public var format: String
    /// Everything after the format, as written.
    public var text: String

    init?(_ value: String) {
        guard let space = value.firstIndex(of: " "), space != value.startIndex else { return nil }
        format = String(value[..<space])
        text = String(value[value.index(after: space)...])
    }

    /// The value of `name=value` among parameters parted by semicolons; names compare without case.
    public func parameter(_ name: String) -> String? {
        for part in text.split(separator: ";") {
            let pair = part.split(separator: "=", maxSplits: 1)
            if pair.count == 2, pair[0].trimmingSpaces.lowercased() == name.lowercased() {
                return String(pair[1].trimmingSpaces)
            }
        }
        return nil
    }
}

/// `a=fingerprint:<hash> <bytes>`. RFC 8122 §5
public struct CertificateFingerprint: Hashable, Sendable {
    /// Lower case: `sha-256`, …
    public var hash: String
    public var bytes: [UInt8]

    /// Digest lengths in bytes of the functions of RFC 8122 §5; others are taken at any length up to 128.
    static let lengths = ["md5": 16, "sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64]

    init?(_ value: String) {
        let words = value.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, !words[0].isEmpty else { return nil }
        hash = words[0].lowercased()
        bytes = []
        let pairs = words[1].split(separator: ":", omittingEmptySubsequences: false)
        guard pairs.count <= 128, Self.lengths[hash].map({ $0 == pairs.count }) ?? true else { return nil }
        for pair in pairs {
            guard pair.utf8.count == 2, pair.utf8.first != 0x2B, let byte = UInt8(pair, radix: 16) else { return nil }
            bytes.append(byte)
        }
    }
}

extension FixedWidthInteger {
    /// From decimal digits alone: no sign, no space, no overflow.
    init?(digits text: some StringProtocol) {
        guard text.isDigits, let value = Self(text, radix: 10) else { return nil }
        self = value
    }
}

extension StringProtocol {
    /// One decimal digit or more, nothing else.
    var isDigits: Bool { !utf8.isEmpty && utf8.allSatisfy { (0x30...0x39).contains($0) } }

    var trimmingSpaces: SubSequence {
        var rest = self[...]
        while rest.first == " " { rest.removeFirst() }
        while rest.last == " " { rest.removeLast() }
        return rest
    }
}
