import DSIPIdentity
import DSIPSignaling
import Encoding

/// Where an identity's prekeys are had and messages to its devices are taken, as its document or its relay's `hello` says.
public enum PreKeyService {
    /// The type of the entry in a DID document; its `uri` is a relay's (`wss`).
    public static let serviceType = "DSIPPreKeys"
    /// The member of a relay's capabilities.
    public static let member = "prekeys"

    /// What a relay says of itself.
    ///
    /// - Parameters:
    ///   - retention: seconds that a message is kept at most.
    ///   - keepsStored: whether stored envelopes are taken, which come under keys that nobody knows.
    public static func capability(retention: Int64, keepsStored: Bool) -> JSONValue {
        [
            "extension": .string(PreKeys.extensionID.description), "retention_s": .int(retention),
            "stored": .bool(keepsStored),
        ]
    }

    /// Whether a relay that says this of itself keeps stored envelopes.
    public static func keepsStored(_ capability: JSONValue?) -> Bool {
        isOffered(capability) && capability?["stored"]?.bool == true
    }

    /// Whether a relay that says this of itself hands out prekeys in a way that is understood here.
    public static func isOffered(_ capability: JSONValue?) -> Bool {
        capability?["extension"]?.string.map { $0.hasPrefix("prekeys/1.") } ?? false
    }

    /// The relay that a document names, or nil.
    public static func uri(in document: DIDDocument) -> String? {
        document.services.lazy.filter { $0.type == serviceType }.map(\.uri).first { $0.hasPrefix("wss://") }
    }
}
