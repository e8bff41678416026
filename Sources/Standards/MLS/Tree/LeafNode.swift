/// A member's leaf (RFC 9420 §7.2): immutable, shared by every tree that holds it, with the bytes it was signed as.
public final class LeafNode: Sendable, Hashable, WireEncodable, WireDecodable {
    /// Why a leaf stands where it does.
    public enum Source: Hashable, Sendable {
        case keyPackage(Lifetime)
        case update
        case commit(parentHash: [UInt8])
    }

    public let encryptionKey: HPKEPublicKey
    public let signatureKey: SignaturePublicKey
    public let credential: Credential
    public let capabilities: Capabilities
    public let source: Source
    public let extensions: Extensions
    let signature: [UInt8]
    /// All of it, and how much of that is signed.
    let encoded: [UInt8]
    private let signedCount: Int

    package init(from reader: inout WireReader) throws(MLSError) {
        let start = reader.position
        encryptionKey = try HPKEPublicKey(from: &reader)
        signatureKey = try SignaturePublicKey(from: &reader)
        credential = try Credential(from: &reader)
        capabilities = try Capabilities(from: &reader)
        switch try reader.uint8() {
        case 1: source = .keyPackage(try Lifetime(from: &reader))
        case 2: source = .update
        case 3: source = .commit(parentHash: try reader.vector())
        default: throw MLSError(.malformed, "a leaf node has an unknown source")
        }
        extensions = try Extensions(from: &reader)
        signedCount = reader.position - start
        signature = try reader.vector()
        encoded = reader.slice(from: start)
    }

    /// A leaf signed for its place; a key package's has none.
    init(
        _ contents: Contents,
        encryptionKey: HPKEPublicKey,
        source: Source,
        place: Place?,
        signedBy signer: SignaturePrivateKey,
        _ suite: Suite
    ) throws(MLSError) {
        self.encryptionKey = encryptionKey
        self.signatureKey = signer.publicKey
        self.credential = contents.credential
        self.capabilities = contents.capabilities
        self.source = source
        self.extensions = contents.extensions
        var writer = WireWriter(capacity: 256)
        writer.write(encryptionKey)
        writer.write(signatureKey)
        writer.write(credential)
        writer.write(capabilities)
        switch source {
        case .keyPackage(let lifetime):
            writer.write(UInt8(1))
            writer.write(lifetime)
        case .update: writer.write(UInt8(2))
        case .commit(let parentHash):
            writer.write(UInt8(3))
            writer.vector(parentHash)
        }
        writer.write(extensions)
        signedCount = writer.bytes.count
        signature = try suite.sign(signer, "LeafNodeTBS", Self.tbs(writer.bytes, place))
        writer.vector(signature)
        encoded = writer.bytes
    }

    /// Where a leaf stands: part of what an update's or commit's leaf signs.
    struct Place {
        let groupID: [UInt8]
        let index: LeafIndex
    }

    /// What of a leaf its member chooses.
    public struct Contents: Hashable, Sendable {
        public var credential: Credential
        public var capabilities: Capabilities
        public var extensions: Extensions

        public init(
            credential: Credential,
            capabilities: Capabilities = Capabilities(),
            extensions: Extensions = []
        ) {
            self.credential = credential
            self.capabilities = capabilities
            self.extensions = extensions
        }
    }

    public var contents: Contents {
        Contents(credential: credential, capabilities: capabilities, extensions: extensions)
    }

    private static func tbs(_ signed: [UInt8], _ place: Place?) -> [UInt8] {
        guard let place else { return signed }
        var writer = WireWriter(capacity: signed.count + place.groupID.count + 8)
        writer.write(signed)
        writer.vector(place.groupID)
        writer.write(place.index.rawValue)
        return writer.bytes
    }

    // RFC 9420 §7.2: a key package's leaf does not sign its place.
    func hasValidSignature(at place: Place?, _ suite: Suite) -> Bool {
        let place = if case .keyPackage = source { Place?.none } else { place }
        if case .keyPackage = source {} else if place == nil { return false }
        return encoded.withUnsafeBufferPointer { _ in
            suite.isValid(signature, by: signatureKey, "LeafNodeTBS", Self.tbs(Array(encoded[..<signedCount]), place))
        }
    }

    package func encode(to writer: inout WireWriter) { writer.write(encoded) }

    public static func == (a: LeafNode, b: LeafNode) -> Bool { a === b || a.encoded == b.encoded }
    public func hash(into hasher: inout Hasher) { hasher.combine(encoded) }
}

/// When a key package may be used, in Unix seconds, both ends included (RFC 9420 §7.2).
public struct Lifetime: Hashable, Sendable, WireEncodable, WireDecodable {
    public let notBefore: UInt64
    public let notAfter: UInt64

    public init(notBefore: UInt64, notAfter: UInt64) {
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// From an hour before `now`, for clocks that are behind, until `seconds` after it.
    public init(from now: UInt64, for seconds: UInt64 = 90 * 86_400) {
        self.init(notBefore: now > 3600 ? now - 3600 : 0, notAfter: now.addingReportingOverflow(seconds).partialValue)
    }

    func contains(_ time: UInt64) -> Bool { notBefore <= time && time <= notAfter }

    package init(from reader: inout WireReader) throws(MLSError) {
        notBefore = try reader.uint64()
        notAfter = try reader.uint64()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(notBefore)
        writer.write(notAfter)
    }
}

/// A member's place in the tree, counted from 0 at the left.
public struct LeafIndex: RawRepresentable, Hashable, Sendable, Comparable, WireEncodable, WireDecodable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ value: Int) { rawValue = UInt32(value) }

    public static func < (a: LeafIndex, b: LeafIndex) -> Bool { a.rawValue < b.rawValue }

    package init(from reader: inout WireReader) throws(MLSError) { rawValue = try reader.uint32() }
    package func encode(to writer: inout WireWriter) { writer.write(rawValue) }
}
