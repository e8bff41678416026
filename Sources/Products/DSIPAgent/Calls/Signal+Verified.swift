import DSIPSession
import DSIPSignaling

extension Signal {
    /// The fields of a verified message that a session machine reads.
    init(_ verified: Verified<Message>) {
        let message = verified.body
        self.init(
            message.type, id: message.id, from: message.from, identity: verified.principal, to: message.to,
            session: message.session, expiresAt: message.expiresAt)
        switch message.body {
        case .invite(let body):
            grant = body.grant
            wantsDeliveryReport = message.version.extensions.contains(.deliveryReport)
        case .progress(let body):
            status = body.status.token
            ringTimeout = body.ringTimeout
            queueTimeout = body.queueTimeout
        case .answer(let body):
            answeredBy = body.answeredBy?.token
            inReplyTo = body.inReplyTo
        case .reject(let body):
            reason = body.reason
            inReplyTo = body.inReplyTo
        case .cancel(let body): reason = body.reason
        case .update(let body): answeredBy = body.answeredBy?.token
        case .info(let body): about = body.about
        case .bye(let body): reason = body.reason
        case .introduction(let body):
            purpose = body.purpose
            contactToken = body.contactToken
        case .grant(let body):
            scope = body.scope
            validUntil = body.validUntil
        case .error(let body):
            reason = body.reason
            inReplyTo = body.inReplyTo
        default: break
        }
    }
}
