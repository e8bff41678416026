/// Re-offers through `update`, on one peer connection whose ICE credentials stay. B§5
///
/// Between two devices that both name the extension `ice-restart/1.0`, an `update` may change them: of all sections, and its answer
/// then changes those of the other side. What B§5.4 leaves to a later version, the order of candidates, follows from theirs: see
/// ``CandidateExchange/restarting()``.
///
/// Who may offer when (one outstanding update, glare) is decided by the session engine (DSIP §12.6, §12.8); this machine says what
/// happens to the two descriptions. An answer to our own update is first a ``CheckedAnswer``.
public struct Renegotiation: ~Copyable {
    private var state: State
    private var local: SectionCredentials
    private var remote: SectionCredentials
    private let permitsRestart: Bool

    private enum State {
        case stable
        case offered(SectionCredentials)
        case deciding(SectionCredentials)
    }

    public enum Action: Hashable, Sendable {
        /// The new offer is now our local description, and may be sent as `update`. B§5.2
        case keepPendingOffer
        /// It restarts ICE: candidates gathered from here on wait for its answer (``CandidateExchange/restarting()``).
        case holdCandidates
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
        /// An answer that restarts ICE by itself, or does not where the offer does, fails the call: `bye media.failed`. B§8
        case fail(MediaBindingError.Code)
    }

    /// From the credentials of the descriptions in force.
    /// - Parameter permitsRestart: both sides named `ice-restart/1.0`.
    public init(local: SectionCredentials, remote: SectionCredentials, permitsRestart: Bool = false) {
        state = .stable
        self.local = local
        self.remote = remote
        self.permitsRestart = permitsRestart
    }

    /// Our stack made a re-offer, to be sent as `update`.
    public mutating func reoffer(_ credentials: SectionCredentials) -> [Action] {
        guard permits(credentials, after: local) else {
            return [.refuse(.iceRestart, detail: "a re-offer MUST keep the ICE credentials")]
        }
        state = .offered(credentials)
        return local.isRestarted(by: credentials) ? [.keepPendingOffer, .holdCandidates] : [.keepPendingOffer]
    }

    /// A valid answer to our update came.
    public mutating func receivedAnswer(_ credentials: SectionCredentials) -> [Action] {
        switch state {
        case .offered(let offer):
            guard follows(credentials, of: remote, offer: offer, of: local) else { return [.fail(.iceRestart)] }
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
        if !permits(credentials, after: remote) {
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
                guard follows(credentials, of: local, offer: offer, of: remote) else {
                    return [.refuse(.iceRestart, detail: "an answer restarts ICE when its offer does, and only then")]
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

    private func permits(_ offer: SectionCredentials, after current: SectionCredentials) -> Bool {
        !current.isRestarted(by: offer) || permitsRestart && current.isWhollyRestarted(by: offer)
    }

    /// RFC 8839 §4.4.1.1.1: an answer restarts ICE when the offer does, and only then.
    private func follows(
        _ answer: SectionCredentials,
        of answerer: SectionCredentials,
        offer: SectionCredentials,
        of offerer: SectionCredentials
    ) -> Bool {
        offerer.isRestarted(by: offer)
            ? answerer.isWhollyRestarted(by: answer) : !answerer.isRestarted(by: answer)
    }
}
