import DSIPIdentity
import DSIPSignaling

/// What verification may know of the world beyond the frame: documents now, and how to get one that is not known yet.
public protocol VerificationSource: Sendable {
    /// What is known of `did` at this moment; never waits.
    func document(of did: DID, at now: Int64) -> DocumentLookup

    /// Resolves `did`, bounded in time. Afterwards `document(of:at:)` answers something other than `.unknown`.
    func resolve(_ did: DID) async
}
