import WebRTC

/// Who opens the DTLS handshake, resolved from the two `a=setup`. B§3.3
public struct DTLSRoles: Hashable, Sendable {
    public enum Role: String, Hashable, Sendable {
        case client, server
    }

    public let offerer: Role
    public let answerer: Role

    /// Throws `setupInvalid`: an offer must be `actpass`, an answer `active` or, when it cannot be client, `passive`.
    public init(offer: SetupRole?, answer: SetupRole?) throws(MediaBindingError) {
        guard offer == .actpass else { throw MediaBindingError(.setupInvalid, on: .offer, "offer is not actpass") }
        switch answer {
        case .active: (offerer, answerer) = (.server, .client)
        case .passive: (offerer, answerer) = (.client, .server)
        case .actpass, .holdconn, nil:
            throw MediaBindingError(.setupInvalid, on: .answer, "answer is neither active nor passive")
        }
    }
}
