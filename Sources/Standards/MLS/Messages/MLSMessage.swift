/// Any message of MLS as it travels (RFC 9420 §6). Decoding verifies nothing; `Group` and its kin do.
public enum MLSMessage: Sendable, WireEncodable, WireDecodable {
    case publicMessage(Unverified<PublicFrame>)
    case privateMessage(Unverified<PrivateFrame>)
    case welcome(Welcome)
    case groupInfo(Unverified<GroupInfo>)
    case keyPackage(Unverified<KeyPackage>)

    /// A `PublicMessage`, opaque to applications.
    public struct PublicFrame: Sendable { package let message: PublicMessage }
    /// A `PrivateMessage`, opaque to applications.
    public struct PrivateFrame: Sendable { package let message: PrivateMessage }

    package init(_ message: PublicMessage) { self = .publicMessage(Unverified(PublicFrame(message: message))) }
    package init(_ message: PrivateMessage) { self = .privateMessage(Unverified(PrivateFrame(message: message))) }

    /// Decodes all of `bytes`.
    ///
    /// - Throws: `malformed`; `unsupported` for another version of MLS; `limit` above `maximumByteCount`.
    public init(decoding bytes: [UInt8], maximumByteCount: Int = 16 << 20) throws(MLSError) {
        guard bytes.count <= maximumByteCount else { throw MLSError(.limit, "a message is too large") }
        try self.init(wire: bytes)
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        guard try ProtocolVersion(from: &reader) == .mls10 else {
            throw MLSError(.unsupported, "a message is of another version of MLS")
        }
        switch WireFormat(rawValue: try reader.uint16()) {
        case .publicMessage: self.init(try PublicMessage(from: &reader))
        case .privateMessage: self.init(try PrivateMessage(from: &reader))
        case .welcome: self = .welcome(try Welcome(from: &reader))
        case .groupInfo: self = .groupInfo(try Unverified(from: &reader))
        case .keyPackage: self = .keyPackage(try Unverified(from: &reader))
        case nil: throw MLSError(.malformed, "a message is of an unknown wire format")
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(ProtocolVersion.mls10)
        switch self {
        case .publicMessage(let frame):
            writer.write(WireFormat.publicMessage.rawValue)
            writer.write(frame.value.message)
        case .privateMessage(let frame):
            writer.write(WireFormat.privateMessage.rawValue)
            writer.write(frame.value.message)
        case .welcome(let welcome):
            writer.write(WireFormat.welcome.rawValue)
            writer.write(welcome)
        case .groupInfo(let info):
            writer.write(WireFormat.groupInfo.rawValue)
            writer.write(info)
        case .keyPackage(let keyPackage):
            writer.write(WireFormat.keyPackage.rawValue)
            writer.write(keyPackage)
        }
    }

    /// The bytes that travel.
    public var encoded: [UInt8] { wire }

    /// The group that the message says it is of: for routing, before anything is verified.
    public var claimedGroupID: [UInt8]? {
        switch self {
        case .publicMessage(let frame): frame.value.message.content.groupID
        case .privateMessage(let frame): frame.value.message.groupID
        case .groupInfo(let info): info.value.context.groupID
        case .welcome, .keyPackage: nil
        }
    }

    /// What a public message says it is: for ordering, before anything is verified; nil for every other message.
    public var claimedHandshake: Handshake? {
        guard case .publicMessage(let frame) = self else { return nil }
        let content = frame.value.message.content
        switch (content.body, content.sender) {
        case (.proposal, _): return .proposal
        case (.commit, .newMemberCommit): return .externalCommit
        case (.commit, _): return .commit
        case (.application, _): return nil
        }
    }

    public enum Handshake: Hashable, Sendable { case proposal, commit, externalCommit }

    /// The group's extensions as a public commit says they are from then on: for routing, before anything is verified; nil for every
    /// other message, and for a commit that leaves them as they are.
    public var claimedExtensions: Extensions? {
        guard case .publicMessage(let frame) = self, case .commit(let commit) = frame.value.message.content.body else {
            return nil
        }
        for case .proposal(.groupContextExtensions(let extensions)) in commit.items { return extensions }
        return nil
    }

    /// The epoch that the message says it is of: for ordering, before anything is verified.
    public var claimedEpoch: UInt64? {
        switch self {
        case .publicMessage(let frame): frame.value.message.content.epoch
        case .privateMessage(let frame): frame.value.message.epoch
        case .groupInfo(let info): info.value.context.epoch
        case .welcome, .keyPackage: nil
        }
    }
}
