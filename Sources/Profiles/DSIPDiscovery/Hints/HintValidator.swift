import DSIPIdentity
import Libp2p

/// The hints profile as the rules of a DHT (§4): every record is verified before it is stored, forwarded or returned, and of several the
/// highest `seq` stands.
public struct HintValidator: RecordValidator {
    private let verifier: HintVerifier

    public init(_ verifier: HintVerifier = HintVerifier()) { self.verifier = verifier }

    public func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        let record = try verifier.verify(value, at: now / 1000)
        guard HintKey.matches(key, record.subject) else {
            throw DiscoveryError(.subject, "a hint under somebody else's key")
        }
        return record.expiresAt * 1000
    }

    /// Called with values that `validate` accepted. Of equal `seq`, the first stays.
    public func select(key: [UInt8], values: [[UInt8]]) -> Int {
        var best = 0
        var highest = Int64.min
        for (index, value) in values.enumerated() {
            let seq = HintRecord.claimedSeq(value) ?? .min
            if seq > highest { (best, highest) = (index, seq) }
        }
        return best
    }
}
