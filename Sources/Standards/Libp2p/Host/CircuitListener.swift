/// Keeps a host reachable through relays: it reserves, renews in time, keeps the connection, and tries again when a relay goes.
///
/// ```swift
/// let listener = CircuitListener(host: host)
/// await listener.start(at: relay)     // `/ip4/…/tcp/…/p2p/RELAY`
/// ```
public actor CircuitListener {
    public nonisolated let host: PeerHost
    private var tasks: [Multiaddr: Task<Void, Never>] = [:]

    public static let maximumRelays = 4
    /// Milliseconds to the second try, doubled up to the last.
    private static let firstRetry: Int64 = 1_000
    private static let lastRetry: Int64 = 300_000

    public init(host: PeerHost) { self.host = host }

    /// Begins with one more relay; over `maximumRelays` nothing happens.
    public func start(at relay: Multiaddr) {
        guard tasks[relay] == nil, tasks.count < CircuitListener.maximumRelays else { return }
        let host = host
        tasks[relay] = Task { await CircuitListener.keep(host, relay) }
    }

    public func stop() {
        for task in tasks.values { task.cancel() }
        tasks = [:]
    }

    private static func keep(_ host: PeerHost, _ relay: Multiaddr) async {
        var retry = firstRetry
        // An idle connection is closed by either side, and with it the reservation ends.
        let beat = max(1_000, host.configuration.idleTime / 3)
        while !Task.isCancelled {
            do {
                let reservation = try await host.reserve(at: relay)
                retry = firstRetry
                let renewAt = host.clock.now + max(1_000, (reservation.expires - host.clock.now) / 2)
                while host.clock.now < renewAt {
                    try await Task.sleep(for: .milliseconds(min(beat, max(1, renewAt - host.clock.now))))
                    if let peer = relay.peerID { _ = try await host.ping(peer) }
                }
            } catch {
                await host.forgetCircuit(relay)
                do { try await Task.sleep(for: .milliseconds(retry)) } catch { break }
                retry = min(retry * 2, lastRetry)
            }
        }
        await host.forgetCircuit(relay)
    }
}
