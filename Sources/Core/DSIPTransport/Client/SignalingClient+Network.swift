import NIOCore
import Synchronization

/// Changing networks: a connection over QUIC moves (RFC 9000 §9), one over WebSocket is replaced by a new one.
///
/// The kernel's routing table is asked, without a packet, which address of ours leads to the relay. Waiting for the old connection to
/// fail would take as long as its pings are apart, and TCP does not tell when an address is gone.
extension SignalingClient {
    /// Asks until cancelled.
    func followRoute() async {
        var known = routeDestination
        var memory = RouteMemory(LocalRoute.address(toward: known))
        while !Task.isCancelled {
            try? await Task.sleep(for: configuration.routeInterval)
            let destination = routeDestination
            let address = LocalRoute.address(toward: destination)
            // Another address of the relay is another question.
            if destination != known {
                (known, memory) = (destination, RouteMemory(address))
            } else if memory.sees(address) {
                await networkChanged()
            }
        }
    }

    /// Where the relay was last reached; before that, an address that no one has (RFC 5737), for the default route.
    private var routeDestination: SocketAddress {
        destination ?? (try? SocketAddress(ipAddress: "192.0.2.1", port: 443))!
    }

    func networkChanged() async {
        sink.yield(.networkChanged)
        startAfresh()
        guard let link = currentLink else { return reconnectNow() }
        #if QUIC
        if await migrate(link, toward: routeDestination) { return }
        #endif
        // The relay puts the new connection in the old one's place, and sends there what it still owes, so that nothing is lost where
        // the old one still works.
        guard let next = try? await dial(), let relay = try? await next.bound.get() else {
            link.channel.close(promise: nil)
            return
        }
        if isFinished { next.perform { $0.close(.normal) } }
        link.leave(after: Binding.helloTimeout)
        if await goOver(from: relay) != nil { next.leave(after: Binding.helloTimeout) }
    }
}
