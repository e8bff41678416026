import Libp2p

/// Whether others can dial this host, and what is done when they cannot.
extension Overlay {
    /// How others come to this host.
    public enum Standing: Hashable, Sendable {
        /// Too few hosts that could say were asked.
        case unknown
        /// They dialled it, at these addresses.
        case direct([Multiaddr])
        /// Through these relays at first; connections have become direct since.
        case punched([Multiaddr])
        /// Through these relays.
        case relayed([Multiaddr])
        /// Nobody can dial it, and no relay is known.
        case unreachable

        /// Where they dial.
        public var addresses: [Multiaddr] {
            switch self {
            case .direct(let addresses), .punched(let addresses), .relayed(let addresses): addresses
            case .unknown, .unreachable: []
            }
        }
    }

    /// Relays at which a host that cannot be dialled is connected.
    private static let relays = 2
    /// Milliseconds between two examinations: soon while nothing is known, since others dial back seldom.
    private static let interval: (unknown: Int64, known: Int64) = (60_000, 900_000)

    /// As last examined; which relays connect it is of this moment.
    public var standing: Standing {
        get async {
            switch known {
            case .unknown, .direct: return known
            case .punched, .relayed, .unreachable:
                let circuits = await addresses.filter(\.isCircuit)
                guard !circuits.isEmpty else { return .unreachable }
                return await punches.upgraded > 0 ? .punched(circuits) : .relayed(circuits)
            }
        }
    }

    /// Asks others to dial back (AutoNAT). A host that can be dialled serves; one that cannot becomes a client, and reserves at relays among
    /// those it is connected with. One that does not listen lets a host for the occasion be dialled, and changes nothing.
    @discardableResult
    public func examine() async -> Standing {
        guard isDialled else { return await examineAsGuest() }
        examinedAt = .now
        await settle(await reachability.check(needed: configuration.witnesses))
        return await standing
    }

    /// Lives with what was found.
    func settle(_ reachability: Reachability) async {
        switch reachability {
        case .unknown: break
        case .open(let addresses):
            known = .direct(addresses.map { $0.naming(host.peerID) })
            await circuits.stop()
            await serve(configuration.mode)
        case .closed:
            known = .unreachable
            await serve(configuration.local == nil ? .client : .local)
            for relay in await host.offeredRelays.prefix(Overlay.relays) { await circuits.start(at: relay) }
        }
    }

    func examineIfDue() async {
        guard isDialled else { return }
        let interval = known == .unknown ? Overlay.interval.unknown : Overlay.interval.known
        if let examinedAt, examinedAt.duration(to: .now) < .milliseconds(interval) { return }
        await examine()
    }

    private func serve(_ mode: KademliaConfiguration.Mode) async {
        await directory.setMode(mode)
        await hints.setMode(mode)
    }

    private func examineAsGuest() async -> Standing {
        let guest = PeerHost(identity: IdentityKey())
        guard (try? await guest.listen(on: Overlay.anyPort)) != nil else { return .unknown }
        await withTaskGroup(of: Void.self) { [host] group in
            for peer in await host.connectedPeers.prefix(2 * configuration.witnesses) {
                group.addTask {
                    _ = try? await guest.connect(to: peer, at: await host.addresses(of: peer))
                    // What it speaks is known a moment later.
                    for _ in 0..<100 where await guest.identify(of: peer) == nil {
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                }
            }
        }
        let found = await ReachabilityService(host: guest).check(needed: configuration.witnesses)
        await guest.shutdown()
        return switch found {
        case .unknown: .unknown
        case .open(let addresses): .direct(addresses)
        case .closed: .unreachable
        }
    }
}
