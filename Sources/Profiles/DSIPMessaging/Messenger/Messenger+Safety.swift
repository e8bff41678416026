import DSIPIdentity
import DoubleRatchet
import Encoding

extension Messenger {
    /// The number that two people compare: over both identities' DIDs and the keys that stand behind them.
    ///
    /// Devices come and go under an identity's key, so it changes only when the identity itself is another.
    ///
    /// - Throws: `refused` while the document of an identity is not known.
    public func safetyNumber(with did: DID) throws(MessagingError) -> SafetyNumber {
        SafetyNumber(local: try party(identity), remote: try party(did))
    }

    private func party(_ did: DID) throws(MessagingError) -> SafetyNumber.Party {
        guard let document = DIDKey.document(of: did) ?? documents[did] else {
            throw MessagingError(.refused, "The keys of this identity are not known yet.")
        }
        return SafetyNumber.Party(
            name: Array(did.string.utf8),
            keys: document.verificationMethods.map { Array($0.publicKey.multibase.utf8) }
        )
    }
}
