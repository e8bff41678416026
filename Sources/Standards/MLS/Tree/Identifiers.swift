/// A code point of 16 bits, on the wire as it is (RFC 9420 §17).
package protocol WireCode: RawRepresentable<UInt16>, WireEncodable, WireDecodable {
    init(rawValue: UInt16)
}

extension WireCode {
    package init(from reader: inout WireReader) throws(MLSError) { self.init(rawValue: try reader.uint16()) }
    package func encode(to writer: inout WireWriter) { writer.write(rawValue) }
}

/// `mls10` is the one version there is (RFC 9420 §6).
public struct ProtocolVersion: RawRepresentable, Hashable, Sendable, WireCode {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let mls10 = ProtocolVersion(rawValue: 1)
}

/// The kind of an extension (RFC 9420 §17.3).
public struct ExtensionType: RawRepresentable, Hashable, Sendable, WireCode {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let applicationID = ExtensionType(rawValue: 1)
    public static let ratchetTree = ExtensionType(rawValue: 2)
    public static let requiredCapabilities = ExtensionType(rawValue: 3)
    public static let externalPub = ExtensionType(rawValue: 4)
    public static let externalSenders = ExtensionType(rawValue: 5)

    /// Every client has these; they are never listed in capabilities (RFC 9420 §7.2).
    var isDefault: Bool { (1...5).contains(rawValue) }
}

/// The kind of a proposal (RFC 9420 §17.4).
public struct ProposalType: RawRepresentable, Hashable, Sendable, WireCode {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let add = ProposalType(rawValue: 1)
    public static let update = ProposalType(rawValue: 2)
    public static let remove = ProposalType(rawValue: 3)
    public static let preSharedKey = ProposalType(rawValue: 4)
    public static let reInit = ProposalType(rawValue: 5)
    public static let externalInit = ProposalType(rawValue: 6)
    public static let groupContextExtensions = ProposalType(rawValue: 7)

    var isDefault: Bool { (1...7).contains(rawValue) }
}

/// The kind of a credential (RFC 9420 §17.5).
public struct CredentialType: RawRepresentable, Hashable, Sendable, WireCode {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let basic = CredentialType(rawValue: 1)
    public static let x509 = CredentialType(rawValue: 2)
}

/// Values that mean nothing and keep implementations tolerant of what they do not know (RFC 9420 §13.5).
public enum GREASE {
    public static let values: [UInt16] = (0..<15).map { UInt16($0) << 12 | 0x0a0a | UInt16($0) << 4 }

    static func contains(_ value: UInt16) -> Bool {
        value & 0x0f0f == 0x0a0a && value >> 12 == (value >> 4) & 0xf && value < 0xf000
    }
}
