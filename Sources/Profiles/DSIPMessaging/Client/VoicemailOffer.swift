import DSIPSignaling

/// Whether a caller may offer to record a voicemail after an attempt ended. M§13.2
public enum VoicemailOffer {
    public enum Ending: Hashable, Sendable {
        case rejected(Reason)
        /// By the caller.
        case cancelled(Reason)
    }

    /// Reasons on `reject` that say nobody was there, or nobody could.
    private static let offering: Set<Reason> = [.userNoAnswer, .userDeclined, .endpointBusy, .endpointUnavailable]

    /// - Parameters:
    ///   - advertised: whether the callee's mailbox entry carries `voicemail`.
    ///   - canSend: there is a direct conversation, or leave to make one.
    public static func isOffered(advertised: Bool, canSend: Bool, after ending: Ending) -> Bool {
        guard advertised, canSend else { return false }
        switch ending {
        case .cancelled(let reason): return reason == .sessionTimeout
        case .rejected(let reason):
            // An unregistered condition of an endpoint is like busy; of anything else it may be a block.
            return offering.contains(reason)
                || (reason.category == "endpoint" && ReasonRegistry.effective(reason).fallback == .category)
        }
    }
}
