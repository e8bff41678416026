import DSIPSignaling
import Encoding
import NIOCore

/// A sender and a receiver; a closed loop with so many messages under way.
struct LoadPair: Sendable {
    /// Under way at once.
    private static let window = 64

    let sender: Caller
    private let receiver: Caller
    private let session: ULID
    private let wires: [Wire]
    private let loop: any EventLoop
    private let progress: NIOLoopBound<LoadProgress>

    init(_ port: Int, by binding: WireBinding, on loop: any EventLoop) async throws {
        let (sender, receiver) = (try Caller(), try Caller())
        let progress = try await loop.submit { NIOLoopBound(LoadProgress(binding.send), eventLoop: loop) }.get()
        let inbound = try await binding.dial(port, receiver.hello(), loop) { event in
            switch event {
            case .text: progress.value.arrived()
            case .burstEnded: progress.value.outbound?.flush()
            }
        }
        let outbound = try await binding.dial(port, sender.hello(), loop) { event in
            if case .text = event { progress.value.fail(BenchmarkError("the relay refused a message")) }
        }
        try await inbound.bound.get()
        try await outbound.bound.get()
        try await loop.submit { progress.value.outbound = outbound.channel }.get()
        self.wires = [inbound, outbound]
        self.sender = sender
        self.receiver = receiver
        self.session = sender.stamp().id
        self.loop = loop
        self.progress = progress
    }

    func close() async { for wire in wires { try? await wire.channel.close() } }

    func frame() throws -> [UInt8] { try sender.info(to: receiver, session: session) }

    /// Returns when the last frame has arrived.
    func carry(_ frames: [[UInt8]]) async throws {
        let progress = progress
        try await loop.flatSubmit { progress.value.start(frames, window: Self.window, on: progress.eventLoop) }.get()
    }
}

/// What of a batch is sent and arrived; lives on the loop of both connections.
private final class LoadProgress {
    var outbound: (any Channel)?
    private let send: @Sendable ([UInt8], any Channel) -> Void
    private var frames: [[UInt8]] = []
    private var sent = 0
    private var received = 0
    private var done: EventLoopPromise<Void>?

    init(_ send: @escaping @Sendable ([UInt8], any Channel) -> Void) { self.send = send }

    func start(_ frames: [[UInt8]], window: Int, on loop: any EventLoop) -> EventLoopFuture<Void> {
        self.frames = frames
        (sent, received) = (0, 0)
        let done = loop.makePromise(of: Void.self)
        self.done = done
        loop.scheduleTask(in: .seconds(60)) {
            done.fail(BenchmarkError("messages sent through the relay did not arrive"))
        }
        for _ in 0..<min(window, frames.count) { sendNext() }
        outbound?.flush()
        return done.futureResult
    }

    func arrived() {
        received += 1
        if sent < frames.count { sendNext() }
        guard received == frames.count else { return }
        done?.succeed()
        done = nil
    }

    func fail(_ error: BenchmarkError) {
        done?.fail(error)
        done = nil
    }

    private func sendNext() {
        guard let outbound else { return }
        send(frames[sent], outbound)
        sent += 1
    }
}
