import DSIPIdentity

/// The WebSocket subprotocols beside `ws/1.0`, which has none (RFC 6455 §1.9): what a peer speaks when it is not DSIP-JOSE.
public enum Subprotocol: String, Hashable, Sendable, CaseIterable {
    /// Payloads of the core in CBOR.
    case coreCBOR = "dsip.v1.0+cbor"
    /// The proposal's messages as it writes them.
    case proposalJSON = "dsip.v0.3+json"
    case proposalCBOR = "dsip.v0.3+cbor"

    /// What is spoken to the peer.
    public var form: WireForm {
        switch self {
        case .coreCBOR: .cose
        case .proposalJSON: .proposal
        case .proposalCBOR: .proposalCOSE
        }
    }

    /// What the peer can be sent: a form in CBOR includes the same in JSON.
    public var reads: Set<WireForm> {
        switch self {
        case .coreCBOR: [.cose, .jose]
        case .proposalJSON: [.proposal]
        case .proposalCBOR: [.proposalCOSE, .proposal]
        }
    }

    /// Of those a client names, in its order, the first that `admits` holds for.
    static func select(_ offered: [String], where admits: (Subprotocol) -> Bool) -> Subprotocol? {
        offered.lazy.prefix(16).compactMap(Subprotocol.init(rawValue:)).first(where: admits)
    }
}

extension WireForm {
    /// What a peer without subprotocol or with one is sent.
    static func read(over subprotocol: Subprotocol?) -> Set<WireForm> { subprotocol?.reads ?? [.jose] }
}
