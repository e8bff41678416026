import Foundation

/// From exec to the first connection accepted: `dsip relay` over an existing state folder, against the limit and beside a bare listener.
enum StartBenchmark {
    private static let limit = 0.030
    /// A start is short; each round has several.
    private static let startsEach = 5

    static func run(_ options: Options) async throws {
        try await withTemporaryFolder { folder in
            // Makes the key, the certificates and the database.
            try RelayProcess(options.dsip, folder: folder).end()
            var relays: [Double] = []
            var peers: [Double] = []
            for _ in 0..<options.rounds * startsEach {
                let port = try freePort()
                relays.append(try secondsToAccept(RelayProcess.command(options.dsip, folder: folder, port: port), port))
                peers.append(try secondsToAccept([CommandLine.arguments[0], ListenPeer.name, "\(port)"], port))
            }
            Report.line(
                "start",
                "\(Report.milliseconds(relays.median)) of \(Report.milliseconds(limit)) allowed, bare listener "
                    + Report.milliseconds(peers.median),
                ratio: relays.median / limit,
                atMost: 1
            )
        }
    }

    private static func secondsToAccept(_ command: [String], _ port: Int) throws -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        let child = try Child(command)
        defer { child.end() }
        while !accepts(port) {
            guard clock.now - start < .seconds(30) else {
                throw BenchmarkError("\(command[0]) does not accept connections")
            }
            usleep(200)
        }
        return (clock.now - start) / .seconds(1)
    }

    private static func accepts(_ port: Int) -> Bool {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        return withAddress(port) { connect(socket, $0, $1) == 0 }
    }

    /// A port that was free a moment ago.
    private static func freePort() throws -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        guard withAddress(0, { bind(socket, $0, $1) == 0 }) else { throw BenchmarkError("no port is free") }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func withAddress<R>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}
