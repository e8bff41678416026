#if QUIC
import NIOCore
import NIOPosix

/// `quic/1.0` beside `ws/1.0` over TLS at one relay process: what carrying a message costs it, as in `relay`, and the time from dialling to
/// the first envelope exchanged, a signed `hello` each way. The two take turns, round by round.
enum QUICBenchmark {
    private static let connectsEach = 20

    static func run(_ options: Options) async throws {
        try await withTemporaryFolder { folder in
            let relay = try RelayProcess(options.dsip, folder: folder, speaksQUIC: true)
            defer { relay.end() }
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let bindings = [try WireBinding.quic(), try WireBinding.webSocket()]
            var loads: [[LoadPair]] = []
            for binding in bindings {
                var load: [LoadPair] = []
                for _ in 0..<RelayBenchmark.pairs {
                    load.append(try await LoadPair(relay.port, by: binding, on: loop))
                }
                loads.append(load)
            }
            var relayed = [[Double]](repeating: [], count: bindings.count)
            var connected = relayed
            var size = 0
            // The first round warms up and does not count.
            for round in 0...options.rounds {
                for (index, load) in loads.enumerated() {
                    let frames = try load.map { pair in
                        try (0..<RelayBenchmark.messagesEach).map { _ in try pair.frame() }
                    }
                    size = frames[0][0].count
                    let time = try await RelayBenchmark.nanoseconds(of: relay.child, for: load, frames)
                    if round > 0 { relayed[index].append(time) }
                }
                for _ in 0..<connectsEach {
                    for (index, binding) in bindings.enumerated() {
                        let time = try await secondsToGreet(relay.port, by: binding, on: loop)
                        if round > 0 { connected[index].append(time) }
                    }
                }
            }
            for load in loads { for pair in load { await pair.close() } }
            let (quic, webSocket) = (relayed[0].median, relayed[1].median)
            Report.line(
                "quic",
                "\(size) bytes in \(Report.microseconds(quic)) of the relay's processor time, WebSocket over TLS "
                    + Report.microseconds(webSocket),
                ratio: quic / webSocket
            )
            Report.line(
                "quic",
                "\(Report.milliseconds(connected[0].median)) from dialling to the first envelope exchanged, WebSocket over TLS "
                    + Report.milliseconds(connected[1].median),
                ratio: connected[0].median / connected[1].median
            )
        }
    }

    private static func secondsToGreet(_ port: Int, by binding: WireBinding, on loop: any EventLoop) async throws
        -> Double
    {
        let hello = try Caller().hello()
        let clock = ContinuousClock()
        let start = clock.now
        let wire = try await binding.dial(port, hello, loop) { _ in }
        try await wire.bound.get()
        let time = (clock.now - start) / .seconds(1)
        try? await wire.channel.close()
        return time
    }
}
#endif
