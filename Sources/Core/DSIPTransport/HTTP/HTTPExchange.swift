import DSIPIdentity
import NIOCore
import NIOHTTP1

/// Gathers one bounded response, then closes the connection.
final class HTTPExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    struct Answer: Sendable {
        var head: HTTPResponseHead
        var body: [UInt8]
    }

    private let limit: Int
    private let deadline: NIODeadline
    private let answer: EventLoopPromise<Answer>
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    private var timeout: Scheduled<Void>?

    init(limit: Int, deadline: NIODeadline, _ answer: EventLoopPromise<Answer>) {
        self.limit = limit
        self.deadline = deadline
        self.answer = answer
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let (channel, answer) = (context.channel, answer)
        timeout = context.eventLoop.scheduleTask(deadline: deadline) {
            answer.fail(IdentityError(.unreachable, "the server did not answer in time"))
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head):
            // Interim answers (RFC 9110 §15.2) precede the one that counts.
            guard head.status.code >= 200 else { return }
            self.head = head
            if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }), length > limit {
                fail(context, tooLarge)
            }
        case .body(let part):
            guard head != nil else { return }
            guard body.count + part.readableBytes <= limit else { return fail(context, tooLarge) }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            answer.succeed(Answer(head: head, body: body))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, error) }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        answer.fail(IdentityError(.unreachable, "the connection ended before the answer was complete"))
        context.fireChannelInactive()
    }

    private var tooLarge: IdentityError { IdentityError(.tooLarge, "the answer is larger than \(limit) bytes") }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        answer.fail(error)
        context.close(promise: nil)
    }
}
