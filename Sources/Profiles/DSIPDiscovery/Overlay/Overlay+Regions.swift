import Libp2p

/// Who is near: hosts that announce themselves under the regions they are in, as provider entries; nothing is stored under a region's key.
extension Overlay {
    /// Hosts that are asked what they are, of one region and at one time.
    private static let asked = 8
    /// Milliseconds for their answer.
    private static let patience: Int64 = 5_000

    /// Announces this host under its region and those around that, and tells who asks what it is; an `about` without a region takes that
    /// back. What others were told lapses in time.
    public func announce(_ about: HostAbout) async {
        guard about != self.about else { return }
        let (before, regions) = (self.about.regions, about.regions)
        self.about = about
        for region in before where !regions.contains(region) {
            await directory.withdraw(DiscoveryKey.region(region))
        }
        guard !regions.isEmpty else { return await host.stopHandling(HostAbout.protocolID) }
        await host.handle(HostAbout.protocolID) { [weak self] stream in
            guard let about = await self?.about else { return }
            stream.expire(after: Overlay.patience)
            try await stream.write(about.bytes.delimited)
        }
        await announce(regions.filter { !before.contains($0) })
    }

    func announce(_ regions: [Geohash]) async {
        for region in regions { _ = try? await directory.announce(DiscoveryKey.region(region)) }
    }

    /// What the hosts of a region say they are; of the regions around it while none is found, out to a fifth of a continent.
    public func nearest(_ region: Geohash) async -> [HostAbout] {
        for prefix in region.prefixes {
            let providers = await directory.providers(DiscoveryKey.region(prefix)).prefix(Overlay.asked)
            let found = await withTaskGroup(of: HostAbout?.self) { group in
                for peer in providers { group.addTask { try? await self.ask(peer) } }
                var found: [HostAbout] = []
                for await about in group {
                    // Who is somewhere else now has nothing to say here.
                    guard let about, about.region?.prefixes.contains(prefix) == true, !found.contains(about) else {
                        continue
                    }
                    found.append(about)
                }
                return found
            }
            if !found.isEmpty { return found }
        }
        return []
    }

    private nonisolated func ask(_ peer: KademliaPeer) async throws -> HostAbout? {
        let stream = try await host.openStream(to: peer.id, at: peer.addresses, [HostAbout.protocolID])
        stream.expire(after: Overlay.patience)
        var reader = MessageReader(stream)
        return try await reader.next(limit: HostAbout.maximumLength).flatMap { HostAbout($0) }
    }
}
