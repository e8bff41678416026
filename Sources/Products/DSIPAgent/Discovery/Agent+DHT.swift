import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import FoundationEssentials
import Libp2p
import Logging

/// This agent as a host of the DHT: it asks for itself whom its relay may not know, and says itself where its identities live.
///
/// It begins with the hosts of the configuration, with those its relay names in its signed hello, and with those it knew the last time.
extension Agent {
    private static let hostsSetting = "dht.hosts"
    /// Hosts that a relay may name.
    private static let maximumNamed = 8

    /// The host that is ours to start, to speak through and to stop; a shared one is its relay's, which passes on what we tell it.
    var ownHost: Overlay? {
        if case .own = configuration.dht { directory.overlay } else { nil }
    }

    func joinDHT() {
        guard let host = ownHost else { return }
        let known = ((try? store.setting(Agent.hostsSetting)) ?? nil)?.split(separator: " ").map(String.init) ?? []
        Task {
            await host.learn(known.compactMap { try? Multiaddr($0) })
            do {
                try await host.start()
            } catch {
                logger.error("The DHT cannot be joined", metadata: ["error": "\(error)"])
                hub.publish(
                    .notice(
                        level: .warning,
                        sentence:
                            "The DHT cannot be joined, because the address for it is taken. Calls work all the same."
                    )
                )
            }
        }
    }

    func leaveDHT() async {
        guard let host = ownHost else { return }
        let peers = await host.peers.map(\.description)
        if !peers.isEmpty { try? store.set(Agent.hostsSetting, peers.joined(separator: " ")) }
        await host.stop()
    }

    /// Learns of the hosts that a relay names: those of the open network, and those of our own where the relay is there too.
    func learnHosts(_ capabilities: RelayCapabilities, of url: String) {
        guard let host = ownHost, let named = capabilities.other["dht"]?.array else { return }
        let isNear = (try? RelayAddress(url)).map { address in
            address.host == "localhost" || IPAddress(address.host)?.isPrivate == true
        }
        let addresses = named.prefix(Agent.maximumNamed).compactMap { $0.string.flatMap { try? Multiaddr($0) } }
        Task { await host.learn(addresses.filter { isNear == true || $0.ipAddress?.isPrivate != true }) }
    }

    /// How this agent stands in the DHT (docs/agent-api.md, Network).
    ///
    /// - Parameter examining: others are asked to dial back now; takes seconds.
    public func network(examining: Bool = false) async -> JSONValue {
        guard let overlay = directory.overlay else { return ["dht": "off"] }
        let standing = examining ? await overlay.examine() : await overlay.standing
        let mode = overlay.configuration
        return [
            "dht": mode.listen.isEmpty ? "client" : "server", "shared": .bool(ownHost == nil),
            "local": .bool(mode.local != nil), "hosts": .int(Int64(await overlay.peerCount)),
            "records": .int(Int64(await overlay.recordCount)),
            "addresses": .array(await overlay.addresses.map { .string($0.description) }),
            "reach": .string(standing.name), "reached_at": .array(standing.addresses.map { .string($0.description) }),
        ]
    }
}

extension Overlay.Standing {
    fileprivate var name: String {
        switch self {
        case .unknown: "unknown"
        case .direct: "direct"
        case .punched: "hole-punched"
        case .relayed: "relayed"
        case .unreachable: "unreachable"
        }
    }
}
