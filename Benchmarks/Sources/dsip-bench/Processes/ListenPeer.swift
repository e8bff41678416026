import Foundation
import NIOCore
import NIOPosix

/// The peer of `start`: a program that begins to listen, by NIO, and does nothing else.
enum ListenPeer {
    static let name = "peer-listen"

    /// - Parameter arguments: the port.
    static func run(_ arguments: [String]) async throws {
        guard let port = arguments.first.flatMap({ Int($0) }) else { throw BenchmarkError("\(name) PORT") }
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: port).get()
        try await server.closeFuture.get()
    }
}
