/// A candidate attribute: an address at which one side may be reached. RFC 8839 §5.1
///
///     candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type> [raddr <a> rport <p>] [<name> <value>]*
///
/// The address stays text: it may be IPv4, IPv6 or a name such as the `.local` names browsers put in place of a host address.
public struct ICECandidate: Hashable, Sendable {
    /// 1 to 32 characters.
    public var foundation: String
    /// 1 to 256; 1 is RTP, or everything under rtcp-mux.
    public var component: UInt16
    /// As written: `udp`, `UDP`, `tcp`, …
    public var transport: String
    public var priority: UInt32
    public var address: String
    public var port: UInt16
    public var type: Kind
    public var relatedAddress: String?
    public var relatedPort: UInt16?
    /// What follows, in pairs, in order: `tcptype`, `generation`, `ufrag`, …
    public var extensions: [SessionAttribute] = []

    public enum Kind: String, Hashable, Sendable {
        case host, srflx, prflx, relay
    }

    /// From the text after `a=`, prefix `candidate:` included; `nil` if it breaks the grammar or is longer than 512 bytes.
    public init?(_ text: String) {
        guard text.utf8.count <= 512, text.hasPrefix("candidate:") else { return nil }
        let words = text.dropFirst("candidate:".count).split(separator: " ", omittingEmptySubsequences: false).map(
            String.init
        )
        guard words.count >= 8, words.count.isMultiple(of: 2), words.allSatisfy({ !$0.isEmpty }),
            words[0].utf8.count <= 32,
            let component = UInt16(digits: words[1]), (1...256).contains(component),
            let priority = UInt32(digits: words[3]), priority > 0,
            let port = UInt16(digits: words[5]),
            words[6] == "typ", let type = Kind(rawValue: words[7])
        else { return nil }
        foundation = words[0]
        self.component = component
        transport = words[2]
        self.priority = priority
        address = words[4]
        self.port = port
        self.type = type
        for index in stride(from: 8, to: words.count, by: 2) {
            switch words[index] {
            case "raddr" where relatedAddress == nil: relatedAddress = words[index + 1]
            case "rport" where relatedPort == nil:
                guard let port = UInt16(digits: words[index + 1]) else { return nil }
                relatedPort = port
            default: extensions.append(SessionAttribute(words[index], words[index + 1]))
            }
        }
    }
}
