#if QUIC
import NIOConcurrencyHelpers
import NIOCore

/// One stream as a NIO channel of `ByteBuffer`s, so that any handler written for TCP runs over it (RFC 9000 §2).
///
/// A write's promise is kept when its bytes have gone into packets, as a socket's is when the kernel took them. What is not read
/// is not granted to the peer again: a handler that withholds `read` slows its peer down to a standstill.
///
/// `close` with all sent ends our side and asks the peer to stop; with bytes still unsent it aborts the stream. A peer that ends
/// its side closes the channel, unless `allowRemoteHalfClosure` is set.
final class QUICStreamChannel: Channel, ChannelCore, @unchecked Sendable {
    // Unchecked: but for `flags`, all mutable state is touched on the event loop only.

    private struct Flags {
        var isActive = false
        var isWritable = true
    }

    /// Unsent bytes above which the channel is not writable, and below which it is again.
    private static let highWatermark = 64 << 10
    private static let lowWatermark = 32 << 10

    let allocator = ByteBufferAllocator()
    let eventLoop: any EventLoop
    let id: Int64
    private(set) var connection: QUICConnection?
    private var pipelineStorage: ChannelPipeline!
    private let closePromise: EventLoopPromise<Void>
    private let flags = NIOLockedValueBox(Flags())

    // Outbound.
    private(set) var outbound = SendQueue()
    /// Bytes acknowledged from the start on.
    private var acknowledged: UInt64 = 0
    private var isOutputClosed = false
    private var isFinSent = false
    private var outputClosePromises: [EventLoopPromise<Void>] = []
    /// Whether the connection has it among those that wait to be sent.
    var isQueued = false

    // Inbound.
    private var inbound = ByteBuffer()
    private var isInputFinished = false
    private var isInputReported = false
    private var isReadPending = false
    private var isDelivering = false
    private var autoRead = true
    private var allowsHalfClosure = false
    private var isClosed = false
    /// Whether only what was not read yet keeps the channel.
    private var outlivesLibrary = false

    init(_ id: Int64, of connection: QUICConnection) {
        self.id = id
        self.connection = connection
        self.eventLoop = connection.eventLoop
        self.localAddress = connection.localAddress
        self.closePromise = connection.eventLoop.makePromise()
        self.pipelineStorage = ChannelPipeline(channel: self)
    }

    // MARK: Channel

    var pipeline: ChannelPipeline { pipelineStorage }
    var closeFuture: EventLoopFuture<Void> { closePromise.futureResult }
    let localAddress: SocketAddress?
    /// Where the peer is now; it may move (RFC 9000 §9).
    var remoteAddress: SocketAddress? { connection?.remoteAddress }
    var parent: (any Channel)? { nil }
    var isWritable: Bool { flags.withLockedValue { $0.isWritable } }
    var isActive: Bool { flags.withLockedValue { $0.isActive } }
    var _channelCore: any ChannelCore { self }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        if eventLoop.inEventLoop { return eventLoop.makeCompletedFuture { try set(option, value) } }
        return eventLoop.submit { try self.set(option, value) }
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        if eventLoop.inEventLoop { return eventLoop.makeCompletedFuture { try get(option) } }
        return eventLoop.submit { try self.get(option) }
    }

    private func set<Option: ChannelOption>(_ option: Option, _ value: Option.Value) throws {
        switch (option, value) {
        case (is ChannelOptions.Types.AutoReadOption, let value as Bool):
            let begins = value && !autoRead
            autoRead = value
            if begins, isActive { read0() }
        case (is ChannelOptions.Types.AllowRemoteHalfClosureOption, let value as Bool): allowsHalfClosure = value
        default: throw ChannelError.operationUnsupported
        }
    }

    private func get<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
        let value: Any
        switch option {
        case is ChannelOptions.Types.AutoReadOption: value = autoRead
        case is ChannelOptions.Types.AllowRemoteHalfClosureOption: value = allowsHalfClosure
        default: throw ChannelError.operationUnsupported
        }
        guard let value = value as? Option.Value else { throw ChannelError.operationUnsupported }
        return value
    }

    var syncOptions: (any NIOSynchronousChannelOptions)? { SynchronousOptions(channel: self) }

    private struct SynchronousOptions: NIOSynchronousChannelOptions {
        let channel: QUICStreamChannel

        func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
            try channel.set(option, value)
        }

        func getOption<Option: ChannelOption>(_ option: Option) throws -> Option.Value { try channel.get(option) }
    }

    // MARK: For the connection

    /// The pipeline is set up: the channel begins.
    func activate() {
        guard !isClosed else { return }
        flags.withLockedValue { $0.isActive = true }
        pipeline.fireChannelRegistered()
        pipeline.fireChannelActive()
        if autoRead { pipeline.read() }
    }

    /// Bytes of the peer, in order; handed on once reading is asked for.
    func received(_ bytes: UnsafeRawBufferPointer, isLast: Bool) {
        if isClosed {
            connection?.consumed(bytes.count, of: id)
        } else {
            inbound.writeBytes(bytes)
        }
        if isLast { isInputFinished = true }
    }

    /// Hands on what has arrived, if it was asked for. Not from within the library's callbacks.
    func deliver() {
        guard isActive, !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while isReadPending, inbound.readableBytes > 0, isActive {
            isReadPending = false
            let bytes = inbound
            inbound = ByteBuffer()
            connection?.consumed(bytes.readableBytes, of: id)
            pipeline.fireChannelRead(bytes)
            pipeline.fireChannelReadComplete()
            if autoRead, isActive { pipeline.read() }
        }
        guard isInputFinished, inbound.readableBytes == 0, !isInputReported, isActive else { return }
        isInputReported = true
        if allowsHalfClosure {
            pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            closeIfBothEnded()
        } else {
            close0(error: ChannelError.eof, mode: .all, promise: nil)
        }
    }

    /// Both ends have said that they are done, and all of ours is on its way.
    func closeIfBothEnded() {
        guard isInputReported, isInputFinished, isFinSent, !isClosed else { return }
        close0(error: ChannelError.eof, mode: .all, promise: nil)
    }

    /// Whether there is anything to put into a packet.
    var isSendable: Bool { outbound.isSendable || (isOutputClosed && !isFinSent && outbound.unsent == 0) }

    /// Whether the bytes queued are the last ones.
    var endsAfterQueue: Bool { isOutputClosed && !isFinSent }

    /// - Parameter withEnd: whether the end of the stream was offered with these bytes; it goes with the last one.
    /// - Returns: the promises that have been kept.
    func sent(_ count: Int, withEnd: Bool) -> [EventLoopPromise<Void>] {
        var kept = outbound.sent(count)
        if withEnd, outbound.unsent == 0 {
            isFinSent = true
            kept += outputClosePromises
            outputClosePromises = []
        }
        return kept
    }

    func acknowledged(_ offset: UInt64, _ count: UInt64) {
        acknowledged = max(acknowledged, offset + count)
        outbound.acknowledged(upTo: acknowledged)
    }

    /// What was unsent has shrunk.
    func updateWritability() {
        let unsent = outbound.unsent
        let changed = flags.withLockedValue { flags in
            let isWritable = flags.isWritable ? unsent <= Self.highWatermark : unsent < Self.lowWatermark
            defer { flags.isWritable = isWritable }
            return flags.isWritable != isWritable
        }
        if changed, isActive { pipeline.fireChannelWritabilityChanged() }
    }

    /// The peer aborted its side, or stopped ours.
    func wasReset(_ error: QUICError) {
        guard isActive else { return }
        pipeline.fireErrorCaught(error)
        close0(error: error, mode: .all, promise: nil)
    }

    /// The library is done with the stream. What the application has not read yet stays readable.
    ///
    /// - Returns: whether the channel is over too; when it is not, it says so itself once it is.
    func finished(_ error: QUICError?) -> Bool {
        guard error == nil, isActive, inbound.readableBytes > 0 else {
            ended(error ?? QUICError(.closed, "the stream is over"))
            return true
        }
        for promise in outbound.removeAll() { promise.fail(ChannelError.outputClosed) }
        isOutputClosed = true
        isFinSent = true
        isInputFinished = true
        outlivesLibrary = true
        return false
    }

    /// The stream, or its connection, is over: nothing can be sent and nothing comes.
    ///
    /// - Parameter event: told to the pipeline before it ends.
    func ended(_ error: any Error, event: QUICError? = nil) {
        let promises = outbound.removeAll() + outputClosePromises
        outputClosePromises = []
        isOutputClosed = true
        isFinSent = true
        for promise in promises { promise.fail(error) }
        if let event, isActive { pipeline.fireUserInboundEventTriggered(event) }
        connection?.consumed(inbound.readableBytes, of: id)
        becomeInactive()
        connection = nil
    }

    private func becomeInactive() {
        guard !isClosed else { return }
        isClosed = true
        inbound = ByteBuffer()
        let wasActive = flags.withLockedValue { flags in
            defer { flags = Flags(isActive: false, isWritable: false) }
            return flags.isActive
        }
        if wasActive {
            pipeline.fireChannelInactive()
            pipeline.fireChannelUnregistered()
        }
        if outlivesLibrary {
            connection?.forget(self)
            connection = nil
        }
        // Handlers may still be on the stack.
        eventLoop.execute {
            self.removeHandlers(pipeline: self.pipeline)
            self.closePromise.succeed()
        }
    }

    // MARK: ChannelCore

    func localAddress0() throws -> SocketAddress {
        guard let localAddress else { throw ChannelError.unknownLocalAddress }
        return localAddress
    }

    func remoteAddress0() throws -> SocketAddress {
        guard let remoteAddress else { throw ChannelError.operationUnsupported }
        return remoteAddress
    }

    func register0(promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }
    func registerAlreadyConfigured0(promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }
    func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) { promise?.fail(ChannelError.operationUnsupported) }
    func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    func channelRead0(_ data: NIOAny) {}

    func errorCaught0(error: any Error) {}

    func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isClosed else { return promise?.fail(ChannelError.ioOnClosedChannel) ?? () }
        guard !isOutputClosed else { return promise?.fail(ChannelError.outputClosed) ?? () }
        outbound.append(unwrapData(data), promise)
        updateWritability()
    }

    func flush0() {
        outbound.flush()
        if isSendable { connection?.wantsToSend(self) }
    }

    func read0() {
        guard !isClosed else { return }
        isReadPending = true
        deliver()
    }

    func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard !isClosed else { return promise?.fail(ChannelError.alreadyClosed) ?? () }
        switch mode {
        case .output:
            guard !isOutputClosed else { return promise?.fail(ChannelError.outputClosed) ?? () }
            if let promise { outputClosePromises.append(promise) }
            finish()
        case .input:
            connection?.stopReading(id)
            isInputReported = true
            promise?.succeed()
        case .all:
            let unsent = outbound.unsent
            let promises = unsent > 0 ? outbound.dropUnsent() : []
            if unsent > 0 {
                isOutputClosed = true
                isFinSent = true
                connection?.abort(id)
            } else {
                if !isOutputClosed { finish() }
                if !isInputFinished { connection?.stopReading(id) }
            }
            connection?.consumed(inbound.readableBytes, of: id)
            becomeInactive()
            for promise in promises { promise.fail(error) }
            promise?.succeed()
        }
    }

    /// No more comes after what is queued.
    private func finish() {
        isOutputClosed = true
        outbound.flush()
        connection?.wantsToSend(self)
    }
}
#endif
