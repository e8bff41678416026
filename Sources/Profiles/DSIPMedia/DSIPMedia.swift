/// The WebRTC Media Binding 1.0 (`transport:webrtc`, cited B§n) as pure rules over decoded payloads.
///
/// It decides whether an offer or an answer keeps the binding, who is DTLS client, when candidates travel, what an `update` may
/// change and which of several answers counts. It moves no media and opens no socket: the peer connection lives in a page or a
/// media engine, and this module tells its owner what to hand to it. The owner of a call enforces the binding by asking here at
/// each point where media could otherwise start or change, and doing what it is told:
///
/// | when | ask | on failure |
/// |---|---|---|
/// | the page made an offer | ``CheckedOffer/init(own:purposes:)``; its ``CheckedOffer/payload`` goes into the `invite` or `update` | tell the page |
/// | an `invite` came | ``CheckedOffer/init(checking:)`` before anything rings | `reject` with the error's `reason` and `detail` |
/// | an `update` came | ``CheckedOffer/init(checkingUpdate:)`` | the same; the call goes on |
/// | the page made an answer | ``CheckedAnswer/init(own:to:)`` | tell the page |
/// | an `answer` to an invite came | ``AnswerSelection/receivedAnswer(_:from:)`` | `bye` to that leg, as told |
/// | an `answer` to an `update` came | ``CheckedAnswer/init(checking:to:)``, then ``Renegotiation/receivedAnswer(_:)`` | `bye media.failed` |
/// | either side re-offers | ``Renegotiation`` | `reject`, roll back |
/// | a candidate is gathered or an `info` came | ``CandidateExchange``; what it sends goes through an ``InfoPacer`` | ignore, as told |
///
/// That no media flows before a signed answer (DSIP §14.1) follows from types: remote SDP reaches a page only out of a
/// ``CheckedOffer`` or ``CheckedAnswer``, and remote candidates only as an `apply` of a ``CandidateExchange``, which gives none
/// before the remote description is applied and takes none from a device that is not party to the call.
/// The certificate of the DTLS handshake is compared with the fingerprint of that same signed SDP by the WebRTC stack (B§7).
public enum WebRTCBinding {
    /// The one candidate exchange mode of binding 1.0. B§2
    public static let iceMode = "trickle"
}
