import NIOCore
import Synchronization

#if QUIC
import QUIC
#endif

/// One connection of a client, usable from any thread while it lasts.
final class ClientLink: Sendable {
    let channel: any Channel
    /// Fulfilled when the relay's `hello` has been verified; failed when that does not come about.
    let bound: EventLoopFuture<SignalingClient.Relay>
    /// Why the connection ended; fulfilled once it has.
    let ended: EventLoopFuture<TransportError>
    #if QUIC
    /// The socket that a QUIC connection leaves by.
    let endpoint = Mutex<QUICEndpoint?>(nil)
    #endif
    private let handler: NIOLoopBoundBox<SignalingClientHandler?>

    init(_ handler: SignalingClientHandler, on channel: any Channel) {
        self.channel = channel
        self.bound = handler.bound.futureResult
        self.ended = handler.ended.futureResult
        self.handler = NIOLoopBoundBox(handler, eventLoop: channel.eventLoop)
    }

    /// Returns when the socket has taken the frame.
    func send(_ frame: [UInt8]) async throws(TransportError) {
        do {
            try await channel.eventLoop.flatSubmit { self.write(frame) }.get()
        } catch {
            throw error as? TransportError ?? TransportError(.notConnected, "the connection to the relay ended")
        }
    }

    private func write(_ frame: [UInt8]) -> EventLoopFuture<Void> {
        guard let handler = handler.value else {
            return channel.eventLoop.makeFailedFuture(TransportError(.notConnected, "not connected to the relay"))
        }
        return handler.send(frame)
    }

    func perform(_ body: @escaping @Sendable (SignalingClientHandler) -> Void) {
        channel.eventLoop.execute { if let handler = self.handler.value { body(handler) } }
    }

    /// Closes the connection, should the relay not have done so by then.
    func leave(after patience: Duration) {
        channel.eventLoop.scheduleTask(in: TimeAmount(patience)) { self.handler.value?.close(.normal) }
    }

    func detach() { handler.value = nil }
}
