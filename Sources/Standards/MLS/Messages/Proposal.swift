/// A change to the group (RFC 9420 §12.1).
public enum Proposal: Sendable, WireEncodable, WireDecodable {
    case add(Unverified<KeyPackage>)
    case update(Unverified<LeafNode>)
    case remove(LeafIndex)
    case preSharedKey(PreSharedKeyID)
    case reInit(ReInit)
    case externalInit(kemOutput: [UInt8])
    case groupContextExtensions(Extensions)
    /// A type the application defined; its contents are one `opaque<V>`.
    case custom(type: ProposalType, contents: [UInt8])

    public var type: ProposalType {
        switch self {
        case .add: .add
        case .update: .update
        case .remove: .remove
        case .preSharedKey: .preSharedKey
        case .reInit: .reInit
        case .externalInit: .externalInit
        case .groupContextExtensions: .groupContextExtensions
        case .custom(let type, _): type
        }
    }

    // RFC 9420 §12.4: with one of these, a commit must have a path. Custom types are taken to need one.
    var requiresPath: Bool {
        switch self {
        case .add, .preSharedKey, .reInit: false
        case .update, .remove, .externalInit, .groupContextExtensions, .custom: true
        }
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        switch try ProposalType(from: &reader) {
        case .add: self = .add(try Unverified(from: &reader))
        case .update: self = .update(try Unverified(from: &reader))
        case .remove: self = .remove(try LeafIndex(from: &reader))
        case .preSharedKey: self = .preSharedKey(try PreSharedKeyID(from: &reader))
        case .reInit: self = .reInit(try ReInit(from: &reader))
        case .externalInit: self = .externalInit(kemOutput: try reader.vector())
        case .groupContextExtensions: self = .groupContextExtensions(try Extensions(from: &reader))
        case let type: self = .custom(type: type, contents: try reader.vector())
        }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(type)
        switch self {
        case .add(let keyPackage): writer.write(keyPackage)
        case .update(let leafNode): writer.write(leafNode)
        case .remove(let index): writer.write(index)
        case .preSharedKey(let id): writer.write(id)
        case .reInit(let reInit): writer.write(reInit)
        case .externalInit(let kemOutput): writer.vector(kemOutput)
        case .groupContextExtensions(let extensions): writer.write(extensions)
        case .custom(_, let contents): writer.vector(contents)
        }
    }
}

/// What a group is to be re-initialised as (RFC 9420 §12.1.5).
public struct ReInit: Hashable, Sendable, WireEncodable, WireDecodable {
    public let groupID: [UInt8]
    public let version: ProtocolVersion
    public let cipherSuite: CipherSuite
    public let extensions: Extensions

    public init(groupID: [UInt8], cipherSuite: CipherSuite, extensions: Extensions = []) {
        self.groupID = groupID
        self.version = .mls10
        self.cipherSuite = cipherSuite
        self.extensions = extensions
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        groupID = try reader.vector()
        version = try ProtocolVersion(from: &reader)
        cipherSuite = try CipherSuite(from: &reader)
        extensions = try Extensions(from: &reader)
    }

    package func encode(to writer: inout WireWriter) {
        writer.vector(groupID)
        writer.write(version)
        writer.write(cipherSuite)
        writer.write(extensions)
    }
}

/// The name of a pre-shared key, with the nonce of one use (RFC 9420 §8.4).
public struct PreSharedKeyID: Hashable, Sendable, WireEncodable, WireDecodable {
    public enum Usage: UInt8, Hashable, Sendable { case application = 1, reInit, branch }

    public enum Key: Hashable, Sendable {
        /// One the application provides.
        case external([UInt8])
        /// The resumption key of an epoch of a group.
        case resumption(Usage, groupID: [UInt8], epoch: UInt64)
    }

    public let key: Key
    public let nonce: [UInt8]

    package init(_ key: Key, nonce: [UInt8]) {
        self.key = key
        self.nonce = nonce
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        switch try reader.uint8() {
        case 1: key = .external(try reader.vector())
        case 2:
            guard let usage = Usage(rawValue: try reader.uint8()) else {
                throw MLSError(.malformed, "a resumption key has an unknown usage")
            }
            key = .resumption(usage, groupID: try reader.vector(), epoch: try reader.uint64())
        default: throw MLSError(.malformed, "a pre-shared key is of an unknown type")
        }
        nonce = try reader.vector()
    }

    package func encode(to writer: inout WireWriter) {
        switch key {
        case .external(let id):
            writer.write(UInt8(1))
            writer.vector(id)
        case .resumption(let usage, let groupID, let epoch):
            writer.write(UInt8(2))
            writer.write(usage.rawValue)
            writer.vector(groupID)
            writer.write(epoch)
        }
        writer.vector(nonce)
    }
}
