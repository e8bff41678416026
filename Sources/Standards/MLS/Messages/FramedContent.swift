/// Who framed a content (RFC 9420 §6).
public enum Sender: Hashable, Sendable, WireEncodable, WireDecodable {
    case member(LeafIndex)
    /// An entry of the group's `external_senders`.
    case external(UInt32)
    case newMemberProposal
    case newMemberCommit

    package init(from reader: inout WireReader) throws(MLSError) {
        switch try reader.uint8() {
        case 1: self = .member(try LeafIndex(from: &reader))
        case 2: self = .external(try reader.uint32())
        case 3: self = .newMemberProposal
        case 4: self = .newMemberCommit
        default: throw MLSError(.malformed, "a sender is of an unknown type")
        }
    }

    package func encode(to writer: inout WireWriter) {
        switch self {
        case .member(let index):
            writer.write(UInt8(1))
            writer.write(index)
        case .external(let index):
            writer.write(UInt8(2))
            writer.write(index)
        case .newMemberProposal: writer.write(UInt8(3))
        case .newMemberCommit: writer.write(UInt8(4))
        }
    }
}

package enum ContentType: UInt8, Sendable { case application = 1, proposal, commit }

package enum WireFormat: UInt16, Sendable { case publicMessage = 1, privateMessage, welcome, groupInfo, keyPackage }

/// What a message says and in which group and epoch (RFC 9420 §6), with the bytes that are signed and hashed.
package struct FramedContent: Sendable {
    package enum Body: Sendable {
        case application([UInt8])
        case proposal(Proposal)
        case commit(Commit)

        var type: ContentType {
            switch self {
            case .application: .application
            case .proposal: .proposal
            case .commit: .commit
            }
        }

        init(_ type: ContentType, from reader: inout WireReader) throws(MLSError) {
            switch type {
            case .application: self = .application(try reader.vector())
            case .proposal: self = .proposal(try Proposal(from: &reader))
            case .commit: self = .commit(try Commit(from: &reader))
            }
        }

        func encode(to writer: inout WireWriter) {
            switch self {
            case .application(let data): writer.vector(data)
            case .proposal(let proposal): writer.write(proposal)
            case .commit(let commit): writer.write(commit)
            }
        }
    }

    package let groupID: [UInt8]
    package let epoch: UInt64
    package let sender: Sender
    package let authenticatedData: [UInt8]
    package let body: Body
    /// As it came, or as it is sent.
    let encoded: [UInt8]
    /// Where in `encoded` the body starts.
    let bodyOffset: Int

    package init(groupID: [UInt8], epoch: UInt64, sender: Sender, authenticatedData: [UInt8], body: Body) {
        self.groupID = groupID
        self.epoch = epoch
        self.sender = sender
        self.authenticatedData = authenticatedData
        self.body = body
        var capacity = 128 + groupID.count + authenticatedData.count
        if case .application(let data) = body { capacity += data.count }
        var writer = WireWriter(capacity: capacity)
        Self.encodeHead(groupID, epoch, sender, authenticatedData, body.type, to: &writer)
        bodyOffset = writer.bytes.count
        body.encode(to: &writer)
        encoded = writer.bytes
    }

    /// The content of a private message, whose head came in the clear.
    init(
        groupID: [UInt8],
        epoch: UInt64,
        sender: Sender,
        authenticatedData: [UInt8],
        _ type: ContentType,
        bodyFrom reader: inout WireReader
    ) throws(MLSError) {
        self.groupID = groupID
        self.epoch = epoch
        self.sender = sender
        self.authenticatedData = authenticatedData
        let start = reader.position
        body = try Body(type, from: &reader)
        var writer = WireWriter(capacity: 64 + groupID.count + authenticatedData.count + reader.position - start)
        Self.encodeHead(groupID, epoch, sender, authenticatedData, type, to: &writer)
        bodyOffset = writer.bytes.count
        reader.bytes.withUnsafeBytes {
            writer.write(UnsafeRawBufferPointer(rebasing: $0[start..<reader.position]))
        }
        encoded = writer.bytes
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        let start = reader.position
        groupID = try reader.vector()
        epoch = try reader.uint64()
        sender = try Sender(from: &reader)
        authenticatedData = try reader.vector()
        guard let type = ContentType(rawValue: try reader.uint8()) else {
            throw MLSError(.malformed, "a content is of an unknown type")
        }
        bodyOffset = reader.position - start
        body = try Body(type, from: &reader)
        encoded = reader.slice(from: start)
    }

    static func encodeHead(
        _ groupID: [UInt8],
        _ epoch: UInt64,
        _ sender: Sender,
        _ authenticatedData: [UInt8],
        _ type: ContentType,
        to writer: inout WireWriter
    ) {
        writer.vector(groupID)
        writer.write(epoch)
        writer.write(sender)
        writer.vector(authenticatedData)
        writer.write(type.rawValue)
    }

    // RFC 9420 §6.1: members and those who join by commit sign the group context too.
    func writeTBS(_ wireFormat: WireFormat, _ context: GroupContext?, to writer: inout WireWriter) {
        Self.writeTBSFormat(wireFormat, to: &writer)
        writer.write(encoded)
        writer.write(signedContext(context))
    }

    /// The four bytes before the content.
    static func writeTBSFormat(_ wireFormat: WireFormat, to writer: inout WireWriter) {
        writer.write(ProtocolVersion.mls10)
        writer.write(wireFormat.rawValue)
    }

    /// Bytes that `writeTBS` writes.
    func tbsByteCount(_ context: GroupContext?) -> Int { 4 + encoded.count + signedContext(context).count }

    private func signedContext(_ context: GroupContext?) -> [UInt8] {
        switch sender {
        case .member, .newMemberCommit: context?.encoded ?? []
        case .external, .newMemberProposal: []
        }
    }
}

/// A content with what proves who said it (RFC 9420 §6.1). Made by verifying, or by signing.
package struct AuthenticatedContent: Sendable, WireDecodable {
    package let wireFormat: WireFormat
    package let content: FramedContent
    package let auth: FramedContentAuthData

    package init(_ wireFormat: WireFormat, _ content: FramedContent, _ auth: FramedContentAuthData) {
        self.wireFormat = wireFormat
        self.content = content
        self.auth = auth
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        guard let format = WireFormat(rawValue: try reader.uint16()) else {
            throw MLSError(.malformed, "a content is of an unknown wire format")
        }
        wireFormat = format
        content = try FramedContent(from: &reader)
        auth = try FramedContentAuthData(content.body.type, from: &reader)
    }

    static func signed(
        _ wireFormat: WireFormat,
        _ content: FramedContent,
        by signer: SignaturePrivateKey,
        _ context: GroupContext?,
        _ suite: Suite
    ) throws(MLSError) -> AuthenticatedContent {
        let signature = try suite.sign(signer, "FramedContentTBS", count: content.tbsByteCount(context)) {
            content.writeTBS(wireFormat, context, to: &$0)
        }
        return AuthenticatedContent(wireFormat, content, FramedContentAuthData(signature: signature))
    }

    func with(confirmationTag: [UInt8]) -> AuthenticatedContent {
        AuthenticatedContent(
            wireFormat,
            content,
            FramedContentAuthData(signature: auth.signature, confirmationTag: confirmationTag)
        )
    }

    package func hasValidSignature(by key: SignaturePublicKey, _ context: GroupContext?, _ suite: Suite) -> Bool {
        suite.isValid(auth.signature, by: key, "FramedContentTBS", count: content.tbsByteCount(context)) {
            content.writeTBS(wireFormat, context, to: &$0)
        }
    }

    // RFC 9420 §5.2
    func proposalReference(_ suite: Suite) -> [UInt8] {
        var writer = WireWriter(capacity: content.encoded.count + auth.signature.count + 8)
        writer.write(wireFormat.rawValue)
        writer.write(content.encoded)
        auth.encode(to: &writer)
        return suite.refHash(Array("MLS 1.0 Proposal Reference".utf8), writer.bytes)
    }

    // RFC 9420 §8.2
    package func confirmedTranscriptHash(after interim: [UInt8], _ suite: Suite) -> [UInt8] {
        var writer = WireWriter(capacity: content.encoded.count + auth.signature.count + interim.count + 8)
        writer.write(interim)
        writer.write(wireFormat.rawValue)
        writer.write(content.encoded)
        writer.vector(auth.signature)
        return suite.hash.hash(writer.bytes)
    }
}

/// The signature of a content and, for a commit, its confirmation.
package struct FramedContentAuthData: Sendable {
    package let signature: [UInt8]
    package let confirmationTag: [UInt8]?

    package init(signature: [UInt8], confirmationTag: [UInt8]? = nil) {
        self.signature = signature
        self.confirmationTag = confirmationTag
    }

    init(_ type: ContentType, from reader: inout WireReader) throws(MLSError) {
        signature = try reader.vector()
        confirmationTag = type == .commit ? try reader.vector() : nil
    }

    func encode(to writer: inout WireWriter) {
        writer.vector(signature)
        if let confirmationTag { writer.vector(confirmationTag) }
    }
}
