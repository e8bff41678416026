import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOWebSocket

/// The client's end of one connection, of either binding: says `hello`, checks the answer, verifies what comes (DSIP §13.2).
final class SignalingClientHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum Phase { case greeting, bound, closing, ended }

    /// Bytes handed to the channel that the socket has not taken.
    private static let maximumOutboundBytes = 1 << 20
    private static let maximumPendingBytes = 1 << 19
    private static let checkInterval: Duration = .seconds(5)

    let bound: EventLoopPromise<SignalingClient.Relay>
    let ended: EventLoopPromise<TransportError>

    private let client: SignalingClient
    private let eventLoop: any EventLoop
    private var verifier: EnvelopeVerifier
    private var replay: SharedReplayWindow
    private var phase = Phase.greeting
    /// The id of the `hello` that awaits its answer.
    private var sentHello: ULID?
    private var relay: SignalingClient.Relay?
    private let framing: Framing
    private var reader: FrameReader
    private var pending = PendingFrames()
    private var liveness: Liveness
    private var timer: RepeatedTask?
    private var helloTimeout: Scheduled<Void>?
    private var isReadWithheld = false
    private var outbound = 0
    private var isFlushScheduled = false
    private var failure: TransportError?
    private var context: ChannelHandlerContext?
    private(set) var link: ClientLink!

    init(_ client: SignalingClient, _ framing: Framing = .webSocket, on eventLoop: any EventLoop) {
        self.client = client
        self.framing = framing
        self.eventLoop = eventLoop
        let configuration = client.configuration
        self.reader = framing.reader(.client, takesBinary: configuration.subprotocol?.form.isBinary ?? false)
        self.verifier = EnvelopeVerifier(
            policy: configuration.policy,
            codecs: configuration.codecs,
            opener: configuration.opener,
            cacheBytes: 1 << 18
        )
        self.replay = client.replay
        self.liveness = Liveness(at: eventLoop.now.uptimeNanoseconds)
        self.bound = eventLoop.makePromise()
        self.ended = eventLoop.makePromise()
    }

    private var now: UInt64 { eventLoop.now.uptimeNanoseconds }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let link = ClientLink(self, on: context.channel)
        self.link = link
        client.sink.onResume(link) { link.perform { $0.readAgain() } }
        let interval = TimeAmount(SignalingClientHandler.checkInterval)
        timer = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            link.perform { $0.tick() }
        }
        // The upgrade is not over while this handler is being added, and until then nothing may be written.
        eventLoop.execute { link.perform { $0.sendHello() } }
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .greeting || phase == .bound else { return }
        liveness.received(at: now)
        var buffer = Self.unwrapInboundIn(data)
        while phase == .greeting || phase == .bound, let event = reader.next(&buffer) {
            switch event {
            case .message(let frame): received(frame)
            case .ping(let payload): writeControl(.pong, payload)
            case .pong, .fragment: break
            case .close(let code): closedByPeer(code)
            case .violation(let code): fail(code, "the relay broke the framing of the binding")
            }
        }
    }

    func read(context: ChannelHandlerContext) {
        if pending.isWaiting || client.sink.isSaturated { isReadWithheld = true } else { context.read() }
    }

    /// Why a connection ends is told before it does, where the binding knows.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TransportError { failure = failure ?? event }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = failure ?? TransportError(.unreachable, "the connection failed: \(error)")
        context.close(promise: nil)
    }

    /// The listener has caught up, or a document has come: read what was left.
    func readAgain() {
        guard isReadWithheld, !pending.isWaiting, !client.sink.isSaturated else { return }
        isReadWithheld = false
        context?.read()
    }

    // MARK: hello

    /// Binds the connection to the device, or binds it anew (DSIP §13.2).
    func sendHello() {
        guard phase == .greeting || phase == .bound, let (id, envelope) = client.makeHello() else {
            return fail(.internalError, "the device key cannot sign")
        }
        sentHello = id
        write(envelope.bytes)
        helloTimeout?.cancel()
        let link = link!
        helloTimeout = eventLoop.scheduleTask(in: TimeAmount(Binding.helloTimeout)) {
            link.perform { $0.fail(.policyViolation, "the relay did not answer the hello in time", .timeout) }
        }
    }

    /// DSIP §13.2, §20.5: the answer names the `hello` that was sent on this connection, or the connection is closed.
    private func receivedHello(_ hello: Hello, _ message: Verified<Message>) {
        guard let sentHello, hello.inReplyTo == sentHello, let capabilities = hello.capabilities else {
            return fail(.policyViolation, "the relay's hello answers another connection")
        }
        if let expected = client.configuration.relay, expected != message.identity {
            return fail(.policyViolation, "another relay answered than the one expected")
        }
        self.sentHello = nil
        helloTimeout?.cancel()
        helloTimeout = nil
        let relay = SignalingClient.Relay(
            identity: message.identity,
            hello: message.body.id,
            capabilities: capabilities,
            binding: framing.binding
        )
        self.relay = relay
        phase = .bound
        bound.succeed(relay)
        client.destination = context?.channel.remoteAddress ?? client.destination
        // Whoever hears that the client is connected may send at once.
        client.attach(link)
        client.sink.yield(.state(.connected(relay)))
    }

    // MARK: Inbound

    private func received(_ frame: [UInt8]) {
        if pending.isWaiting {
            if !pending.append(frame, limit: SignalingClientHandler.maximumPendingBytes) {
                fail(.tryAgainLater, "too much arrived while a document was being resolved")
            }
        } else {
            verify(PendingFrames.Entry(frame: frame, resolutions: 0))
        }
    }

    private func verify(_ entry: PendingFrames.Entry) {
        let now = client.configuration.clock()
        let source = client.source
        let verdict = verifier.verify(
            entry.frame,
            at: now,
            replay: &replay,
            sentHello: sentHello,
            documents: { source.document(of: $0, at: now) },
            delegations: source.delegations,
            revocations: source.revocations,
            profiles: client.configuration.profiles
        )
        switch verdict {
        case .message(let message): accepted(message)
        case .profile(let message):
            guard phase == .bound else { return fail(.policyViolation, "the relay sent traffic before its hello") }
            client.sink.yield(.profile(message))
        case .refused(let refusal, _, _):
            rejected(Rejection(.schemaInvalid, reason: refusal.reason, refusal.detail), entry.frame)
        case .rejected(let rejection): rejected(rejection, entry.frame)
        case .needs(let did):
            guard entry.resolutions < PendingFrames.maximumResolutions else {
                return rejected(Rejection(.kidUnresolvable, "the signer cannot be resolved"), entry.frame)
            }
            pending.wait(entry)
            let link = link!
            Task {
                await source.resolve(did)
                link.perform { $0.resume() }
            }
        }
    }

    func resume() {
        pending.resume()
        while phase == .greeting || phase == .bound, let entry = pending.next() { verify(entry) }
        readAgain()
    }

    private func accepted(_ message: Verified<Message>) {
        switch (message.body.body, phase) {
        case (.hello(let hello), _): receivedHello(hello, message)
        case (.error(let report), _) where report.inReplyTo != nil && report.inReplyTo == sentHello:
            failure = TransportError(.refused, "the relay refused the hello: \(report.reason)")
            client.sink.yield(.state(.refused(SignalingClient.Refusal(by: message.identity, report))))
            close(.normal)
        case (_, .greeting):
            fail(.policyViolation, "the relay sent traffic before its hello")
        default:
            client.sink.yield(.message(message))
        }
    }

    private func rejected(_ rejection: Rejection, _ frame: [UInt8]) {
        if phase == .greeting, rejection.code == .replayWindow || rejection.code == .expired,
            let (ahead, overflow) = rejection.issuedAt.map({
                client.configuration.clock().subtractingReportingOverflow($0)
            }),
            !overflow, ahead.magnitude > ProtocolLimits.replayWindow.magnitude
        {
            // The relay has answered with a signature that is right and a time that is not ours.
            failure = failure ?? .clock(ahead: ahead)
            close(.policyViolation)
        } else if rejection.code == .helloInReplyToMismatch || phase == .greeting {
            fail(.policyViolation, "the relay's hello was not accepted: \(rejection.code.rawValue)")
        } else {
            var rejection = rejection
            rejection.keptAs = client.configuration.codecs.lazy.compactMap { $0.name(of: frame) }.first
            client.sink.yield(.rejected(rejection))
        }
    }

    // MARK: Outbound

    /// - Returns: fulfilled when the socket took the frame.
    func send(_ frame: [UInt8]) -> EventLoopFuture<Void> {
        guard phase == .bound, let context else {
            return eventLoop.makeFailedFuture(TransportError(.notConnected, "not connected to the relay"))
        }
        guard outbound + frame.count <= SignalingClientHandler.maximumOutboundBytes else {
            return eventLoop.makeFailedFuture(TransportError(.backpressure, "the relay reads too slowly"))
        }
        outbound += frame.count
        let written = context.eventLoop.makePromise(of: Void.self)
        let link = link!
        written.futureResult.whenComplete { _ in link.perform { $0.outbound -= frame.count } }
        write(frame, written)
        return written.futureResult
    }

    private func write(_ envelope: [UInt8], _ promise: EventLoopPromise<Void>? = nil) {
        write(envelope.count, promise) { buffer in
            self.framing.append(envelope, mask: .random(in: 0 ... .max), to: &buffer)
        }
    }

    private func writeControl(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
        guard framing.asksForLife else { return }
        write(payload.count, nil) { FrameWriter.append(opcode, payload, mask: .random(in: 0 ... .max), to: &$0) }
    }

    /// Flushes once for all that is written in a turn of the loop.
    private func write(_ count: Int, _ promise: EventLoopPromise<Void>?, _ append: (inout ByteBuffer) -> Void) {
        guard let context else {
            promise?.fail(TransportError(.notConnected, "not connected to the relay"))
            return
        }
        var buffer = context.channel.allocator.buffer(capacity: count + FrameWriter.maximumHeader)
        append(&buffer)
        context.write(Self.wrapOutboundOut(buffer), promise: promise)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        let link = link!
        eventLoop.execute { link.perform { $0.flush() } }
    }

    private func flush() {
        isFlushScheduled = false
        context?.flush()
    }

    // MARK: Time and end

    private func tick() {
        guard phase == .bound || phase == .greeting else {
            context?.close(promise: nil)
            return
        }
        guard framing.asksForLife else { return }
        switch liveness.check(at: now, .client) {
        case .none: break
        case .ping: writeControl(.ping, [])
        case .close: fail(.goingAway, "the relay has been silent for too long", .timeout)
        }
    }

    private func closedByPeer(_ code: UInt16?) {
        failure =
            failure
            ?? TransportError(.closed, "the relay closed the connection" + (code.map { " (\($0))" } ?? ""))
        close(.normal)
    }

    private func fail(_ code: CloseCode, _ reason: String, _ error: TransportError.Code = .protocolViolation) {
        failure = failure ?? TransportError(error, reason)
        close(code)
    }

    /// Says goodbye; the connection ends when the relay has, or shortly after.
    func close(_ code: CloseCode) {
        guard phase == .greeting || phase == .bound, let context else { return }
        phase = .closing
        failure = failure ?? TransportError(.closed, "the connection was closed")
        pending.removeAll()
        if case .stream(let farewell) = framing {
            context.flush()
            return farewell(code)
        }
        var buffer = context.channel.allocator.buffer(capacity: FrameWriter.maximumHeader)
        FrameWriter.append(close: code, mask: .random(in: 0 ... .max), to: &buffer)
        let channel = context.channel
        let written = eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in
            // The relay has what it needs to know; there is nothing left to wait for.
            channel.close(promise: nil)
        }
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: written)
    }

    private func end() {
        guard phase != .ended else { return }
        phase = .ended
        timer?.cancel()
        helloTimeout?.cancel()
        pending.removeAll()
        client.sink.onResume(link, nil)
        let failure = failure ?? TransportError(.unreachable, "the connection to the relay was lost")
        bound.fail(failure)
        ended.succeed(failure)
        link.detach()
        context = nil
    }
}
