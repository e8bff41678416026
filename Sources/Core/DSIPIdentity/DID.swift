/// A decentralized identifier: `did:` method `:` method-specific identifier (DID Core §3.1), without path, query or fragment.
///
/// The grammar is the one of the DSIP schemas: `^did:[a-z0-9]+:[A-Za-z0-9.%_:-]+$`, at most 512 bytes. Equality is byte equality.
public struct DID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let maximumLength = 512

    public let string: String

    public init?(_ text: some StringProtocol) {
        guard DID.isValid(text) else { return nil }
        self.string = String(text)
    }

    private static func isValid(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= maximumLength, text.utf8.starts(with: "did:".utf8) else { return false }
        var methodLength = 0
        var bodyLength = 0
        var inMethod = true
        for byte in text.utf8.dropFirst(4) {
            if inMethod {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): methodLength += 1
                case UInt8(ascii: ":") where methodLength > 0: inMethod = false
                default: return false
                }
            } else {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "%"), UInt8(ascii: "_"),
                    UInt8(ascii: ":"), UInt8(ascii: "-"):
                    bodyLength += 1
                default: return false
                }
            }
        }
        return bodyLength > 0
    }

    /// The DID method, such as `key` or `web`.
    public var method: Substring { string.dropFirst(4).prefix { $0 != ":" } }
    /// What follows the method.
    public var identifier: Substring { string.dropFirst(4).drop { $0 != ":" }.dropFirst() }

    public var description: String { string }

    public static func < (a: DID, b: DID) -> Bool { a.string < b.string }
}

/// A DID URL that names a verification method: a DID and a fragment (DSIP §10.2).
public struct DIDURL: Hashable, Sendable, CustomStringConvertible {
    public let did: DID
    /// Without the `#`; never empty.
    public let fragment: String

    public init(did: DID, fragment: String) {
        self.did = did
        self.fragment = fragment
    }

    /// Reads `did:…#fragment`.
    public init?(_ text: some StringProtocol) {
        guard let hash = text.firstIndex(of: "#"), let did = DID(text[..<hash]) else { return nil }
        let fragment = text[text.index(after: hash)...]
        guard DIDURL.isFragment(fragment) else { return nil }
        self.init(did: did, fragment: String(fragment))
    }

    /// Reads a reference inside the document of `base`, where `#key-1` stands for `base#key-1` (proposal 0.3 §4).
    public init?(_ text: some StringProtocol, relativeTo base: DID) {
        if text.first == "#" {
            guard DIDURL.isFragment(text.dropFirst()) else { return nil }
            self.init(did: base, fragment: String(text.dropFirst()))
        } else {
            self.init(text)
        }
    }

    private static func isFragment(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.count <= 512 && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
    }

    public var description: String { "\(did)#\(fragment)" }
}
