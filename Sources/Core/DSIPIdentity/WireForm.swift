/// How a signed message is written down. Each says the same; a signature over one says nothing about another.
public enum WireForm: String, Hashable, Sendable, CaseIterable {
    /// DSIP-JOSE: JSON with protected header, payload and signature, the form that everybody reads (DSIP §10.1).
    case jose
    /// DSIP-COSE: the same payload in CBOR, under COSE_Sign1 (DSIP §10.1).
    case cose
    /// The proposal's JSON with a `sig` member (proposal 0.3 §6).
    case proposal
    /// The proposal's message in CBOR, under COSE_Sign1.
    case proposalCOSE = "proposal-cose"

    /// Whether it travels in binary frames.
    public var isBinary: Bool { self == .cose || self == .proposalCOSE }
}
