/// Re-offers through `update`, on one peer connection whose ICE credentials stay. B§5
///
/// Who may offer when (one outstanding update, glare) is decided by the session engine (DSIP §12.6, §12.8); this machine says what
/// happens to the two descriptions. An answer to our own update is first a ``CheckedAnswer``.
public struct Renegotiation: ~Copyable {
    private var state: State
    private var local: SectionCredentials
    private var remote: SectionCredentials

    private enum State {
        case stable
        case offered(SectionCredentials)
        case deciding(SectionCredentials)
    }

    public enum Action: Hashable, Sendable {
        /// The new offer is now our local description, and may be sent as `update`. B§5.2
        case keepPendingOffer
        /// Apply the answer's SDP.
        case applyAnswer
        /// Our offer has become the current description.
        case offerBecameCurrent
        /// Restore the local description from before the update; media goes on as last negotiated. B§5.2
        case rollBack
        /// An update is there to be decided; its SDP stays away from the peer connection until it is answered. B§5.2
        case showUpdate
        /// Apply the update's SDP and set our answer.
        case applyOfferAndAnswer
        /// Send `reject` for the update; the session goes on. B§8
        case reject(reason: String, detail: String)
        /// Our own stack made something that must not be sent. B§5.4
        case refuse(MediaBindingError.Code, detail: String)
        /// An answer that restarts ICE fails the call: `bye media.failed`. B§8
        case fail(MediaBindingError.Code)
    }

    /// From the credentials of the descriptions in force.
    public init(local: SectionCredentials, remote: SectionCredentials) {
        state = .stable
        self.local = local
        self.remote = remote
    }

    /// Our stack made a re-offer, to be sent as `update`.
    public mutating func reoffer(_ credentials: SectionCredentials) -> [Action] {
        guard !local.isRestarted(by: credentials) else {
            return [.refuse(.iceRestart, detail: "a re-offer MUST keep the ICE credentials")]
        }
        state = .offered(credentials)
        return [.keepPendingOffer]
    }

    /// A valid answer to our update came.
    public mutating func receivedAnswer(_ credentials: SectionCredentials) -> [Action] {
        switch state {
        case .offered(let offer):
            // RFC 8839 §4.4.1.1.1: an answer restarts ICE only when the offer does.
            guard !remote.isRestarted(by: credentials) else { return [.fail(.iceRestart)] }
            local = offer
            remote = credentials
            state = .stable
            return [.applyAnswer, .offerBecameCurrent]
        case .stable, .deciding: return []
        }
    }

    /// Our update was rejected, lost to glare, or could not be sent.
    public mutating func receivedReject() -> [Action] {
        switch state {
        case .offered:
            state = .stable
            return [.rollBack]
        case .stable, .deciding: return []
        }
    }

    /// An update of the other side passed its checks and the session engine admits it. If ours was outstanding, it has lost.
    public mutating func receivedReoffer(_ credentials: SectionCredentials) -> [Action] {
        var actions = receivedReject()
        if remote.isRestarted(by: credentials) {
            actions.append(.reject(reason: "media.unsupported", detail: "ice-restart"))
        } else {
            state = .deciding(credentials)
            actions.append(.showUpdate)
        }
        return actions
    }

    /// We answer the update. `credentials` are those of our answer; `nil` leaves ours as they were.
    public mutating func answerUpdate(_ credentials: SectionCredentials? = nil) -> [Action] {
        switch state {
        case .deciding(let offer):
            if let credentials {
                guard !local.isRestarted(by: credentials) else {
                    return [.refuse(.iceRestart, detail: "an answer MUST keep the ICE credentials")]
                }
                local = credentials
            }
            remote = offer
            state = .stable
            return [.applyOfferAndAnswer]
        case .stable, .offered: return []
        }
    }

    /// We reject the update, or it was withdrawn: the peer connection was never touched. B§5.2
    public mutating func rejectUpdate() {
        if case .deciding = state { state = .stable }
    }
}
