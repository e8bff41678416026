extension SessionDescription {
    /// Bounds of the parser: 64 KiB of text, 4,096 lines, 64 sections.
    public static let maximumBytes = 65_536
    public static let maximumLines = 4_096
    public static let maximumSections = 64

    /// Parses a whole description. Lines end in CRLF or LF; the last may be unterminated. RFC 8866 §9, RFC 8829 §5.8
    ///
    /// Throws `tooLarge`, `badText`, `badLine`, `badValue` or `missingLine`.
    public init(parsing text: String) throws(WebRTCError) {
        self = try SessionDescriptionParser.parse(Array(text.utf8))
    }

    /// The same over received bytes, which must be UTF-8.
    public init(parsing bytes: [UInt8]) throws(WebRTCError) {
        guard bytes.count <= Self.maximumBytes else { throw WebRTCError(.tooLarge, "more than 64 KiB of SDP") }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw WebRTCError(.badText, "SDP is not UTF-8") }
        self = try SessionDescriptionParser.parse(bytes)
    }
}

/// One pass over the lines. `rank` is the place of the last line in the grammar of its level; no line may fall behind it.
private struct SessionDescriptionParser {
    private var description = SessionDescription(origin: SessionOrigin(sessionID: "0", sessionVersion: "0"), times: [])
    private var rank = -1
    private var line = 0

    private struct Place {
        var rank: Int
        var repeats: Bool
    }

    // Letters of the session and of a section in order; those in one group mix freely, and a group in brackets repeats.
    // The grammar wants c= and b= before t=, but many senders write them after it, and nothing depends on it.
    private static let sessionGrammar = grammar("v", "o", "s", "i", "u", "[e]", "[p]", "[cbtr]", "z", "k", "[a]")
    private static let sectionGrammar = grammar("i", "[c]", "[b]", "k", "[a]")

    private static func grammar(_ groups: String...) -> [UInt8: Place] {
        var places: [UInt8: Place] = [:]
        for (rank, group) in groups.enumerated() {
            for letter in group.utf8 { places[letter] = Place(rank: rank, repeats: group.hasPrefix("[")) }
        }
        places[UInt8(ascii: "[")] = nil
        places[UInt8(ascii: "]")] = nil
        return places
    }

    static func parse(_ bytes: [UInt8]) throws(WebRTCError) -> SessionDescription {
        guard bytes.count <= SessionDescription.maximumBytes else {
            throw WebRTCError(.tooLarge, "more than 64 KiB of SDP")
        }
        var end = bytes.endIndex
        while end > 0, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D { end -= 1 }
        var parser = SessionDescriptionParser()
        var start = 0
        while start < end {
            let stop = bytes[start..<end].firstIndex(of: 0x0A) ?? end
            var content = bytes[start..<stop]
            if stop < end, content.last == 0x0D { content.removeLast() }
            try parser.take(content)
            start = stop + 1
        }
        return try parser.finish()
    }

    private mutating func take(_ content: ArraySlice<UInt8>) throws(WebRTCError) {
        line += 1
        guard line <= SessionDescription.maximumLines else { throw WebRTCError(.tooLarge, "more than 4,096 lines") }
        guard content.count >= 2, content[content.startIndex + 1] == UInt8(ascii: "=") else {
            throw fail(.badLine, "not <letter>=<value>")
        }
        guard !content.contains(0), !content.contains(0x0D) else { throw fail(.badText, "NUL or bare CR in a line") }
        let letter = content[content.startIndex]
        let value = String(decoding: content.dropFirst(2), as: UTF8.self)
        if letter == UInt8(ascii: "m") {
            try startSection(value)
        } else if description.media.isEmpty {
            try advance(letter, in: Self.sessionGrammar)
            try sessionLine(letter, value)
        } else {
            try advance(letter, in: Self.sectionGrammar)
            try sectionLine(letter, value)
        }
    }

    private mutating func finish() throws(WebRTCError) -> SessionDescription {
        try requireTimes()
        try SecurityAttributes.check(description)
        return description
    }

    // RFC 8866 §5: the order of lines is fixed, and an unknown letter makes the whole description unreadable.
    private mutating func advance(_ letter: UInt8, in grammar: [UInt8: Place]) throws(WebRTCError) {
        guard let place = grammar[letter] else { throw fail(.badLine, "unknown letter") }
        guard place.rank > rank || (place.rank == rank && place.repeats) else {
            throw fail(.badLine, "out of order or repeated")
        }
        rank = place.rank
    }

    private mutating func sessionLine(_ letter: UInt8, _ value: String) throws(WebRTCError) {
        // v=, o= and s= are the first three; that none comes twice the grammar sees to.
        guard line > 3 || letter == Array("vos".utf8)[line - 1] else {
            throw fail(.missingLine, "v=, o=, s= come first")
        }
        switch letter {
        case UInt8(ascii: "v"):
            guard value == "0" else { throw fail(.badValue, "version is not 0") }
        case UInt8(ascii: "o"): description.origin = try origin(value)
        case UInt8(ascii: "s"): description.name = value
        case UInt8(ascii: "i"): description.information = value
        case UInt8(ascii: "u"): description.uri = value
        case UInt8(ascii: "e"): description.emails.append(value)
        case UInt8(ascii: "p"): description.phones.append(value)
        case UInt8(ascii: "c"):
            guard description.connection == nil else { throw fail(.badLine, "two c= for the session") }
            description.connection = try connection(value)
        case UInt8(ascii: "b"): description.bandwidths.append(try bandwidth(value))
        case UInt8(ascii: "t"):
            let words = value.words
            guard words.count == 2, words[0].isDigits, words[1].isDigits else {
                throw fail(.badValue, "t= <start> <stop>")
            }
            description.times.append(TimeDescription(start: String(words[0]), stop: String(words[1])))
        case UInt8(ascii: "r"):
            let words = value.words
            guard words.count >= 3, words.allSatisfy(\.isTypedTime), !description.times.isEmpty else {
                throw fail(.badValue, "r= <interval> <duration> <offset>… under t=")
            }
            description.times[description.times.count - 1].repeats.append(value)
        case UInt8(ascii: "z"):
            let words = value.words
            let offsets = words.indices.filter { $0 % 2 == 1 }.map {
                words[$0].hasPrefix("-") ? words[$0].dropFirst() : words[$0]
            }
            guard words.count.isMultiple(of: 2), offsets.allSatisfy(\.isTypedTime),
                words.indices.allSatisfy({ $0 % 2 == 1 || words[$0].isDigits })
            else { throw fail(.badValue, "z= <time> <offset>…") }
            description.timeZones = value
        case UInt8(ascii: "k"): description.key = try key(value)
        default: description.attributes.append(try attribute(value))
        }
    }

    private mutating func sectionLine(_ letter: UInt8, _ value: String) throws(WebRTCError) {
        let index = description.media.count - 1
        switch letter {
        case UInt8(ascii: "i"): description.media[index].title = value
        case UInt8(ascii: "c"): description.media[index].connections.append(try connection(value))
        case UInt8(ascii: "b"): description.media[index].bandwidths.append(try bandwidth(value))
        case UInt8(ascii: "k"): description.media[index].key = try key(value)
        default: description.media[index].attributes.append(try attribute(value))
        }
    }

    // m=<media> <port>[/<count>] <proto> <fmt>…
    private mutating func startSection(_ value: String) throws(WebRTCError) {
        try requireTimes()
        guard description.media.count < SessionDescription.maximumSections else {
            throw fail(.tooLarge, "more than 64 sections")
        }
        let words = value.words
        guard words.count >= 4, words.allSatisfy({ !$0.isEmpty }), words[0].isToken else {
            throw fail(.badValue, "m= <media> <port> <proto> <fmt>…")
        }
        let ports = words[1].split(separator: "/", omittingEmptySubsequences: false)
        guard ports.count <= 2, let port = UInt16(digits: ports[0]) else { throw fail(.badValue, "port of m=") }
        var section = MediaSection(
            kind: String(words[0]),
            port: port,
            transportProtocol: String(words[2]),
            formats: words[3...].map(String.init)
        )
        if ports.count == 2 {
            guard let count = UInt16(digits: ports[1]), count > 0 else { throw fail(.badValue, "port count of m=") }
            section.portCount = count
        }
        description.media.append(section)
        rank = -1
    }

    private func requireTimes() throws(WebRTCError) {
        guard !description.times.isEmpty else { throw fail(.missingLine, "v=, o=, s= and t= are required") }
    }

    private func origin(_ value: String) throws(WebRTCError) -> SessionOrigin {
        let words = value.words.map(String.init)
        guard words.count == 6, words.allSatisfy({ !$0.isEmpty }), words[1].isDigits, words[2].isDigits else {
            throw fail(.badValue, "o= <username> <id> <version> <nettype> <addrtype> <address>")
        }
        return SessionOrigin(
            username: words[0],
            sessionID: words[1],
            sessionVersion: words[2],
            networkType: words[3],
            addressType: words[4],
            address: words[5]
        )
    }

    // IN IP4 address[/ttl[/count]], IN IP6 address[/count]
    private func connection(_ value: String) throws(WebRTCError) -> ConnectionData {
        let words = value.words.map(String.init)
        guard words.count == 3, words.allSatisfy({ !$0.isEmpty }) else {
            throw fail(.badValue, "c= <nettype> <addrtype> <address>")
        }
        let numbers = words[2].split(separator: "/", omittingEmptySubsequences: false)
        let limit = words[1] == "IP4" ? 3 : words[1] == "IP6" ? 2 : Int.max
        guard numbers.count <= limit, limit == .max || numbers.dropFirst().allSatisfy({ UInt32(digits: $0) != nil })
        else {
            throw fail(.badValue, "ttl or count of c=")
        }
        return ConnectionData(networkType: words[0], addressType: words[1], address: words[2])
    }

    private func bandwidth(_ value: String) throws(WebRTCError) -> Bandwidth {
        let parts = value.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].isToken, parts[1].isDigits else { throw fail(.badValue, "b= <type>:<digits>") }
        return Bandwidth(type: String(parts[0]), value: String(parts[1]))
    }

    private func key(_ value: String) throws(WebRTCError) -> String {
        let parts = value.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard value == "prompt" || (parts.count == 2 && parts.allSatisfy({ !$0.isEmpty })) else {
            throw fail(.badValue, "k= prompt or <method>:<key>")
        }
        return value
    }

    private func attribute(_ value: String) throws(WebRTCError) -> SessionAttribute {
        let parts = value.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0].isToken else { throw fail(.badValue, "a= <name>[:<value>]") }
        return SessionAttribute(String(parts[0]), parts.count == 2 ? String(parts[1]) : nil)
    }

    private func fail(_ code: WebRTCError.Code, _ reason: String) -> WebRTCError {
        WebRTCError(code, reason, line: line > 0 ? line : nil)
    }
}

extension StringProtocol {
    /// Parted by single spaces; two spaces leave an empty word.
    fileprivate var words: [SubSequence] { split(separator: " ", omittingEmptySubsequences: false) }

    // RFC 8866 §9 token: visible ASCII without "(),/:;<=>?@[\] and the double quote.
    fileprivate var isToken: Bool {
        !utf8.isEmpty && utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !notInToken.contains($0) }
    }

    // RFC 8866 §9 typed-time: digits, then at most one of d h m s.
    fileprivate var isTypedTime: Bool {
        last.map({ "dhms".contains($0) }) == true ? dropLast().isDigits : isDigits
    }
}

private let notInToken = Array(#""(),/:;<=>?@[\]"#.utf8)
