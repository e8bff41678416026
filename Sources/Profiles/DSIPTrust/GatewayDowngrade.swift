/// What is lost when a session crosses a gateway, in words (DSIP §6.3).
public enum GatewayDowngrade {
    public enum Loss: String, Hashable, Sendable, CaseIterable {
        case noSRTPOnTrunk = "no-srtp-on-trunk"
        case identityNotAssertable = "identity-not-assertable"
        case noAttestation = "no-attestation"
        case policyUnenforceable = "policy-unenforceable"

        public var sentence: String {
            switch self {
            case .noSRTPOnTrunk: "media is not encrypted on the PSTN trunk"
            case .identityNotAssertable: "your identity could not be asserted into the PSTN"
            case .noAttestation: "the caller carried no verified attestation"
            case .policyUnenforceable: "your media policy cannot be enforced past the gateway"
            }
        }
    }

    /// - Parameter losses: tokens as the gateway sent them; an unknown one is shown as it is.
    public static func line(losses: [String]) -> String {
        let heading = "Trust downgraded crossing the gateway (§6.3)"
        guard !losses.isEmpty else { return heading }
        return heading + ": " + losses.map { Loss(rawValue: $0)?.sentence ?? $0 }.joined(separator: "; ")
    }
}
