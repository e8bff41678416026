import DSIPSession
import DSIPSignaling

extension Signal {
    /// The fields that routing reads; a relay looks at nothing else.
    init(relaying message: Verified<Message>) {
        let body = message.body
        self.init(
            body.type, id: body.id, from: body.from, identity: message.principal, to: body.to, session: body.session,
            expiresAt: body.expiresAt)
        switch body.body {
        case .invite: wantsDeliveryReport = body.version.extensions.contains(.deliveryReport)
        case .progress(let progress):
            status = progress.status.token
            ringTimeout = progress.ringTimeout
            queueTimeout = progress.queueTimeout
        case .answer(let answer): inReplyTo = answer.inReplyTo
        case .reject(let reject):
            reason = reject.reason
            inReplyTo = reject.inReplyTo
        case .cancel(let cancel): reason = cancel.reason
        default: break
        }
    }
}
