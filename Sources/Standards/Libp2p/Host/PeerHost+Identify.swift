import NIOConcurrencyHelpers

/// Identify and ping, which every host serves.
extension PeerHost {
    // MARK: Identify

    func ownIdentify(to connection: HostConnection) -> Identify {
        var message = Identify()
        message.publicKey = identity.publicKey
        message.listenAddresses = listenAddresses
        message.protocols = offered.withLockedValue { $0 }
        message.observedAddress = connection.remoteAddress
        message.protocolVersion = configuration.protocolVersion
        message.agentVersion = configuration.agentVersion
        let record = PeerRecord(peerID: peerID, sequence: UInt64(max(0, clock.now)), addresses: listenAddresses)
        message.signedPeerRecord = try? record.envelope(signedBy: identity).bytes
        return message
    }

    func serveIdentify(_ stream: PeerStream) async throws {
        stream.expire(after: 10_000)
        try await stream.write(ownIdentify(to: stream.connection).bytes.delimited)
    }

    func identify(_ connection: HostConnection) async throws {
        let stream = try await connection.openStream([Identify.protocolID])
        stream.expire(after: 10_000)
        stream.end()
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: Identify.maximumLength) else { return }
        try learned(Identify(bytes: bytes), from: connection.peer)
    }

    func receivePush(_ stream: PeerStream) async throws {
        stream.expire(after: 10_000)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: Identify.maximumLength) else { return }
        var message = known.identify(of: stream.peer) ?? Identify()
        message.merge(try Identify(bytes: bytes))
        try learned(message, from: stream.peer)
    }

    func learned(_ message: Identify, from peer: PeerID) throws(Libp2pError) {
        let addresses = try message.addresses(of: peer)
        known.learned(peer, message, addresses)
        tell(.identified(peer, message, addresses: addresses))
    }

    /// Tells those who are connected what has changed; nobody is waited for.
    func push() async {
        for connection in connections.values.compactMap(\.first) {
            guard known.identify(of: connection.peer)?.protocols.contains(Identify.pushProtocolID) == true else {
                continue
            }
            let message = ownIdentify(to: connection).bytes.delimited
            Task {
                let stream = try await connection.openStream([Identify.pushProtocolID])
                stream.expire(after: 10_000)
                try await stream.write(message)
                stream.end()
                while try await stream.read() != nil {}
            }
        }
    }

    // MARK: Ping

    /// - Returns: the round trip.
    public func ping(_ peer: PeerID) async throws -> Duration {
        let stream = try await openStream(to: peer, [Ping.protocolID])
        stream.expire(after: 10_000)
        var generator = SystemRandomNumberGenerator()
        let payload = (0..<Ping.length).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let start = ContinuousClock.now
        try await stream.write(payload)
        var answer: [UInt8] = []
        while answer.count < Ping.length, let bytes = try await stream.read() { answer += bytes }
        guard answer == payload else { throw Libp2pError(.protocolViolation, "the ping came back changed") }
        stream.end()
        return start.duration(to: .now)
    }

    func servePing(_ stream: PeerStream) async throws {
        guard pingStreams[stream.peer] ?? 0 < Ping.maximumStreams else {
            throw Libp2pError(.limit, "too many ping streams")
        }
        pingStreams[stream.peer, default: 0] += 1
        defer { pingStreams[stream.peer] = pingStreams[stream.peer].flatMap { $0 > 1 ? $0 - 1 : nil } }
        var responder = Ping.Responder()
        stream.expire(after: 60_000)
        while let bytes = try await stream.read() {
            stream.expire(after: 60_000)
            try await stream.write(responder.receive(bytes))
        }
    }
}
