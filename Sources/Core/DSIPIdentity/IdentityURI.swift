import Encoding

/// A `dsip:` link: whom to call, and what helps to get there.
///
///     dsip:did:key:z6Mk…?relay=wss%3A%2F%2Frelay.example%2Fdsip&name=Alice&token=…
///     dsip:alice@example.com
///     dsip:alice.eth
///
/// Everything but the target is a hint: `name` is shown as the link's claim, `relay` has no authority (DSIP §8.1),
/// `token` is a contact token for an introduction (DSIP §19.4).
public struct IdentityURI: Hashable, Sendable, CustomStringConvertible {
    public enum Target: Hashable, Sendable {
        case did(DID)
        case alias(Alias)
    }

    public static let maximumLength = 2048

    public var target: Target
    /// A `wss` URL.
    public var relay: String?
    /// At most 128 bytes of printable text.
    public var name: String?
    /// At most 256 unreserved characters (RFC 3986 §2.3).
    public var token: String?

    public init(_ target: Target, relay: String? = nil, name: String? = nil, token: String? = nil) {
        self.target = target
        self.relay = relay
        self.name = name
        self.token = token
    }

    /// Reads a link. Parameters that are unknown are ignored; a parameter given twice or malformed refuses the link.
    ///
    /// - Throws: `.malformed`, with what is wrong, or `.tooLarge`.
    public init(parsing text: String) throws(IdentityError) {
        guard text.utf8.count <= IdentityURI.maximumLength else {
            throw IdentityError(.tooLarge, "the link is too long")
        }
        guard text.prefix(5).lowercased() == "dsip:" else {
            throw IdentityError(.malformed, "the link does not begin with dsip:")
        }
        let parts = text.dropFirst(5).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let target = IdentityURI.target(parts[0]) else {
            throw IdentityError(.malformed, "the link names neither an identity nor an alias")
        }
        self.init(target)
        guard parts.count == 2 else { return }
        var seen: Set<Substring> = []
        for parameter in parts[1].split(separator: "&", maxSplits: 16) {
            let pair = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard seen.insert(pair[0]).inserted else {
                throw IdentityError(.malformed, "the link gives a parameter twice")
            }
            guard pair.count == 2, let value = PercentEncoding.decode(pair[1]) else {
                throw IdentityError(.malformed, "the link holds a malformed parameter")
            }
            switch pair[0] {
            case "relay":
                guard RelayURL.isValid(value) else {
                    throw IdentityError(.malformed, "the link's relay is not a wss URL")
                }
                relay = value
            case "name":
                guard DisplayText.isValid(value) else {
                    throw IdentityError(.malformed, "the link's name is not printable")
                }
                name = value
            case "token":
                guard (1...256).contains(value.utf8.count), value.utf8.allSatisfy(PercentEncoding.isUnreserved) else {
                    throw IdentityError(.malformed, "the link's token is malformed")
                }
                token = value
            default: continue
            }
        }
    }

    /// Reads what a person typed or pasted: a link, a bare DID or an alias, with space around it.
    public init(entered text: String) throws(IdentityError) {
        let text = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        if text.prefix(5).lowercased() == "dsip:" {
            try self.init(parsing: text)
        } else if let target = IdentityURI.target(text[...]) {
            self.init(target)
        } else {
            throw IdentityError(
                .malformed,
                "this is neither a dsip: link, nor an identity (did:…), nor a name like alice@example.com"
            )
        }
    }

    private static func target(_ text: Substring) -> Target? {
        if text.hasPrefix("did:") { return DID(text).map(Target.did) }
        return (Alias(text) ?? Alias(ledger: text)).map(Target.alias)
    }

    public var description: String {
        let target =
            switch target {
            case .did(let did): did.string
            case .alias(let alias): alias.description
            }
        let parameters = [("relay", relay), ("name", name), ("token", token)].compactMap { name, value in
            value.map { "\(name)=\(PercentEncoding.encode($0))" }
        }
        return "dsip:\(target)" + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
    }
}

/// Text that strangers hand us to be shown.
public enum DisplayText {
    /// Whether `text` is 1 to `limit` bytes without controls, line breaks, or characters that turn the direction of the
    /// text around (with which a name can be made to read as another).
    public static func isValid(_ text: String, limit: Int = 128) -> Bool {
        guard (1...limit).contains(text.utf8.count), !text.allSatisfy(\.isWhitespace) else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
                // Emoji are joined by U+200D, scripts by U+200C.
                scalar.value == 0x200d || scalar.value == 0x200c
            default: true
            }
        }
    }
}
