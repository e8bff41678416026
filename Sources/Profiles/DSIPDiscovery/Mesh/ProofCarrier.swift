import DSIPIdentity

/// Somebody who may have what proves a document, and need not be believed.
public protocol ProofCarrier: Sendable {
    /// For people.
    var name: String { get }
    /// - Throws: `.notFound`, `.unreachable`, `.malformed`, `.tooLarge`.
    func proof(of did: DID) async throws(IdentityError) -> DocumentProof
}

/// A relay, asked over HTTPS: `GET /dsip/v1/proofs/<did>`.
public struct RelayCarrier: ProofCarrier {
    private let base: String
    private let fetcher: any DocumentFetcher

    /// - Parameter base: an `https` URL without a slash at the end.
    public init(_ base: String, fetcher: any DocumentFetcher) { (self.base, self.fetcher) = (base, fetcher) }

    public var name: String { base }

    public func proof(of did: DID) async throws(IdentityError) -> DocumentProof {
        let url = "\(base)\(RelayCarrier.path)\(did)"
        let fetched = try await fetcher.fetch(url: url, limit: DocumentProof.maximumEncoded)
        switch fetched.status {
        case 200: return try DocumentProof(parsing: fetched.body, expecting: did)
        case 404: throw IdentityError(.notFound, "\(base) has no proof of the document")
        default: throw IdentityError(.unreachable, "\(base) answered with HTTP status \(fetched.status)")
        }
    }

    public static let path = "/dsip/v1/proofs/"
}
