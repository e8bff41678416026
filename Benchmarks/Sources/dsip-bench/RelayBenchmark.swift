import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOPosix
import NIOSSL

/// Messages a relay carries from sender's socket to receiver's, per second of its processor time, against bare verifications.
///
/// Between pairs of bound devices, over TLS, each envelope new, signed before the clock starts and verified by the relay.
enum RelayBenchmark {
    private static let pairs = 4
    private static let messagesEach = 4_000
    /// Under way at once, for each pair.
    private static let window = 64
    private static let verifications = 5_000

    static func run(_ options: Options) async throws {
        try await withTemporaryFolder { folder in
            let relay = try RelayProcess(options.dsip, folder: folder)
            defer { relay.end() }
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = group.next()
            let context = try Wire.context()
            var load: [LoadPair] = []
            for _ in 0..<pairs {
                load.append(try await LoadPair(relay.port, on: loop, context, window: window))
            }
            var relayed: [Double] = []
            var bare: [Double] = []
            var size = 0
            // The first round warms up and does not count.
            for round in 0...options.rounds {
                let frames = try load.map { pair in try (0..<messagesEach).map { _ in try pair.frame() } }
                size = frames[0][0].count
                let verification = try nanosecondsOfVerification(frames[0][0], load[0].sender)
                let before = try relay.child.processorSeconds()
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for (pair, frames) in zip(load, frames) { tasks.addTask { try await pair.carry(frames) } }
                    try await tasks.waitForAll()
                }
                let seconds = try relay.child.processorSeconds() - before
                guard round > 0 else { continue }
                relayed.append(seconds * 1e9 / Double(pairs * messagesEach))
                bare.append(verification)
            }
            Report.line(
                "relay",
                "\(size) bytes in \(Report.microseconds(relayed.median)) of the relay's processor time, "
                    + "\(Int(1e9 / relayed.median)) messages a second and core, bare verification \(Report.microseconds(bare.median))",
                ratio: bare.median / relayed.median,
                atLeast: 0.75
            )
            try await group.shutdownGracefully()
        }
    }

    private static func nanosecondsOfVerification(_ frame: [UInt8], _ sender: Caller) throws -> Double {
        guard let envelope = Envelope(frame), case .ed25519(let key) = sender.device.publicKey else {
            throw BenchmarkError("the sample is no envelope")
        }
        let (signature, input) = (envelope.decodedSignature(), envelope.signingInput)
        let start = Rounds.processorTime()
        for _ in 0..<verifications {
            guard key.isValidSignature(signature, for: input) else {
                throw BenchmarkError("the sample does not verify")
            }
        }
        return (Rounds.processorTime() - start) / Double(verifications)
    }
}

/// A sender and a receiver; a closed loop with so many messages under way.
private struct LoadPair: Sendable {
    let sender: Caller
    private let receiver: Caller
    private let session: ULID
    private let window: Int
    private let loop: any EventLoop
    private let progress: NIOLoopBound<LoadProgress>

    init(_ port: Int, on loop: any EventLoop, _ context: NIOSSLContext, window: Int) async throws {
        let (sender, receiver) = (try Caller(), try Caller())
        let progress = try await loop.submit { NIOLoopBound(LoadProgress(), eventLoop: loop) }.get()
        let inbound = try await Wire.connect(to: port, saying: receiver.hello(), on: loop, context) { event in
            switch event {
            case .text: progress.value.arrived()
            case .burstEnded: progress.value.outbound?.flush()
            }
        }
        let outbound = try await Wire.connect(to: port, saying: sender.hello(), on: loop, context) { event in
            if case .text = event { progress.value.fail(BenchmarkError("the relay refused a message")) }
        }
        try await inbound.bound.get()
        try await outbound.bound.get()
        try await loop.submit { progress.value.outbound = outbound.channel }.get()
        self.sender = sender
        self.receiver = receiver
        self.session = sender.stamp().id
        self.window = window
        self.loop = loop
        self.progress = progress
    }

    func frame() throws -> [UInt8] { try sender.info(to: receiver, session: session) }

    /// Returns when the last frame has arrived.
    func carry(_ frames: [[UInt8]]) async throws {
        let (progress, window) = (progress, window)
        try await loop.flatSubmit { progress.value.start(frames, window: window, on: progress.eventLoop) }.get()
    }
}

/// What of a batch is sent and arrived; lives on the loop of both connections.
private final class LoadProgress {
    var outbound: (any Channel)?
    private var frames: [[UInt8]] = []
    private var sent = 0
    private var received = 0
    private var done: EventLoopPromise<Void>?

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
        Wire.send(frames[sent], over: outbound)
        sent += 1
    }
}
