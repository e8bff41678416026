import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOPosix

/// Messages a relay carries from sender's socket to receiver's, per second of its processor time, against bare verifications.
///
/// Between pairs of bound devices, over TLS, each envelope new, signed before the clock starts and verified by the relay.
enum RelayBenchmark {
    static let pairs = 4
    static let messagesEach = 4_000
    private static let verifications = 5_000

    static func run(_ options: Options) async throws {
        try await withTemporaryFolder { folder in
            let relay = try RelayProcess(options.dsip, folder: folder)
            defer { relay.end() }
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = group.next()
            let binding = try WireBinding.webSocket()
            var load: [LoadPair] = []
            for _ in 0..<pairs { load.append(try await LoadPair(relay.port, by: binding, on: loop)) }
            var relayed: [Double] = []
            var bare: [Double] = []
            var size = 0
            // The first round warms up and does not count.
            for round in 0...options.rounds {
                let frames = try load.map { pair in try (0..<messagesEach).map { _ in try pair.frame() } }
                size = frames[0][0].count
                let verification = try nanosecondsOfVerification(frames[0][0], load[0].sender)
                let time = try await nanoseconds(of: relay.child, for: load, frames)
                guard round > 0 else { continue }
                relayed.append(time)
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

    /// - Returns: what carrying a message costs the relay, in processor time.
    static func nanoseconds(of relay: Child, for load: [LoadPair], _ frames: [[[UInt8]]]) async throws -> Double {
        let before = try relay.processorSeconds()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (pair, frames) in zip(load, frames) { tasks.addTask { try await pair.carry(frames) } }
            try await tasks.waitForAll()
        }
        return (try relay.processorSeconds() - before) * 1e9 / Double(frames.map(\.count).reduce(0, +))
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
