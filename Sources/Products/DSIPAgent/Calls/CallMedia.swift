import DSIPIdentity
import DSIPMedia
import DSIPSignaling
import Encoding
import WebRTC

/// The WebRTC binding's rules for one call, from the first offer on: who may name candidates when, what an update may change.
///
/// The machines are those of `DSIPMedia`; this type owns them for one call and holds what is waiting for the other side, for the page
/// or for the engine. It sends nothing and shows nothing: its methods return what has to be done.
final class CallMedia {
    enum Effect: Equatable {
        /// Sign and send as `info` about `transport:webrtc`.
        case sendInfo(CandidateInfo)
        /// Tell the page that holds the call.
        case toPage(candidates: [SignaledCandidate], end: Bool)
        /// `error policy.rate-limited` to the other device. B§9
        case rateLimited
        /// `bye media.failed`. B§8
        case flooded
    }

    /// The offer in force for the invite: ours when we called, theirs when they did.
    let offer: CheckedOffer
    /// The answer that was applied.
    private(set) var answer: CheckedAnswer?
    /// Our own candidates from before it is known who answers. B§4.3
    private var early: [SignaledCandidate] = []
    private var earlyEnd = false
    private var candidates: CandidateExchange?
    private var renegotiation: Renegotiation?
    /// Our own update that waits for its answer.
    private(set) var ownUpdate: (id: ULID, offer: CheckedOffer)?
    /// The other side's update that waits for the page.
    private(set) var theirUpdate: (id: ULID, offer: CheckedOffer)?

    init(offer: CheckedOffer) { self.offer = offer }

    /// What is negotiated now.
    private(set) lazy var payload: MediaPayload = offer.payload

    /// We asked the other side to wait, and it agreed; and the other way round.
    private(set) var held = false
    private(set) var remoteHeld = false

    /// Whether the sender of this offer no longer takes anything: every medium is `sendonly` or `inactive`.
    private static func isHold(_ payload: MediaPayload) -> Bool {
        !payload.media.isEmpty && payload.media.allSatisfy { $0.direction == .sendonly || $0.direction == .inactive }
    }

    // MARK: The first answer

    /// The call is active: `answer` was applied, or sent. `peer` is the one device whose candidates count. B§4.4
    /// - Parameter permitsRestart: both devices named `ice-restart/1.0`.
    func begin(_ answer: CheckedAnswer, peer: DID, weOffered: Bool, permitsRestart: Bool) -> [Effect] {
        guard self.answer == nil else { return [] }
        self.answer = answer
        payload = answer.payload
        renegotiation = Renegotiation(
            local: weOffered ? offer.iceCredentials : answer.iceCredentials,
            remote: weOffered ? answer.iceCredentials : offer.iceCredentials,
            permitsRestart: permitsRestart
        )
        var exchange = CandidateExchange(peer: peer.string)
        var actions = early.isEmpty ? [] : exchange.gathered(early)
        if earlyEnd { actions += exchange.completedGathering() }
        actions += exchange.becameActive()
        actions += exchange.appliedRemoteDescription()
        candidates = consume exchange
        early = []
        return CallMedia.effects(actions)
    }

    // MARK: Candidates

    func gathered(_ new: [SignaledCandidate], end: Bool) -> [Effect] {
        guard candidates != nil else {
            guard !earlyEnd, early.count + new.count <= CandidateExchange.maximumBuffered else { return [] }
            early += new
            earlyEnd = end
            return []
        }
        var actions = new.isEmpty ? [] : candidates!.gathered(new)
        if end { actions += candidates!.completedGathering() }
        return CallMedia.effects(actions)
    }

    func received(_ info: CandidateInfo, from device: DID) -> [Effect] {
        guard candidates != nil else { return [] }
        return CallMedia.effects(candidates!.receivedInfo(info, from: device.string))
    }

    func end() {
        _ = candidates?.end()
        ownUpdate = nil
        theirUpdate = nil
    }

    // MARK: Renegotiation

    /// - Throws: `MediaBindingError` when our own stack made something that must not be sent.
    func checkOwnUpdate(_ sdp: String, screen: String?) throws(MediaBindingError) -> CheckedOffer {
        let offer = try CheckedOffer(own: sdp, purposes: screen.map { [$0: CheckedOffer.screen] } ?? [:])
        if renegotiation != nil {
            for action in renegotiation!.reoffer(offer.iceCredentials) {
                switch action {
                case .refuse(let code, let detail): throw MediaBindingError(code, on: .offer, detail)
                case .holdCandidates: candidates?.restarting()
                default: break
                }
            }
        }
        return offer
    }

    func sentUpdate(_ id: ULID, _ offer: CheckedOffer) { ownUpdate = (id, offer) }

    /// Our update will not be answered. The page rolls back when this returns its id.
    func ownUpdateFailed() -> ULID? {
        defer { ownUpdate = nil }
        guard renegotiation != nil else { return nil }
        _ = candidates?.restartFailed()
        return renegotiation!.receivedReject().contains(.rollBack) ? ownUpdate?.id : nil
    }

    /// An answer to our update passed its checks.
    /// - Returns: the candidates that have waited for it.
    /// - Throws: when it restarts ICE by itself, which fails the call.
    func applyUpdateAnswer(_ answer: CheckedAnswer) throws(MediaBindingError) -> [Effect] {
        guard renegotiation != nil else { return [] }
        for case .fail(let code) in renegotiation!.receivedAnswer(answer.iceCredentials) {
            throw MediaBindingError(code, on: .answer, "ice-restart")
        }
        payload = answer.payload
        if let ownUpdate { held = CallMedia.isHold(ownUpdate.offer.payload) }
        ownUpdate = nil
        return CallMedia.effects(candidates?.renegotiated() ?? [])
    }

    /// Their update passed its checks. If ours was outstanding it has lost, and is returned for the page to roll back.
    /// - Throws: when it restarts ICE: reject it with the error's reason and detail.
    func offered(_ id: ULID, _ offer: CheckedOffer) throws(MediaBindingError) -> ULID? {
        guard renegotiation != nil else { return nil }
        var rolledBack: ULID?
        for action in renegotiation!.receivedReoffer(offer.iceCredentials) {
            switch action {
            case .rollBack:
                rolledBack = ownUpdate?.id
                ownUpdate = nil
                _ = candidates?.restartFailed()
            case .reject(_, let detail): throw MediaBindingError(.iceRestart, on: .offer, detail)
            default: break
            }
        }
        theirUpdate = (id, offer)
        return rolledBack
    }

    /// - Throws: when the page's answer breaks the binding.
    func answerUpdate(_ sdp: String) throws(MediaBindingError) -> CheckedAnswer? {
        guard let update = theirUpdate, renegotiation != nil else { return nil }
        let answer = try CheckedAnswer(own: sdp, to: update.offer)
        for case .refuse(let code, let detail) in renegotiation!.answerUpdate(answer.iceCredentials) {
            throw MediaBindingError(code, on: .answer, detail)
        }
        payload = answer.payload
        remoteHeld = CallMedia.isHold(update.offer.payload)
        theirUpdate = nil
        _ = candidates?.renegotiated()
        return answer
    }

    func dropTheirUpdate() {
        theirUpdate = nil
        renegotiation?.rejectUpdate()
    }

    private static func effects(_ actions: [CandidateExchange.Action]) -> [Effect] {
        actions.compactMap { action in
            switch action {
            case .send(let info): .sendInfo(info)
            case .apply(let candidates): .toPage(candidates: candidates, end: false)
            case .remoteEnd: .toPage(candidates: [], end: true)
            case .rateLimited: .rateLimited
            case .flooded: .flooded
            case .buffered, .ignored, .dropped: nil
            }
        }
    }
}

extension CheckedOffer {
    /// The purpose of a section that carries a shared screen.
    static let screen = "screen"

    /// The mid of the section that carries a shared screen, if there is one.
    var screenMid: String? {
        guard let index = payload.media.firstIndex(where: { $0.purpose == CheckedOffer.screen }) else { return nil }
        // Descriptors stand for the live sections in order (B§2.1).
        let live = description.media.filter { $0.port != 0 || $0.isBundleOnly }
        return live.indices.contains(index) ? live[index].mid : nil
    }
}
