import NIOConcurrencyHelpers
import NIOCore

/// Being reached, and reaching others, through a relay.
extension PeerHost {
    /// Asks a relay to connect others to this host, and tells those who are connected. `CircuitListener` also keeps it so.
    ///
    /// - Parameter relay: an address that names the relay's peer at its end.
    /// - Throws: `malformed` for an address without a peer, `limit` when the relay refuses, what `connect` throws.
    @discardableResult
    public func reserve(at relay: Multiaddr) async throws -> Reservation {
        let connection = try await connect(to: relay)
        guard !connection.isRelayed else { throw Libp2pError(.unsupported, "a relay behind a relay") }
        let stream = try await connection.openStream([HopMessage.protocolID])
        stream.expire(after: configuration.dialTime)
        try await stream.write(HopMessage.reserve.bytes.delimited)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: HopMessage.maximumLength),
            case .status(.ok, let reservation?, _) = try HopMessage(bytes: bytes), reservation.expires > clock.now
        else { throw Libp2pError(.limit, "the relay refused") }
        stream.end()
        if handlers[StopMessage.protocolID] == nil {
            await handle(StopMessage.protocolID) { [weak self] in try await self?.serveStop($0) }
        }
        let own = relay.throughCircuit
        if !listenAddresses.contains(own) {
            listenAddresses.append(own)
            await push()
        }
        return reservation
    }

    /// The relay is not used any more.
    func forgetCircuit(_ relay: Multiaddr) async {
        listenAddresses.removeAll { $0 == relay.throughCircuit }
        await push()
    }

    // MARK: Dialling

    func dialCircuit(_ peer: PeerID, _ address: Multiaddr) async throws -> HostConnection {
        guard let relay = address.circuitRelay, let relayPeer = relay.peerID, relayPeer != peer, relayPeer != peerID
        else {
            throw Libp2pError(.unsupported, "no circuit address")
        }
        let connection = try await connect(to: relayPeer, at: [relay])
        guard !connection.isRelayed else { throw Libp2pError(.unsupported, "a relay behind a relay") }
        let stream = try await connection.openStream([HopMessage.protocolID])
        // The target has to accept in this time too.
        stream.expire(after: 2 * configuration.dialTime)
        try await stream.write(HopMessage.connect(peer).bytes.delimited)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: HopMessage.maximumLength),
            case .status(let status, _, _) = try HopMessage(bytes: bytes)
        else { throw Libp2pError(.protocolViolation, "the relay does not answer") }
        guard status == .ok else { throw Libp2pError(.unreachable, "the relay says \(status)") }
        return try await begin(.dialler, with: peer, over: stream, received: reader.takeRest(), address).connection
    }

    // MARK: Being dialled

    private func serveStop(_ stream: PeerStream) async throws {
        var reader = MessageReader(stream)
        stream.expire(after: configuration.dialTime)
        guard let bytes = try await reader.next(limit: HopMessage.maximumLength),
            case .connect(let peer, _) = try StopMessage(bytes: bytes), !stream.connection.isRelayed,
            let relay = listenAddresses.first(where: { $0.circuitRelay?.peerID == stream.peer })
        else {
            // Who was not asked to relay does not connect anybody to us.
            try await stream.write(StopMessage.status(.denied).bytes.delimited)
            return
        }
        try await stream.write(StopMessage.status(.ok).bytes.delimited)
        // The stream is the circuit's as long as this runs.
        let circuit = try await begin(.listener, with: peer, over: stream, received: reader.takeRest(), relay)
        try await circuit.over.get()
    }

    /// Secures a circuit end to end. Noise only: the relay sees none of it either way.
    private func begin(
        _ role: Connection.Role,
        with peer: PeerID,
        over stream: PeerStream,
        received: [UInt8],
        _ address: Multiaddr
    ) async throws -> (connection: HostConnection, over: EventLoopFuture<Void>) {
        guard let number = gate.withLockedValue({ $0.admit(nil, inbound: role == .listener) }) else {
            stream.reset()
            throw Libp2pError(.limit, "too many connections")
        }
        // The relay's limit ends the circuit; ours would end it in the middle of a call.
        stream.unlimit()
        let loop = stream.connection.eventLoop
        let promise = loop.makePromise(of: HostConnection.self)
        let over = loop.makePromise(of: Void.self)
        let make = drivers()
        loop.execute {
            let driver = make(role, peer, [.noise], loop, address, number, promise)
            CircuitWire(stream, driver, over: over).begin(received: received)
        }
        return (try await promise.futureResult.get(), over.futureResult)
    }
}
