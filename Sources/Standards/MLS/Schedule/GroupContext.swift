/// What all members of an epoch agree on (RFC 9420 §8.1).
public struct GroupContext: Hashable, Sendable, WireEncodable, WireDecodable {
    public let version: ProtocolVersion
    public let cipherSuite: CipherSuite
    public let groupID: [UInt8]
    public let epoch: UInt64
    public let treeHash: [UInt8]
    public let confirmedTranscriptHash: [UInt8]
    public let extensions: Extensions
    /// Its encoding, which every signature and derivation takes in.
    let encoded: [UInt8]

    package init(
        cipherSuite: CipherSuite,
        groupID: [UInt8],
        epoch: UInt64,
        treeHash: [UInt8],
        confirmedTranscriptHash: [UInt8],
        extensions: Extensions
    ) {
        self.version = .mls10
        self.cipherSuite = cipherSuite
        self.groupID = groupID
        self.epoch = epoch
        self.treeHash = treeHash
        self.confirmedTranscriptHash = confirmedTranscriptHash
        self.extensions = extensions
        var writer = WireWriter(capacity: groupID.count + treeHash.count + confirmedTranscriptHash.count + 32)
        writer.write(version)
        writer.write(cipherSuite)
        writer.vector(groupID)
        writer.write(epoch)
        writer.vector(treeHash)
        writer.vector(confirmedTranscriptHash)
        writer.write(extensions)
        encoded = writer.bytes
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        let start = reader.position
        version = try ProtocolVersion(from: &reader)
        cipherSuite = try CipherSuite(from: &reader)
        groupID = try reader.vector()
        epoch = try reader.uint64()
        treeHash = try reader.vector()
        confirmedTranscriptHash = try reader.vector()
        extensions = try Extensions(from: &reader)
        encoded = reader.slice(from: start)
    }

    package func encode(to writer: inout WireWriter) { writer.write(encoded) }

    func with(confirmedTranscriptHash: [UInt8]) -> GroupContext {
        GroupContext(
            cipherSuite: cipherSuite,
            groupID: groupID,
            epoch: epoch,
            treeHash: treeHash,
            confirmedTranscriptHash: confirmedTranscriptHash,
            extensions: extensions
        )
    }
}
