import NIOCore
import Testing

@testable import DSIPTransport

/// The bindings that this build speaks: what holds of a connection holds of one over each.
enum TestBinding: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case webSocket, quic

    static var all: [TestBinding] { QUICBinding.isAvailable ? allCases : [.webSocket] }

    var testDescription: String {
        switch self {
        case .webSocket: Binding.identifier
        case .quic: QUICBinding.identifier
        }
    }
}

/// A server of one binding.
struct TestServer: Sendable {
    let binding: TestBinding
    let port: Int
    private let stopping: @Sendable (Duration) async -> Void

    static func start(
        _ service: SignalingService,
        over binding: TestBinding,
        host: String = "127.0.0.1"
    ) async throws -> TestServer {
        switch binding {
        case .webSocket:
            let server = try await SignalingServer.start(service, identity: Loopback.identity, host: host)
            return TestServer(binding: binding, port: server.port) { await server.stop(within: $0) }
        case .quic:
            #if QUIC
            let server = try await QUICListener.start(service, identity: Loopback.identity, host: host)
            return TestServer(binding: binding, port: server.port) { spread in
                await service.drain(within: spread)
                server.stop()
            }
            #else
            throw TransportError(.unreachable, "this build has no QUIC")
            #endif
        }
    }

    private init(binding: TestBinding, port: Int, _ stopping: @escaping @Sendable (Duration) async -> Void) {
        self.binding = binding
        self.port = port
        self.stopping = stopping
    }

    func stop(within spread: Duration = .zero) async { await stopping(spread) }
}

extension Loopback {
    /// A client of `server` by its binding, and by no other: the other's port is one where nobody listens.
    static func client(
        _ person: Person,
        _ server: TestServer,
        host: String = "localhost",
        roots: TrustRoots = Loopback.roots,
        _ change: (inout SignalingClient.Configuration) -> Void = { _ in }
    ) -> SignalingClient {
        client(person, port: server.binding == .webSocket ? server.port : 1, host: host, roots: roots) {
            configuration in
            configuration.prefersQUIC = server.binding == .quic
            configuration.quicPort = server.binding == .quic ? server.port : nil
            change(&configuration)
        }
    }
}
