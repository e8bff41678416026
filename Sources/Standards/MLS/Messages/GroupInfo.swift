/// A group's state as one member signed it (RFC 9420 §12.4.3): what joining starts from.
public struct GroupInfo: Sendable, WireEncodable, WireDecodable {
    public let context: GroupContext
    public let extensions: Extensions
    let confirmationTag: [UInt8]
    public let signer: LeafIndex
    private let signature: [UInt8]
    private let encoded: [UInt8]
    private let signedCount: Int

    package init(from reader: inout WireReader) throws(MLSError) {
        let start = reader.position
        context = try GroupContext(from: &reader)
        extensions = try Extensions(from: &reader)
        confirmationTag = try reader.vector()
        signer = try LeafIndex(from: &reader)
        signedCount = reader.position - start
        signature = try reader.vector()
        encoded = reader.slice(from: start)
    }

    init(
        _ context: GroupContext,
        _ extensions: Extensions,
        confirmationTag: [UInt8],
        signer: LeafIndex,
        signedBy key: SignaturePrivateKey,
        _ suite: Suite
    ) throws(MLSError) {
        self.context = context
        self.extensions = extensions
        self.confirmationTag = confirmationTag
        self.signer = signer
        var writer = WireWriter(capacity: 1024)
        writer.write(context)
        writer.write(extensions)
        writer.vector(confirmationTag)
        writer.write(signer)
        signedCount = writer.bytes.count
        signature = try suite.sign(key, "GroupInfoTBS", writer.bytes)
        writer.vector(signature)
        encoded = writer.bytes
    }

    package func encode(to writer: inout WireWriter) { writer.write(encoded) }

    package func hasValidSignature(by key: SignaturePublicKey, _ suite: Suite) -> Bool {
        suite.isValid(signature, by: key, "GroupInfoTBS", Array(encoded[..<signedCount]))
    }

    package func hasValidConfirmationTag(_ key: Secret, _ suite: Suite) -> Bool {
        constantTimeEqual(confirmationTag, suite.hash.hmac(key: key, context.confirmedTranscriptHash))
    }
}
