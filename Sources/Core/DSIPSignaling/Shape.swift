import DSIPIdentity
import Encoding

/// A member that is not as its schema says; `detail` names the member, not its value.
struct ShapeFault: Error {
    let detail: String

    init(_ detail: String) { self.detail = detail }
}

/// The members of an object whose schema admits no others: each is taken once by name, and `finish` fails when one is left over.
/// Taking them in the order in which they are usually written spares the search.
struct Fields {
    private let view: JSONView
    private var taken = 0
    private var cursor = 0

    init(_ view: JSONView, _ name: StaticString) throws(ShapeFault) {
        guard view.isObject else { throw ShapeFault("\(name) is no object") }
        self.view = view
    }

    mutating func optional(_ name: StaticString) -> JSONView? {
        guard let member = view.member(name, from: &cursor) else { return nil }
        taken += 1
        return member
    }

    mutating func required(_ name: StaticString) throws(ShapeFault) -> JSONView {
        guard let member = optional(name) else { throw ShapeFault("\(name) is missing") }
        return member
    }

    func finish() throws(ShapeFault) {
        guard taken == view.count else { throw ShapeFault("a member that the schema does not have") }
    }

    /// The members that were not taken, for objects that admit any.
    ///
    /// - Parameter names: all that may have been taken.
    func rest(except names: [StaticString]) -> OpenMembers {
        taken < view.count ? OpenMembers(of: view, except: names) : OpenMembers(JSONObject())
    }
}

/// The string grammars of the schemas, over UTF-8.
enum Pattern {
    /// `^[a-z][a-z0-9-]*$`
    static func token(_ text: UnsafeRawBufferPointer) -> Bool { token(text, to: text.count) }

    private static func token(_ text: UnsafeRawBufferPointer, to end: Int) -> Bool {
        end > 0 && isLower(text[0]) && all(text, from: 1, to: end) { isLower($0) || isDigit($0) || $0 == 0x2d }
    }

    /// `^[a-z][a-z0-9_]*$`
    static func policyKey(_ text: UnsafeRawBufferPointer) -> Bool {
        text.count > 0 && isLower(text[0]) && all(text, from: 1) { isLower($0) || isDigit($0) || $0 == 0x5f }
    }

    /// `^[a-z][a-z0-9-]*/\d+\.\d+$`
    static func profileID(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let slash = index(of: 0x2f, in: text), token(text, to: slash) else { return false }
        return ProtocolVersion(utf8: UnsafeRawBufferPointer(rebasing: text[(slash + 1)...])) != nil
    }

    /// `^[a-z0-9]+/\d+\.\d+$`
    static func binding(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let slash = index(of: 0x2f, in: text), slash > 0,
            all(text, from: 0, to: slash, { isLower($0) || isDigit($0) })
        else { return false }
        return ProtocolVersion(utf8: UnsafeRawBufferPointer(rebasing: text[(slash + 1)...])) != nil
    }

    private static let codecKinds: [StaticString] = [
        "codec:audio/", "codec:video/", "codec:text/", "codec:application/",
    ]

    /// `^codec:(audio|video|text|application)/[a-z0-9.+-]+$`
    static func codecID(_ text: UnsafeRawBufferPointer) -> Bool {
        for kind in codecKinds where starts(text, kind) {
            let start = kind.utf8CodeUnitCount
            return text.count > start
                && all(text, from: start) { isLower($0) || isDigit($0) || $0 == 0x2e || $0 == 0x2b || $0 == 0x2d }
        }
        return false
    }

    /// `^transport:[a-z0-9-]+$`
    static func transportID(_ text: UnsafeRawBufferPointer) -> Bool {
        guard starts(text, "transport:"), text.count > 10 else { return false }
        return all(text, from: 10) { isLower($0) || isDigit($0) || $0 == 0x2d }
    }

    /// `^[a-z][a-z0-9-]*:[a-z0-9.-]+$`
    static func about(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let colon = index(of: 0x3a, in: text), token(text, to: colon), colon + 1 < text.count else {
            return false
        }
        return all(text, from: colon + 1) { isLower($0) || isDigit($0) || $0 == 0x2e || $0 == 0x2d }
    }

    /// `^dsip\.[a-z][a-z0-9.-]*$`
    static func grantScope(_ text: UnsafeRawBufferPointer) -> Bool {
        guard starts(text, "dsip."), text.count > 5, isLower(text[5]) else { return false }
        return all(text, from: 5) { isLower($0) || isDigit($0) || $0 == 0x2e || $0 == 0x2d }
    }

    /// `^z[1-9A-HJ-NP-Za-km-z]+$`
    static func base58Multibase(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count > 1, text[0] == 0x7a else { return false }
        return all(text, from: 1) {
            switch $0 {
            case 0x31...0x39, 0x41...0x48, 0x4a...0x4e, 0x50...0x5a, 0x61...0x6b, 0x6d...0x7a: true
            default: false
            }
        }
    }

    /// `^did:[a-z0-9]+:[A-Za-z0-9.%_:-]+#[A-Za-z0-9._-]+$`, of the fragment; the DID is checked by its own type.
    static func fragment(_ text: UnsafeRawBufferPointer) -> Bool {
        guard let hash = index(of: 0x23, in: text), hash + 1 < text.count else { return false }
        return all(text, from: hash + 1) { isAlphanumeric($0) || $0 == 0x2e || $0 == 0x5f || $0 == 0x2d }
    }

    /// `^[A-Za-z0-9_-]+$`
    static func base64URL(_ text: UnsafeRawBufferPointer) -> Bool {
        !text.isEmpty && all(text, from: 0) { isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2d }
    }

    /// `^[0-9A-D*#]{1,32}$`
    static func digits(_ text: UnsafeRawBufferPointer) -> Bool {
        (1...32).contains(text.count)
            && all(text, from: 0) { isDigit($0) || (0x41...0x44).contains($0) || $0 == 0x2a || $0 == 0x23 }
    }

    /// `^tel:\+[1-9][0-9]{1,14}$`
    static func telephoneURI(_ text: UnsafeRawBufferPointer) -> Bool {
        guard starts(text, "tel:+"), (7...20).contains(text.count), text[5] != 0x30 else { return false }
        return all(text, from: 5, isDigit)
    }

    static func starts(_ text: UnsafeRawBufferPointer, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        guard text.count >= count else { return false }
        for i in 0..<count where text[i] != prefix.utf8Start[i] { return false }
        return true
    }

    @inline(__always)
    private static func all(
        _ text: UnsafeRawBufferPointer,
        from start: Int,
        to end: Int? = nil,
        _ admits: (UInt8) -> Bool
    ) -> Bool {
        var i = start
        let end = end ?? text.count
        while i < end {
            if !admits(text[i]) { return false }
            i += 1
        }
        return true
    }

    private static func index(of byte: UInt8, in text: UnsafeRawBufferPointer) -> Int? {
        for i in 0..<text.count where text[i] == byte { return i }
        return nil
    }

    private static func isLower(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 26 }
}
