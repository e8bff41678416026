extension SessionDescription {
    /// The text with CRLF line ends, lines in the order of the grammar. RFC 8866 §9
    ///
    /// What was parsed from such text comes back byte for byte.
    public func serialized() -> String {
        var text = "v=0\r\n"
        func line(_ letter: Character, _ value: String) { text += "\(letter)=\(value)\r\n" }
        line("o", origin.line)
        line("s", name)
        if let information { line("i", information) }
        if let uri { line("u", uri) }
        for email in emails { line("e", email) }
        for phone in phones { line("p", phone) }
        if let connection { line("c", connection.line) }
        for bandwidth in bandwidths { line("b", bandwidth.line) }
        for time in times {
            line("t", "\(time.start) \(time.stop)")
            for interval in time.repeats { line("r", interval) }
        }
        if let timeZones { line("z", timeZones) }
        if let key { line("k", key) }
        for attribute in attributes { line("a", attribute.line) }
        for section in media {
            line("m", section.line)
            if let title = section.title { line("i", title) }
            for connection in section.connections { line("c", connection.line) }
            for bandwidth in section.bandwidths { line("b", bandwidth.line) }
            if let key = section.key { line("k", key) }
            for attribute in section.attributes { line("a", attribute.line) }
        }
        return text
    }
}

extension SessionOrigin {
    fileprivate var line: String {
        "\(username) \(sessionID) \(sessionVersion) \(networkType) \(addressType) \(address)"
    }
}

extension ConnectionData {
    fileprivate var line: String { "\(networkType) \(addressType) \(address)" }
}

extension Bandwidth {
    fileprivate var line: String { "\(type):\(value)" }
}

extension SessionAttribute {
    fileprivate var line: String { value.map { "\(name):\($0)" } ?? name }
}

extension MediaSection {
    fileprivate var line: String {
        let ports = portCount.map { "\(port)/\($0)" } ?? "\(port)"
        return "\(kind) \(ports) \(transportProtocol) \(formats.joined(separator: " "))"
    }
}
