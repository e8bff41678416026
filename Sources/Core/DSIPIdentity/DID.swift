/// A decentralized identifier: `did:` method `:` method-specific identifier (DID Core §3.1), without path, query or fragment.
///
/// The grammar is the one of the DSIP schemas: `^did:[a-z0-9]+:[A-Za-z0-9.%_:-]+$`, at most 2048 bytes: the long form of did:ion carries its
/// first document. Equality is byte equality.
public struct DID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public static let maximumLength = 2048

    public let string: String

    public init?(_ text: some StringProtocol) {
        var string = String(text)
        guard string.withUTF8({ DID.isValid(UnsafeRawBufferPointer($0)) }) else { return nil }
        self.string = string
    }

    /// The same from UTF-8 in memory.
    public init?(utf8 text: UnsafeRawBufferPointer) {
        guard DID.isValid(text) else { return nil }
        self.string = String(decoding: text, as: UTF8.self)
    }

    private static func isValid(_ text: UnsafeRawBufferPointer) -> Bool {
        let count = text.count
        guard count > 6, count <= maximumLength, text[0] == 0x64, text[1] == 0x69, text[2] == 0x64, text[3] == 0x3a
        else {
            return false
        }
        var i = 4
        while i < count, text[i] != 0x3a {
            guard text[i] &- 0x61 < 26 || text[i] &- 0x30 < 10 else { return false }
            i += 1
        }
        guard i > 4, i + 1 < count else { return false }
        i += 1
        while i < count {
            let byte = text[i]
            switch byte {
            case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2e, 0x25, 0x5f, 0x3a, 0x2d: i += 1
            default: return false
            }
        }
        return true
    }

    /// The DID method, such as `key` or `web`.
    public var method: Substring { string[string.utf8.index(string.startIndex, offsetBy: 4)..<colon] }
    /// What follows the method.
    public var identifier: Substring { string[string.utf8.index(after: colon)...] }

    /// The one after the method; the grammar has it.
    private var colon: String.Index {
        string.utf8.dropFirst(4).firstIndex(of: 0x3a) ?? string.endIndex
    }

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
        !text.isEmpty && text.utf8.count <= 512
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }
    }

    public var description: String { "\(did)#\(fragment)" }
}
