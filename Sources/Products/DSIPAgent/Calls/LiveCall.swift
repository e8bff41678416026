import DSIPIdentity
import DSIPMedia
import DSIPSession
import DSIPSignaling
import Encoding

/// A call in progress: what pages see, the media rules, and what waits for the engine's next action.
///
/// Confined to the agent actor.
final class LiveCall {
    var call: Call
    let id: ULID
    /// The identity of ours that calls or is called.
    let owner: DID
    let media: CallMedia
    /// The relay this session's messages travel through.
    let path: String
    /// How this session's messages are written: as the other side writes them.
    var form = WireForm.jose
    /// The other device, once it has said that it opens what is sealed to it (DSIP §10.4).
    var opensSeals: DID?
    /// Our invite as the engine made it, until it is known to be read.
    var invite: Outbound?
    var wasInvited = false
    /// Where the session ends for us: the device on the other side, once known.
    var peerDevice: DID?
    /// An answer just checked: ours to be sent, or theirs to be applied.
    var answer: CheckedAnswer?
    /// Our re-offer to be sent, and the answer to an update, ours or theirs.
    var reoffer: CheckedOffer?
    var updateAnswer: CheckedAnswer?
    /// Stops waiting for the answer to our update.
    var updateDeadline: Task<Void, Never>?
    /// Why the next `reject` is sent, for its `detail`.
    var detail: String?
    /// `info` to be sent, in order.
    var outgoingInfo: [Info] = []
    /// Why the call ended, once it has.
    var ending: (reason: Reason, ours: Bool)?
    /// The caller may be told that it rings only when someone can hear it.
    var mayAlert = false
    /// Pages asked for the caller's offer, and so the person chose to answer.
    var opened = false
    /// Highest `seq` seen of the relay's delivery reports (DSIP §9.3).
    var reportSequence: Int64 = 0
    /// Ends the call when the page that held its media does not come back.
    var abandonment: Task<Void, Never>?

    init(_ call: Call, id: ULID, owner: DID, offer: CheckedOffer, path: String) {
        self.call = call
        self.id = id
        self.owner = owner
        self.media = CallMedia(offer: offer)
        self.path = path
    }

    var isActive: Bool { call.state == .active }

    /// Every hop once; the newest report of one kind from one signer stands.
    func add(_ hop: Hop) {
        if let last = call.progress.lastIndex(where: { $0.kind == hop.kind && $0.signer == hop.signer }) {
            call.progress[last] = hop
        } else if call.progress.count < 32 {
            call.progress.append(hop)
        }
    }
}
