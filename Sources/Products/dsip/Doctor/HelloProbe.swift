import DSIPIdentity
import DSIPTransport

/// One greeting of a relay under a key made for it.
///
/// Our own device stays out of it: binding it a second time would draw a call that rings at this moment to a program that cannot answer.
enum HelloProbe {
    enum Finding: Sendable {
        case connected(SignalingClient.Relay)
        case refused(SignalingClient.Refusal)
        case failed(TransportError)
        case silent
    }

    /// Seconds.
    static let patience = 15

    static func greet(_ address: RelayAddress, roots: TrustRoots, clock: @escaping @Sendable () -> Int64) async
        -> Finding
    {
        var configuration = SignalingClient.Configuration(address, key: SigningKey(), clock: clock)
        configuration.roots = roots
        configuration.prefersQUIC = false
        let client = SignalingClient(configuration, source: SelfCertifyingSource())
        let running = Task { await client.run() }
        let timer = Task {
            try await Task.sleep(for: .seconds(patience))
            client.close()
        }
        defer {
            timer.cancel()
            running.cancel()
        }
        for await event in client.events {
            guard case .state(let state) = event else { continue }
            switch state {
            case .connecting: continue
            case .connected(let relay):
                client.close()
                return .connected(relay)
            case .refused(let refusal):
                client.close()
                return .refused(refusal)
            case .waiting(_, let error):
                client.close()
                return .failed(error)
            case .closed: return .silent
            }
        }
        return .silent
    }
}
