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

    /// The form of a frame that was verified once, by how it begins; for telling stored ones apart and for nothing else.
    public init(of frame: some Collection<UInt8>) {
        let head = String(decoding: frame.prefix(64), as: UTF8.self)
        if frame.first == WireForm.tag {
            self = head.contains("dsip-0.3") ? .proposalCOSE : .cose
        } else if frame.first != UInt8(ascii: "{") {
            self = .jose
        } else {
            let name = head.drop { $0 != "\"" }
            let isJOSE = ["\"protected\"", "\"payload\"", "\"signature\""].contains { name.hasPrefix($0) }
            self = isJOSE ? .jose : .proposal
        }
    }

    /// The CBOR tag of COSE_Sign1, with which no JSON begins.
    public static let tag: UInt8 = 0xd2
}
