import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOWebSocket

/// The server's end of one connection, of either binding: frames in, verified messages to the delegate, envelopes out (DSIP §13.2).
///
/// It comes last on a channel upgraded to WebSocket, or on the one stream of a QUIC connection, whose frames it reads and writes itself;
/// `SignalingService.install(on:)` puts it there. All that connections of one event loop share (verifier, timer, configuration) stands in a `ConnectionLoop`; an idle connection holds
/// no buffer and no timer of its own.
final class SignalingServerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        /// No verified `hello` yet.
        case unbound
        case bound
        /// A close frame is out; nothing that arrives counts any more.
        case closing
    }

    /// Fragments, pings and pongs in a second; a message of the largest size in fragments of 256 bytes has as many.
    private static let maximumMinorFrames = 256

    private let loop: ConnectionLoop
    private let framing: Framing
    private var phase = Phase.unbound
    private let subprotocol: Subprotocol?
    private var reader: FrameReader
    private var pending = PendingFrames()
    private var liveness: Liveness
    /// When the phase began, in nanoseconds of the loop's clock.
    private var since: UInt64
    /// Envelopes refused in a row.
    private var strikes = 0
    /// Fragments, pings and pongs since the last tick.
    private var minorFrames = 0
    private var isReadWithheld = false
    private var context: ChannelHandlerContext?
    private(set) var connection: SignalingConnection!
    /// Place in `ConnectionLoop`.
    var slot = -1

    init(_ loop: ConnectionLoop, _ framing: Framing = .webSocket, speaking subprotocol: Subprotocol? = nil) {
        self.loop = loop
        self.framing = framing
        self.subprotocol = subprotocol
        self.reader = framing.reader(.server, takesBinary: subprotocol?.form.isBinary ?? false)
        self.since = loop.now
        self.liveness = Liveness(at: loop.now)
    }

    private var service: SignalingService { loop.service }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection = SignalingConnection(
            context.channel,
            handler: self,
            subprotocol: subprotocol,
            outboundLimit: service.configuration.maximumOutboundBytes
        )
        loop.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }
    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .closing, slot >= 0 else { return }
        liveness.received(at: loop.now)
        var buffer = Self.unwrapInboundIn(data)
        let cycle = loop.cycle
        cycle.begin()
        defer { cycle.end() }
        while phase != .closing, slot >= 0, let event = reader.next(&buffer) {
            switch event {
            case .message(let frame):
                received(frame)
                cycle.step()
            case .ping(let payload):
                write(.pong, payload)
                countMinor()
            case .pong, .fragment: countMinor()
            case .close: close(.normal)
            case .violation(let code): close(code)
            }
        }
    }

    /// Frames that are no message are cheap, but not free, and no limit of the delegate's sees them.
    private func countMinor() {
        minorFrames += 1
        if minorFrames > SignalingServerHandler.maximumMinorFrames { close(.policyViolation) }
    }

    /// While a document is being resolved nothing more is read.
    func read(context: ChannelHandlerContext) {
        if pending.isWaiting { isReadWithheld = true } else { context.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // TLS has failed, or the socket.
        abandon()
    }

    // MARK: Inbound

    private func received(_ frame: [UInt8]) {
        if pending.isWaiting {
            if !pending.append(frame, limit: service.configuration.maximumPendingBytes) { close(.tryAgainLater) }
        } else {
            verify(PendingFrames.Entry(frame: frame, resolutions: 0))
        }
    }

    private func verify(_ entry: PendingFrames.Entry) {
        guard service.delegate.admits(connection, bytes: entry.frame.count) else { return refuseUnread() }
        switch loop.verify(entry.frame, helloVerified: phase == .bound) {
        case .message(let message):
            strikes = 0
            if case .hello(let hello) = message.body.body {
                bind(hello, message)
            } else {
                service.delegate.received(connection, message)
            }
        case .profile(let message):
            strikes = 0
            service.delegate.received(connection, profile: message)
        case .refused(let refusal, let id, let from): refuse(refusal, id: id, from: from)
        case .rejected(let rejection): refuse(rejection)
        case .needs(let did):
            if entry.resolutions < PendingFrames.maximumResolutions {
                resolve(did, for: entry)
            } else {
                refuse(Rejection(.kidUnresolvable, "the signer cannot be resolved"))
            }
        }
    }

    private func resolve(_ did: DID, for entry: PendingFrames.Entry) {
        pending.wait(entry)
        let connection = connection!
        let source = service.source
        Task {
            await source.resolve(did)
            connection.resume()
        }
    }

    func resume() {
        pending.resume()
        while phase != .closing, slot >= 0, let entry = pending.next() { verify(entry) }
        if !pending.isWaiting, isReadWithheld {
            isReadWithheld = false
            context?.read()
        }
    }

    // MARK: hello

    /// DSIP §13.2: answer with a signed `hello` first, deliver after. A later `hello` replaces the binding.
    private func bind(_ hello: Hello, _ message: Verified<Message>) {
        guard hello.inReplyTo == nil else {
            return refuse(Rejection(.schemaInvalid, reason: .transportHelloRejected, "a relay's hello", type: .hello))
        }
        guard let reply = service.hello(inReplyTo: message.body.id, in: connection.form) else {
            return close(.internalError)
        }
        let previous = connection.device
        let device = SignalingConnection.Device(
            device: message.body.from,
            identity: message.identity,
            principal: message.principal
        )
        connection.bind(device, readsProposal: message.body.version.extensions.contains(.proposalDialect))
        phase = .bound
        connection.send(reply.bytes)
        service.delegate.bound(connection, message, replacing: previous)
    }

    // MARK: Refusals

    /// Answers with a signed `error` where the peer can make use of it, and ends a connection that keeps sending what is refused.
    private func refuse(_ rejection: Rejection) {
        service.delegate.rejected(connection, rejection)
        strikes += 1
        // A duplicate is what a retransmission across a reconnect looks like (DSIP §13.2); its first copy was dealt with.
        if rejection.code != .duplicateID,
            let error = service.error(for: rejection, isBound: phase == .bound, in: connection.form)
        {
            connection.send(error.bytes)
        }
        if phase == .unbound, rejection.code != .helloRequired {
            close(.policyViolation)
        } else if strikes >= service.configuration.maximumStrikes {
            close(.policyViolation)
        }
    }

    /// The envelope is in order, what it says is not.
    private func refuse(_ refusal: ProfileReader.Refusal, id: ULID, from: DID) {
        service.delegate.rejected(connection, Rejection(.schemaInvalid, reason: refusal.reason, refusal.detail))
        strikes += 1
        let reason = refusal.reason ?? .sessionFailed
        if let error = service.error(
            reason,
            to: from,
            inReplyTo: id,
            detail: refusal.detail,
            in: connection.form
        ) {
            connection.send(error.bytes)
        }
        if strikes >= service.configuration.maximumStrikes { close(.policyViolation) }
    }

    /// The delegate would not have the frame looked at.
    private func refuseUnread() {
        strikes += 1
        if let device = connection.device?.device,
            let error = service.error(.transportRateLimited, to: device, retryAfter: 1, in: connection.form)
        {
            connection.send(error.bytes)
        }
        if phase == .unbound || strikes >= service.configuration.maximumStrikes { close(.policyViolation) }
    }

    // MARK: Outbound

    func drain() {
        guard let context, let batch = connection.takeBatch() else { return }
        let connection = connection!
        let buffers = batch.buffers(context.channel.allocator, framing)
        for buffer in buffers.dropLast() { context.write(Self.wrapOutboundOut(buffer), promise: nil) }
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenComplete { result in
            connection.settled(batch.bytes, taken: (try? result.get()) != nil)
        }
        context.writeAndFlush(Self.wrapOutboundOut(buffers[buffers.count - 1]), promise: promise)
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
        guard let context, context.channel.isWritable else { return }
        var buffer = context.channel.allocator.buffer(capacity: payload.count + FrameWriter.maximumHeader)
        FrameWriter.append(opcode, payload, to: &buffer)
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: nil)
    }

    // MARK: Time and end

    /// Once a second, from the loop.
    func tick(_ now: UInt64) {
        minorFrames = 0
        switch phase {
        case .unbound where now >= since + Binding.helloTimeout.nanoseconds: close(.policyViolation)
        case .unbound: break
        case .bound where framing.asksForLife:
            switch liveness.check(at: now, .server) {
            case .none: break
            case .ping: write(.ping, [])
            case .close: close(.goingAway)
            }
        case .bound: break
        case .closing where now >= since + ConnectionLoop.linger.nanoseconds: abandon()
        case .closing: break
        }
    }

    /// Sends what is queued and a close frame, then waits a little for the peer to go: closing at once would discard the close
    /// frame together with what the peer is still sending.
    func close(_ code: CloseCode) {
        guard phase != .closing, let context else { return }
        drain()
        phase = .closing
        since = loop.now
        pending.removeAll()
        connection.closeOutbox()
        if case .stream(let farewell) = framing { return farewell(code) }
        var buffer = context.channel.allocator.buffer(capacity: FrameWriter.maximumHeader)
        FrameWriter.append(close: code, to: &buffer)
        let channel = context.channel
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in channel.close(mode: .output, promise: nil) }
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: written)
    }

    /// Ends the connection at once.
    func abandon() {
        phase = .closing
        context?.close(promise: nil)
    }

    private func end() {
        guard slot >= 0, let connection else { return }
        loop.remove(self)
        let device = connection.device
        connection.detach()
        pending.removeAll()
        context = nil
        service.delegate.closed(connection, device)
    }
}
