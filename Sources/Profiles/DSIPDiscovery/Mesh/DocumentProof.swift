import DSIPIdentity
import Encoding

/// What proves a document by itself, so that anybody can carry it and nobody need be believed: the log of a did:webvh with the word of its
/// witnesses, or the signed packet of a did:dht.
///
/// ```
/// {"did":"did:webvh:…","log":"<lines>","witness":"<JSON>"}        {"did":"did:dht:…","packet":"<base64url>"}
/// ```
///
/// Other methods have nothing to carry. did:key, did:jwk and the long form of did:ion are their own proof. A did:web rests on the TLS
/// connection to its host, which proves nothing to those who were not there; and what an Ethereum node says rests on whoever chose the node.
/// A carrier's word for these would be its own, and the document decides over keys (DSIP §8.1 rules 4 and 6).
///
/// - Warning: a proof proves what was once said, not that nothing was said since: who carries it can withhold what is newer.
public struct DocumentProof: Hashable, Sendable {
    public enum Part: String, CaseIterable, Sendable {
        case log
        case witness
        case packet
    }

    /// Bytes of all parts; longer logs are fetched from their own place only.
    public static let maximumBytes = 256 << 10
    /// Bytes of the encoding: text at its worst is escaped, six for one.
    public static let maximumEncoded = 6 * maximumBytes + 4096

    public let did: DID
    public let parts: [Part: [UInt8]]

    /// - Throws: `.tooLarge`, `.unsupported` where there is nothing to carry.
    public init(of did: DID, _ parts: [Part: [UInt8]]) throws(IdentityError) {
        guard DocumentProof.exists(for: did) else { throw DocumentProof.absence(did) }
        guard parts.values.reduce(0, { $0 + $1.count }) <= DocumentProof.maximumBytes else {
            throw DocumentProof.excess
        }
        (self.did, self.parts) = (did, parts)
    }

    /// Whether the method's documents can be proven by who carries them.
    public static func exists(for did: DID) -> Bool { did.method == "webvh" || did.method == "dht" }

    static func absence(_ did: DID) -> IdentityError {
        IdentityError(.unsupported, "documents of did:\(did.method) cannot be proven by who carries them")
    }

    static var excess: IdentityError { IdentityError(.tooLarge, "the proof of the document is too long to be carried") }

    /// - Throws: `.malformed`, `.tooLarge`, `.unsupported`.
    public init(parsing bytes: [UInt8], expecting did: DID) throws(IdentityError) {
        let limits = JSONDocument.Limits(bytes: DocumentProof.maximumEncoded, depth: 2, members: 8)
        guard let json = IJSON.read(bytes, limits: limits), json["did"]?.string == did.string else {
            throw IdentityError(.malformed, "this is no proof of the document")
        }
        var parts: [Part: [UInt8]] = [:]
        for part in Part.allCases {
            guard let text = json[part.rawValue]?.string else { continue }
            parts[part] = part == .packet ? Base64URL.decode(text) : Array(text.utf8)
        }
        try self.init(of: did, parts)
    }

    public var encoded: [UInt8] {
        var object: JSONObject = ["did": .string(did.string)]
        for part in Part.allCases {
            guard let bytes = parts[part] else { continue }
            object[part.rawValue] =
                .string(part == .packet ? Base64URL.encode(bytes) : String(decoding: bytes, as: UTF8.self))
        }
        return Array(JSONValue.object(object).text.utf8)
    }

    /// The document, verified as if its own place had said it.
    ///
    /// - Parameters:
    ///   - memory: what was seen before, which refuses what is older.
    ///   - clock: Unix seconds.
    public func verify(
        memory: any VersionMemory,
        clock: @escaping @Sendable () -> Int64
    ) async throws(IdentityError) -> ResolvedDocument {
        switch did.method {
        case "dht":
            return try await PkarrResolver(source: CarriedParts(self), memory: memory, clock: clock).resolve(did)
        default:
            return try await WebVHResolver(fetcher: CarriedParts(self), memory: memory, clock: clock).resolve(did)
        }
    }
}

/// The parts in the place of the network.
private struct CarriedParts: DocumentFetcher, PkarrSource {
    let proof: DocumentProof

    init(_ proof: DocumentProof) { self.proof = proof }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        let identifier = WebVHIdentifier(proof.did.string)
        let part: DocumentProof.Part? =
            switch url {
            case identifier?.logURL: .log
            case identifier?.witnessURL: .witness
            default: nil
            }
        guard let bytes = part.flatMap({ proof.parts[$0] }), bytes.count <= limit else {
            throw IdentityError(.unreachable, "the proof of the document is not whole")
        }
        return FetchedDocument(status: 200, body: bytes, finalURL: url)
    }

    func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] { proof.parts[.packet].map { [$0] } ?? [] }
}
