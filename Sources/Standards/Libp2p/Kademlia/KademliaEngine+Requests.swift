extension KademliaEngine {
    /// Answers a request of `peer`, whose id its connection proved.
    ///
    /// - Parameter addresses: where the peer says it is reached.
    /// - Returns: the answer, or nil when there is none: the stream is closed after ADD_PROVIDER, and reset otherwise.
    public mutating func handle(
        _ request: KademliaMessage,
        from peer: PeerID,
        addresses: [Multiaddr] = [],
        at now: Int64
    ) -> KademliaMessage? {
        guard mode != .client, !offences.isBanned(peer, at: now) else { return nil }
        statistics.requestsServed += 1
        let key = request.key
        guard !key.isEmpty || request.kind == .ping else { return nil }
        switch request.kind {
        case .ping: return KademliaMessage(.ping)
        case .findNode, .getValue, .getProviders:
            var answer = KademliaMessage(request.kind, key: key)
            answer.closer = nearest(key, for: peer)
            if request.kind == .getValue { answer.value = records.record(key, at: now)?.value }
            if request.kind == .getProviders {
                answer.providerPeers = Array(providers.peers(key, at: now).prefix(KademliaMessage.maximumPeers))
            }
            return answer
        case .putValue:
            guard let value = request.value else { return nil }
            guard let isStored = store(key, value, at: now) else {
                offended(peer, at: now)
                return nil
            }
            return isStored ? KademliaMessage(.putValue, key: key, value: value) : nil
        case .addProvider:
            // A peer speaks for itself only.
            for named in request.providerPeers where named.id == peer {
                let entry = KademliaPeer(id: peer, addresses: named.addresses.isEmpty ? addresses : named.addresses)
                _ = providers.add(entry, to: key, until: now + configuration.providerLifetime, at: now)
            }
            if request.providerPeers.contains(where: { $0.id != peer }) { offended(peer, at: now) }
            return nil
        }
    }

    private func nearest(_ key: [UInt8], for peer: PeerID) -> PeerList {
        let nearest = table.closest(to: KademliaKey(hashing: key), count: configuration.k, excluding: peer)
        return PeerList(written: nearest.map { $0.wire[...] })
    }
}
