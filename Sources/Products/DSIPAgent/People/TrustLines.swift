import DSIPIdentity
import DSIPTrust

/// The basis lines a page shows (DSIP §18.1).
enum TrustLines {
    static func lines(for did: DID) -> [String] { TrustBasis.lines(identity: did) }
}
