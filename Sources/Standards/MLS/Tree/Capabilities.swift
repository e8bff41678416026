/// What a client understands (RFC 9420 §7.2). The extensions and proposals of RFC 9420 itself are understood by all and not listed.
public struct Capabilities: Hashable, Sendable, WireEncodable, WireDecodable {
    public var versions: [ProtocolVersion]
    public var cipherSuites: [CipherSuite]
    public var extensions: [ExtensionType]
    public var proposals: [ProposalType]
    public var credentials: [CredentialType]

    public init(
        versions: [ProtocolVersion] = [.mls10],
        cipherSuites: [CipherSuite] = CipherSuite.supported,
        extensions: [ExtensionType] = [],
        proposals: [ProposalType] = [],
        credentials: [CredentialType] = [.basic, .x509]
    ) {
        self.versions = versions
        self.cipherSuites = cipherSuites
        self.extensions = extensions
        self.proposals = proposals
        self.credentials = credentials
    }

    /// The same with a meaningless value of each kind put at random (RFC 9420 §13.5).
    public func greased<Random: RandomNumberGenerator>(using random: inout Random) -> Capabilities {
        func pick() -> UInt16 { GREASE.values.randomElement(using: &random) ?? 0x0a0a }
        var result = self
        func insert<T>(_ value: T, _ list: inout [T]) {
            list.insert(value, at: Int.random(in: 0...list.count, using: &random))
        }
        insert(CipherSuite(rawValue: pick()), &result.cipherSuites)
        insert(ExtensionType(rawValue: pick()), &result.extensions)
        insert(ProposalType(rawValue: pick()), &result.proposals)
        insert(CredentialType(rawValue: pick()), &result.credentials)
        return result
    }

    func understands(_ type: ExtensionType) -> Bool { type.isDefault || extensions.contains(type) }
    func understands(_ type: ProposalType) -> Bool { type.isDefault || proposals.contains(type) }
    func understands(_ type: CredentialType) -> Bool { credentials.contains(type) }

    // RFC 9420 §7.2, §11.1: what is required is there.
    func meets(_ required: RequiredCapabilities) -> Bool {
        required.extensions.allSatisfy(understands) && required.proposals.allSatisfy(understands)
            && required.credentials.allSatisfy(understands)
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        versions = try reader.list(of: ProtocolVersion.self)
        cipherSuites = try reader.list(of: CipherSuite.self)
        extensions = try reader.list(of: ExtensionType.self)
        proposals = try reader.list(of: ProposalType.self)
        credentials = try reader.list(of: CredentialType.self)
    }

    package func encode(to writer: inout WireWriter) {
        writer.list(versions)
        writer.list(cipherSuites)
        writer.list(extensions)
        writer.list(proposals)
        writer.list(credentials)
    }
}
