import DSIPIdentity
import DSIPSignaling
import Encoding

/// What an endpoint is told: commands of its own side in the imperative, what happened in the past tense.
public enum EndpointEvent: Hashable, Sendable {
    // Calls.

    /// Send an `invite`; its id is the session's.
    /// - identity: the identity behind `to` when `to` is a device and the caller knows it.
    /// - relay: the relay the invite goes through, whose word on the attempt's outcome is accepted (DSIP §12.7 rule 6);
    ///   nil accepts it from any signer.
    case placeCall(session: ULID, to: DID, identity: DID? = nil, relay: DID? = nil)
    /// Withdraw our invite before an answer: `cancel user.cancelled`.
    case cancel(session: ULID)
    /// Our invite cannot go further (nothing to dial, refused by the relay): end it here and send nothing.
    case inviteFailed(session: ULID, reason: Reason)
    /// `bye`.
    case hangUp(session: ULID, reason: Reason = .userHangup)

    // Answering.

    /// Policy admits the invite: `progress ringing`. `ringTimeout` in seconds is told to the caller when given.
    case alert(session: ULID, ringTimeout: Int64? = nil)
    /// `progress` other than ringing; `queueTimeout` in seconds goes with `queued`.
    case reportProgress(session: ULID, status: Signal.Status, queueTimeout: Int64? = nil)
    /// Policy refuses the invite before anyone is alerted: `reject`.
    case autoReject(session: ULID, reason: Reason)
    case accept(session: ULID, answeredBy: Signal.AnsweredBy = .user)
    case decline(session: ULID, reason: Reason = .userDeclined)

    // Renegotiation (DSIP §12.8).

    case offerUpdate(session: ULID, id: ULID, answeredBy: Signal.AnsweredBy? = nil)
    case answerUpdate(session: ULID, inReplyTo: ULID)
    case rejectUpdate(session: ULID, inReplyTo: ULID, reason: Reason)
    /// Stop waiting for the reply to our own update; a late one is stale.
    case forgetUpdate(session: ULID, id: ULID)
    case sendInfo(session: ULID)

    // First contact (DSIP §19.4).

    case introduce(id: ULID, to: DID, purpose: String?, contactToken: String? = nil)
    /// `validUntil` in Unix seconds.
    case grant(introduction: ULID, id: ULID, scope: [String], validUntil: Int64)
    case rejectIntroduction(ULID, reason: Reason)
    case revokeGrant(ULID)
    /// The first introduction that carries `token` is granted at once, under the id `grant`.
    case issueToken(String, grant: ULID)
    case allow(DID)
    case disallow(DID)
    case requireFirstContact(Bool)

    // From the network, verified.

    case received(Signal)
    /// An `answer` whose selection the media binding refuses (WebRTC binding §6.1): that leg alone is ended.
    case receivedUnusableAnswer(Signal)
}
