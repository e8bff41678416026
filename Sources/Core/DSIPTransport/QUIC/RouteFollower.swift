#if QUIC
import NIOCore
import QUIC

/// Moves a client's connections when the way to its relay leaves by another address: from one network to the next (RFC 9000 §9).
///
/// It asks the kernel's routing table, without a packet, once a second: the address that a socket would have that is connected to the
/// relay. A device that is between networks has none, and waits.
final class RouteFollower: @unchecked Sendable {
    // Unchecked: touched on the endpoint's event loop only.

    private static let interval: TimeAmount = .seconds(1)

    private let endpoint: QUICEndpoint
    private let destination: SocketAddress
    private var address: String?
    private var timer: RepeatedTask?

    init(_ endpoint: QUICEndpoint, toward destination: SocketAddress) {
        self.endpoint = endpoint
        self.destination = destination
    }

    func start() {
        endpoint.eventLoop.execute { [self] in
            address = LocalRoute.address(toward: destination)
            timer = endpoint.eventLoop.scheduleRepeatedTask(
                initialDelay: RouteFollower.interval,
                delay: RouteFollower.interval
            ) { [weak self] _ in self?.look() }
        }
    }

    func stop() {
        endpoint.eventLoop.execute { [self] in
            timer?.cancel()
            timer = nil
        }
    }

    private func look() {
        guard let now = LocalRoute.address(toward: destination), now != address else { return }
        address = now
        guard let local = try? SocketAddress(ipAddress: destination.protocol == .inet ? "0.0.0.0" : "::", port: 0)
        else {
            return
        }
        // Another port as well: what the old path still brings arrives at the old socket.
        endpoint.rebind(to: local).whenComplete { _ in }
    }
}
#endif
