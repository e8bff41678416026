import DSIPIdentity
import Encoding

/// A point the call attempt has reached, and the signed message that is the evidence for it.
public struct Hop: Sendable, Hashable {
    public enum Kind: String, Sendable {
        case resolved, relay, delivered, held, ringing, queued, forwarded, trying, answered, elsewhere, failed
    }

    public var kind: Kind
    public var at: Int64
    public var sentence: String
    /// `phone`, `computer`, `browser` or `service`, from the device's delegation.
    public var device: String?
    public var count: Int64?
    /// Who signed the evidence and which message it is; nil only for what this agent did itself.
    public var signer: DID?
    public var message: String?

    public init(
        _ kind: Kind,
        at: Int64,
        _ sentence: String,
        device: String? = nil,
        count: Int64? = nil,
        signer: DID? = nil,
        message: String? = nil
    ) {
        self.kind = kind
        self.at = at
        self.sentence = sentence
        self.device = device
        self.count = count
        self.signer = signer
        self.message = message
    }

    public var json: JSONValue {
        [
            "hop": .string(kind.rawValue), "at": .int(at), "sentence": .string(sentence), "device": .optional(device),
            "count": .optional(count), "signer": .optional(signer?.string), "message": .optional(message),
        ]
    }
}
