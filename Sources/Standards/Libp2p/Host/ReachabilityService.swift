/// AutoNAT on a host, in both versions: it asks connected peers to dial back, and dials back itself when asked. Peers that speak version 2
/// prove that they dialled; of others it is their word.
public actor ReachabilityService {
    public nonisolated let host: PeerHost
    private var rules: DialBackRules
    /// Questions of version 2 under way, and whether the number of each has come back.
    private var nonces: [UInt64: Bool] = [:]
    private var isListening = false
    private static let maximumAsked = 8
    static let dialBackTime: Int64 = 15_000

    public init(host: PeerHost) {
        self.host = host
        self.rules = DialBackRules(at: host.clock.now)
    }

    /// Requests that were turned away.
    public var refused: Int { rules.refused }

    /// Begins to dial back for others.
    public func start() async {
        await host.handle(AutoNATMessage.protocolID) { [weak self] in try await self?.serve($0) }
        await host.handle(AutoNAT2Message.protocolID) { [weak self] in try await self?.serveDialRequest($0) }
        await listen()
    }

    public func stop() async {
        isListening = false
        for name in [AutoNATMessage.protocolID, AutoNAT2Message.protocolID, AutoNAT2Message.dialBackID] {
            await host.stopHandling(name)
        }
    }

    /// Who asks has to hear the number come back.
    private func listen() async {
        guard !isListening else { return }
        isListening = true
        await host.handle(AutoNAT2Message.dialBackID) { [weak self] in try await self?.receiveDialBack($0) }
    }

    /// Asks connected peers that speak AutoNAT.
    ///
    /// - Parameter needed: how many must agree; the specification says more than three.
    public func check(needed: Int = 4) async -> Reachability {
        await listen()
        var peers: [(id: PeerID, proves: Bool)] = []
        for peer in await host.connectedPeers where peers.count < ReachabilityService.maximumAsked {
            let protocols = await host.identify(of: peer)?.protocols ?? []
            let proves = protocols.contains(AutoNAT2Message.protocolID)
            guard proves || protocols.contains(AutoNATMessage.protocolID),
                await host.connection(with: peer)?.isRelayed == false
            else { continue }
            peers.append((peer, proves))
        }
        let addresses = await host.socketAddresses + host.observedAddresses
        let message = AutoNATMessage.dial(host.peerID, addresses)
        var tally = ReachabilityTally()
        await withTaskGroup(of: (PeerID, AutoNATMessage?).self) { group in
            for (peer, proves) in peers {
                group.addTask {
                    (peer, proves ? try? await self.ask(peer, addresses) : try? await self.ask(peer, message))
                }
            }
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

    // MARK: Numbers

    func expect(_ nonce: UInt64) { nonces[nonce] = false }

    /// - Returns: whether the number has come back. It is asked once.
    func hasCome(_ nonce: UInt64) -> Bool { nonces.removeValue(forKey: nonce) ?? false }

    /// - Returns: whether the number was waited for.
    func came(_ nonce: UInt64) -> Bool {
        guard nonces[nonce] != nil else { return false }
        nonces[nonce] = true
        return true
    }

    /// What is dialled for a peer that asks under version 2, as `DialBackRules` says.
    func select(_ addresses: [Multiaddr], for peer: PeerID, seenAt seen: Multiaddr?) -> DialBackRules.Verdict {
        rules.asked(addresses, by: peer, seenAt: seen, at: host.clock.now)
    }

    // MARK: Version 1

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
