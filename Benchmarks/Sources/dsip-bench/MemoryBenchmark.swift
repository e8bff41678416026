import Foundation
import NIOCore
import NIOPosix
import NIOSSL

/// Memory of an idle connection: a relay's with a device bound to it, against that of a bare NIO WebSocket server over TLS.
enum MemoryBenchmark {
    /// Opened before counting, so that what a process allocates once is not counted as the connections'.
    private static let first = 64
    /// Handshakes under way at once.
    private static let width = 32

    static func run(_ options: Options) async throws {
        try raiseFileLimit(to: options.connections + 256)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let context = try Wire.context()
        var relays: [Double] = []
        var peers: [Double] = []
        for _ in 0..<options.rounds {
            try await withTemporaryFolder { folder in
                let relay = try RelayProcess(options.dsip, folder: folder)
                defer { relay.end() }
                relays.append(
                    try await growth(of: relay.child, relay.port, options.connections, group, context) {
                        try Caller().hello()
                    }
                )
                let peer = try Child([
                    CommandLine.arguments[0], EchoPeer.name, relay.certificates + "/relay.pem",
                    relay.certificates + "/relay-key.pem",
                ])
                defer { peer.end() }
                guard let port = Int(try peer.line("listening ")) else {
                    throw BenchmarkError("the echo peer has no port")
                }
                let greeting = try Caller().hello()
                peers.append(try await growth(of: peer, port, options.connections, group, context) { greeting })
            }
        }
        Report.line(
            "memory",
            "\(Report.kibibytes(relays.median)) a connection at \(options.connections), bare echo \(Report.kibibytes(peers.median))",
            ratio: relays.median / peers.median,
            atMost: 1.2
        )
        try await group.shutdownGracefully()
    }

    /// - Returns: bytes for each of `connections`.
    private static func growth(
        of process: Child,
        _ port: Int,
        _ connections: Int,
        _ group: any EventLoopGroup,
        _ context: NIOSSLContext,
        greeting: @escaping @Sendable () throws -> [UInt8]
    ) async throws -> Double {
        let warm = try await open(first, port, group, context, greeting)
        try await Task.sleep(for: .milliseconds(500))
        let before = try process.residentBytes()
        let all = try await open(connections, port, group, context, greeting)
        // Two turns of every timer that goes by the second.
        try await Task.sleep(for: .seconds(2))
        let after = try process.residentBytes()
        guard all.allSatisfy(\.channel.isActive) else { throw BenchmarkError("a connection under count was closed") }
        for wire in warm + all { wire.channel.close(promise: nil) }
        for wire in warm + all { try? await wire.channel.closeFuture.get() }
        return (after - before) / Double(connections)
    }

    private static func open(
        _ count: Int,
        _ port: Int,
        _ group: any EventLoopGroup,
        _ context: NIOSSLContext,
        _ greeting: @escaping @Sendable () throws -> [UInt8]
    ) async throws -> [Wire] {
        try await withThrowingTaskGroup(of: Wire.self) { tasks in
            var wires: [Wire] = []
            for index in 0..<count {
                if index >= width, let wire = try await tasks.next() { wires.append(wire) }
                tasks.addTask {
                    let wire = try await Wire.connect(to: port, saying: try greeting(), on: group.next(), context)
                    try await wire.bound.get()
                    return wire
                }
            }
            for try await wire in tasks { wires.append(wire) }
            return wires
        }
    }

    /// Children inherit it.
    private static func raiseFileLimit(to needed: Int) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur < needed else { return }
        limit.rlim_cur = min(limit.rlim_max, 1 << 16)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard limit.rlim_cur >= needed else {
            throw BenchmarkError(
                "\(needed) files must be open at once and \(limit.rlim_cur) may be; see ulimit -n, or --connections"
            )
        }
    }
}
