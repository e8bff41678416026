import DSIPIdentity
import DSIPSignaling
import Encoding

extension Signal {
    /// The extension by which a caller asks to be told what became of its invite.
    public static let deliveryReportExtension: ProfileID = "delivery-report/1.0"

    /// What a session machine reads of a verified message.
    public init(_ verified: Verified<Message>) {
        let message = verified.body
        self.init(
            message.type,
            id: message.id,
            from: message.from,
            identity: verified.principal,
            to: message.to,
            session: message.session,
            expiresAt: message.expiresAt,
            form: verified.envelope.form
        )
        switch message.body {
        case .invite(let invite):
            grant = invite.grant
            wantsDeliveryReport = message.version.extensions.contains(Signal.deliveryReportExtension)
        case .progress(let progress):
            status = progress.status.token
            ringTimeout = progress.ringTimeout
            queueTimeout = progress.queueTimeout
        case .answer(let answer):
            answeredBy = answer.answeredBy?.token
            inReplyTo = answer.inReplyTo
        case .update(let update):
            answeredBy = update.answeredBy?.token
        case .reject(let reject):
            reason = reject.reason
            inReplyTo = reject.inReplyTo
        case .cancel(let cancel):
            reason = cancel.reason
        case .bye(let bye):
            reason = bye.reason
        case .error(let error):
            reason = error.reason
            inReplyTo = error.inReplyTo
        case .info(let info):
            about = info.about
        case .introduction(let introduction):
            purpose = introduction.purpose
            contactToken = introduction.contactToken
        case .grant(let grant):
            scope = grant.scope
            validUntil = grant.validUntil
        case .publish, .subscribe, .notify, .unpublish, .provenance, .keyRotation, .delegationRevocation, .hello,
            .reachabilityHint:
            break
        }
    }
}

extension SubscriptionAuthorityEvent {
    /// What an authority reads of a verified message; nil for types it does not read.
    public init?(_ verified: Verified<Message>) { self.init(verified.body, by: verified.principal) }

    /// The same of a message that was verified before it was stored, by `identity`.
    public init?(_ message: Message, by identity: DID) {
        switch message.body {
        case .subscribe(let subscribe):
            self = .receivedSubscribe(
                SubscribeRequest(
                    id: message.id,
                    device: message.from,
                    identity: identity,
                    target: subscribe.target,
                    events: subscribe.events,
                    expiresIn: subscribe.expiresIn,
                    capability: subscribe.capability
                )
            )
        case .publish(let publish):
            self = .receivedPublish(
                Publication(
                    id: message.id,
                    identity: identity,
                    publisher: publish.publisher,
                    stream: publish.streamID,
                    state: publish.state.rawValue,
                    variants: publish.variants.map(\.id),
                    expiresAt: message.expiresAt
                )
            )
        case .unpublish(let unpublish):
            self = .receivedUnpublish(
                Withdrawal(
                    identity: identity,
                    publisher: unpublish.publisher,
                    stream: unpublish.streamID,
                    publication: unpublish.publication
                )
            )
        case .provenance(let provenance):
            self = .receivedProvenance(
                ProvenanceStatement(
                    identity: identity,
                    processor: provenance.processor,
                    stream: provenance.originalStream,
                    publication: provenance.originalPublication,
                    inputVariant: provenance.inputVariant
                )
            )
        default:
            return nil
        }
    }
}

extension SubscriberEvent {
    /// What a subscriber reads of a verified `notify` or `reject`; nil for other types.
    public init?(_ verified: Verified<Message>) {
        let message = verified.body
        switch message.body {
        case .notify(let notify):
            self = .receivedNotify(
                subscription: notify.subscription,
                from: message.from,
                identity: verified.principal,
                seq: notify.seq,
                isTerminal: notify.state == .terminated,
                reason: notify.reason,
                event: notify.content["type"]?.string,
                state: notify.content["state"]?.string
            )
        case .reject(let reject):
            guard let session = message.session else { return nil }
            self = .receivedReject(
                subscription: session,
                from: message.from,
                identity: verified.principal,
                reason: reject.reason
            )
        default:
            return nil
        }
    }
}
