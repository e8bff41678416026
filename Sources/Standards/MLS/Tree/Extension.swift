/// One extension (RFC 9420 §13.4): a type, and data that the type explains.
public struct Extension: Hashable, Sendable, WireEncodable, WireDecodable {
    public let type: ExtensionType
    public let data: [UInt8]

    public init(_ type: ExtensionType, _ data: [UInt8]) {
        self.type = type
        self.data = data
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        type = try ExtensionType(from: &reader)
        data = try reader.vector()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(type)
        writer.vector(data)
    }
}

/// Extensions in their order.
public struct Extensions: Hashable, Sendable, ExpressibleByArrayLiteral, WireEncodable, WireDecodable {
    public private(set) var all: [Extension]

    public init(_ all: [Extension] = []) { self.all = all }
    public init(arrayLiteral elements: Extension...) { all = elements }

    /// The data of the extension of `type`, when there is one. Setting replaces or removes it.
    public subscript(_ type: ExtensionType) -> [UInt8]? {
        get { all.first { $0.type == type }?.data }
        set {
            let at = all.firstIndex { $0.type == type }
            switch (newValue, at) {
            case (let data?, let at?): all[at] = Extension(type, data)
            case (let data?, nil): all.append(Extension(type, data))
            case (nil, let at?): all.remove(at: at)
            case (nil, nil): break
            }
        }
    }

    public var types: [ExtensionType] { all.map(\.type) }

    var hasDuplicates: Bool { all.count > 1 && Set(types).count != all.count }

    package init(from reader: inout WireReader) throws(MLSError) { all = try reader.list(of: Extension.self) }
    package func encode(to writer: inout WireWriter) { writer.list(all) }

    // MARK: The extensions of RFC 9420

    /// RFC 9420 §5.3.3.
    public var applicationID: [UInt8]? {
        guard let data = self[.applicationID] else { return nil }
        var reader = WireReader(data)
        return try? reader.vector()
    }

    /// RFC 9420 §11.1.
    func requiredCapabilities() throws(MLSError) -> RequiredCapabilities? {
        guard let data = self[.requiredCapabilities] else { return nil }
        return try RequiredCapabilities(wire: data)
    }

    /// RFC 9420 §12.1.8.1.
    func externalSenders() throws(MLSError) -> [ExternalSender]? {
        guard let data = self[.externalSenders] else { return nil }
        var reader = WireReader(data)
        let senders = try reader.list(of: ExternalSender.self)
        try reader.finish()
        return senders
    }

    /// RFC 9420 §12.4.3.2.
    func externalPub() throws(MLSError) -> HPKEPublicKey? {
        guard let data = self[.externalPub] else { return nil }
        return try HPKEPublicKey(wire: data)
    }
}

extension Extension {
    /// `application_id` of a leaf node.
    public static func applicationID(_ id: [UInt8]) -> Extension {
        var writer = WireWriter()
        writer.vector(id)
        return Extension(.applicationID, writer.bytes)
    }

    /// `required_capabilities` of a group context.
    public static func requiredCapabilities(_ required: RequiredCapabilities) -> Extension {
        Extension(.requiredCapabilities, required.wire)
    }

    /// `external_senders` of a group context.
    public static func externalSenders(_ senders: [ExternalSender]) -> Extension {
        var writer = WireWriter()
        writer.list(senders)
        return Extension(.externalSenders, writer.bytes)
    }
}

/// What every member must understand (RFC 9420 §11.1).
public struct RequiredCapabilities: Hashable, Sendable, WireEncodable, WireDecodable {
    public var extensions: [ExtensionType]
    public var proposals: [ProposalType]
    public var credentials: [CredentialType]

    public init(
        extensions: [ExtensionType] = [],
        proposals: [ProposalType] = [],
        credentials: [CredentialType] = []
    ) {
        self.extensions = extensions
        self.proposals = proposals
        self.credentials = credentials
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        extensions = try reader.list(of: ExtensionType.self)
        proposals = try reader.list(of: ProposalType.self)
        credentials = try reader.list(of: CredentialType.self)
    }

    package func encode(to writer: inout WireWriter) {
        writer.list(extensions)
        writer.list(proposals)
        writer.list(credentials)
    }
}

/// One who is no member and may propose (RFC 9420 §12.1.8.1).
public struct ExternalSender: Hashable, Sendable, WireEncodable, WireDecodable {
    public let signatureKey: SignaturePublicKey
    public let credential: Credential

    public init(signatureKey: SignaturePublicKey, credential: Credential) {
        self.signatureKey = signatureKey
        self.credential = credential
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        signatureKey = try SignaturePublicKey(from: &reader)
        credential = try Credential(from: &reader)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(signatureKey)
        writer.write(credential)
    }
}
