import Encoding

/// A version such as `1.0`. Components beyond what an `Int` holds are read as the largest one.
public struct ProtocolVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var major: Int
    public var minor: Int

    public init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// - Returns: nil unless `text` is digits, a point, digits.
    public init?(_ text: some StringProtocol) {
        guard let version = Array(text.utf8).withUnsafeBytes(ProtocolVersion.init(utf8:)) else { return nil }
        self = version
    }

    init?(utf8 text: UnsafeRawBufferPointer) {
        var parts = (0, 0)
        var digits = (0, 0)
        var inMinor = false
        for byte in text {
            if byte == UInt8(ascii: "."), !inMinor {
                inMinor = true
                continue
            }
            guard byte &- 0x30 < 10 else { return nil }
            let digit = Int(byte - 0x30)
            if inMinor {
                parts.1 = ProtocolVersion.append(digit, to: parts.1)
                digits.1 += 1
            } else {
                parts.0 = ProtocolVersion.append(digit, to: parts.0)
                digits.0 += 1
            }
        }
        guard digits.0 > 0, digits.1 > 0 else { return nil }
        self.init(parts.0, parts.1)
    }

    private static func append(_ digit: Int, to value: Int) -> Int {
        value > (Int.max - 9) / 10 ? Int.max : value * 10 + digit
    }

    public var description: String { "\(major).\(minor)" }

    public static func < (a: ProtocolVersion, b: ProtocolVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
}

/// A registered profile or extension with its version, such as `interactive-media/1.0` (DSIP §11.1).
public struct ProfileID: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let string: String

    /// - Returns: nil unless `text` matches `^[a-z][a-z0-9-]*/\d+\.\d+$`.
    public init?(_ text: some StringProtocol) {
        let text = String(text)
        guard Array(text.utf8).withUnsafeBytes(Pattern.profileID) else { return nil }
        self.string = text
    }

    init(checked text: String) { self.string = text }

    /// - Precondition: the literal is well formed.
    public init(stringLiteral text: String) {
        guard let id = ProfileID(text) else { preconditionFailure("not a profile identifier: \(text)") }
        self = id
    }

    public var name: Substring { string.prefix { $0 != "/" } }
    public var version: ProtocolVersion { ProtocolVersion(string.dropFirst(name.count + 1)) ?? ProtocolVersion(0, 0) }
    public var description: String { string }
}

extension ProfileID {
    public static let interactiveMedia: ProfileID = "interactive-media/1.0"
    public static let verifiedBroadcast: ProfileID = "verified-broadcast/1.0"
    /// DSIP §10.4.
    public static let sealedBody: ProfileID = "sealed-body/1.0"
    /// In a `hello`: the connection takes the proposal's messages, too; ours, never critical.
    public static let proposalDialect: ProfileID = "proposal-dialect/0.3"
    /// Reports of the relay on what became of an invite; ours, never critical.
    public static let deliveryReport: ProfileID = "delivery-report/1.0"
    /// What the devices of one identity tell each other; ours, never critical.
    public static let ownDevices: ProfileID = "own-devices/1.0"
}

/// The `dsip` member of every payload (DSIP §11.1).
public struct VersionBlock: Hashable, Sendable {
    public var core: ProtocolVersion
    public var minCore: ProtocolVersion
    public var profiles: [ProfileID]
    public var extensions: [ProfileID]
    public var critical: [ProfileID]

    public init(
        core: ProtocolVersion = ProtocolVersion(1, 0),
        minCore: ProtocolVersion = ProtocolVersion(1, 0),
        profiles: [ProfileID] = [],
        extensions: [ProfileID] = [],
        critical: [ProfileID] = []
    ) {
        self.core = core
        self.minCore = minCore
        self.profiles = profiles
        self.extensions = extensions
        self.critical = critical
    }

    /// Core alone: `hello`, transport errors, records.
    public static let core = VersionBlock()
    /// Calls between people.
    public static let interactive = VersionBlock(profiles: [.interactiveMedia])

    /// What nearly everybody sends, letter by letter.
    private static let usualBlocks: [(text: [UInt8], block: VersionBlock)] = [VersionBlock.interactive, .core].map {
        (text: $0.json.utf8, block: $0)
    }

    /// The block that `view` spells letter by letter as nearly everybody does; nil for any other spelling.
    static func usual(_ view: JSONView) -> VersionBlock? {
        for (text, block) in usualBlocks where view.isWritten(text) { return block }
        return nil
    }

    init(_ view: JSONView) throws(ShapeFault) {
        if let block = VersionBlock.usual(view) {
            self = block
            return
        }
        var fields = try Fields(view, "dsip")
        self.core = try fields.required("core").version("core")
        self.minCore = try fields.required("min_core").version("min_core")
        self.profiles = try fields.required("profiles").profileIDs("profiles")
        self.extensions = try fields.required("extensions").profileIDs("extensions")
        self.critical = try fields.required("critical").profileIDs("critical")
        try fields.finish()
    }

    var json: JSONValue {
        func list(_ ids: [ProfileID]) -> JSONValue { .array(ids.map { .string($0.string) }) }
        return [
            "core": .string(core.description), "min_core": .string(minCore.description), "profiles": list(profiles),
            "extensions": list(extensions), "critical": list(critical),
        ]
    }
}
