/// AutoNAT on a host: it asks connected peers to dial back, and dials back itself when asked.
public actor ReachabilityService {
    public nonisolated let host: PeerHost
    private var rules: DialBackRules
    private static let maximumAsked = 8
    private static let dialBackTime: Int64 = 15_000

    public init(host: PeerHost) {
        self.host = host
        self.rules = DialBackRules(at: host.clock.now)
    }

    /// Requests that were turned away.
    public var refused: Int { rules.refused }

    /// Begins to dial back for others.
    public func start() async {
        await host.handle(AutoNATMessage.protocolID) { [weak self] in try await self?.serve($0) }
    }

    public func stop() async { await host.stopHandling(AutoNATMessage.protocolID) }

    /// Asks connected peers that speak AutoNAT.
    ///
    /// - Parameter needed: how many must agree; the specification says more than three.
    public func check(needed: Int = 4) async -> Reachability {
        var peers: [PeerID] = []
        for peer in await host.connectedPeers where peers.count < ReachabilityService.maximumAsked {
            let protocols = await host.identify(of: peer)?.protocols ?? []
            guard protocols.contains(AutoNATMessage.protocolID), await host.connection(with: peer)?.isRelayed == false
            else { continue }
            peers.append(peer)
        }
        let message = AutoNATMessage.dial(host.peerID, await host.socketAddresses + host.observedAddresses)
        var tally = ReachabilityTally()
        await withTaskGroup(of: (PeerID, AutoNATMessage?).self) { group in
            for peer in peers { group.addTask { (peer, try? await self.ask(peer, message)) } }
            for await (peer, answer) in group { if let answer { tally.heard(answer, from: peer) } }
        }
        return tally.reachability(needed: needed)
    }

    private nonisolated func ask(_ peer: PeerID, _ message: AutoNATMessage) async throws -> AutoNATMessage {
        let stream = try await host.openStream(to: peer, [AutoNATMessage.protocolID])
        stream.expire(after: ReachabilityService.dialBackTime)
        try await stream.write(message.bytes.delimited)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: AutoNATMessage.maximumLength) else {
            throw Libp2pError(.protocolViolation, "no answer")
        }
        stream.end()
        return try AutoNATMessage(bytes: bytes)
    }

    private func serve(_ stream: PeerStream) async throws {
        stream.expire(after: ReachabilityService.dialBackTime)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: AutoNATMessage.maximumLength) else { return }
        let (peer, seen) = (stream.peer, stream.connection.remoteAddress)
        var answer = AutoNATMessage.response(.dialError, nil)
        switch rules.asked(try AutoNATMessage(bytes: bytes), by: peer, seenAt: seen, at: host.clock.now) {
        case .failure(let refusal): answer = .response(refusal.status, nil)
        case .success(let addresses):
            for address in addresses {
                // A new connection from a port of its own: the one there is proves nothing.
                guard let connection = try? await host.dial(peer, address) else { continue }
                answer = .response(.ok, address)
                connection.close()
                break
            }
        }
        try await stream.write(answer.bytes.delimited)
    }
}
