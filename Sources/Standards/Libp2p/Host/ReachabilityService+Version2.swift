/// AutoNAT version 2: others dial one address, and prove it by a number.
extension ReachabilityService {
    /// What is paid for having an address dialled, in bytes; others ask for 30,000 to 100,000.
    private static let maximumCost = 100_000

    // MARK: Asking

    /// - Returns: the answer as version 1 would give it; an `ok` only when the peer has proved that it dialled.
    nonisolated func ask(_ peer: PeerID, _ addresses: [Multiaddr]) async throws -> AutoNATMessage {
        let stream = try await host.openStream(to: peer, [AutoNAT2Message.protocolID])
        stream.expire(after: ReachabilityService.dialBackTime)
        let nonce = UInt64.random(in: .min ... .max)
        await expect(nonce)
        do {
            let answer = try await exchange(addresses, nonce, over: stream)
            let isProved = await hasCome(nonce)
            switch answer {
            case .response(.ok, let index, .ok) where addresses.indices.contains(index) && isProved:
                return .response(.ok, addresses[index])
            case .response(.ok, _, .dialError): return .response(.dialError, nil)
            default: return .response(.dialRefused, nil)
            }
        } catch {
            _ = await hasCome(nonce)
            throw error
        }
    }

    private nonisolated func exchange(
        _ addresses: [Multiaddr],
        _ nonce: UInt64,
        over stream: PeerStream
    ) async throws -> AutoNAT2Message {
        try await stream.write(AutoNAT2Message.request(addresses, nonce: nonce).bytes.delimited)
        var reader = MessageReader(stream)
        var hasPaid = false
        while let bytes = try await reader.next(limit: AutoNAT2Message.maximumLength) {
            let message = try AutoNAT2Message(bytes: bytes)
            guard case .dataRequest(_, let count) = message else {
                stream.end()
                return message
            }
            guard !hasPaid, count <= ReachabilityService.maximumCost else {
                stream.reset()
                throw Libp2pError(.limit, "a dial costs too much")
            }
            hasPaid = true
            let portion = AutoNAT2Message.data(AutoNAT2Message.maximumPortion).bytes.delimited
            for _ in 0..<(count + AutoNAT2Message.maximumPortion - 1) / AutoNAT2Message.maximumPortion {
                try await stream.write(portion)
            }
        }
        throw Libp2pError(.protocolViolation, "no answer")
    }

    /// A dial-back comes in, from whomever: the number says to which question it belongs.
    func receiveDialBack(_ stream: PeerStream) async throws {
        stream.expire(after: ReachabilityService.dialBackTime)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: AutoNAT2Message.maximumLength) else { return }
        guard came(try AutoNAT2Message.nonce(ofDialBack: bytes)) else {
            throw Libp2pError(.protocolViolation, "a dial-back nobody asked for")
        }
        // An empty message: OK.
        try await stream.write([UInt8]().delimited)
    }

    // MARK: Dialling back

    func serveDialRequest(_ stream: PeerStream) async throws {
        stream.expire(after: ReachabilityService.dialBackTime)
        var reader = MessageReader(stream)
        guard let bytes = try await reader.next(limit: AutoNAT2Message.maximumLength),
            case .request(let addresses, let nonce) = try AutoNAT2Message(bytes: bytes)
        else { throw Libp2pError(.protocolViolation, "no request") }
        func answer(_ status: AutoNAT2Message.Status, _ index: Int = 0, _ dial: AutoNAT2Message.DialStatus = .unused)
            async throws
        { try await stream.write(AutoNAT2Message.response(status, index: index, dial).bytes.delimited) }
        switch select(addresses, for: stream.peer, seenAt: stream.connection.remoteAddress) {
        case .notNow: try await answer(.requestRejected)
        case .nothing: try await answer(.dialRefused)
        case .dial(let selection):
            if selection.cost > 0 { try await charge(selection, stream, &reader) }
            try await answer(.ok, selection.index, await dialBack(stream.peer, selection.address, nonce))
        }
    }

    private func charge(
        _ selection: DialBackRules.Selection,
        _ stream: PeerStream,
        _ reader: inout MessageReader
    ) async throws {
        let request = AutoNAT2Message.dataRequest(index: selection.index, count: selection.cost)
        try await stream.write(request.bytes.delimited)
        var paid = 0
        while paid < selection.cost {
            guard let bytes = try await reader.next(limit: AutoNAT2Message.maximumLength),
                case .data(let count) = try AutoNAT2Message(bytes: bytes), count > 0
            else { throw Libp2pError(.protocolViolation, "the dial is not paid for") }
            paid += count
        }
    }

    /// From a port of its own: one that is listened on might go through a hole that the peer has made for it.
    private func dialBack(_ peer: PeerID, _ address: Multiaddr, _ nonce: UInt64) async -> AutoNAT2Message.DialStatus {
        guard let connection = try? await host.dial(peer, address) else { return .dialError }
        defer { connection.close() }
        do {
            let stream = try await connection.openStream([AutoNAT2Message.dialBackID])
            stream.expire(after: ReachabilityService.dialBackTime)
            try await stream.write(AutoNAT2Message.dialBack(nonce).delimited)
            stream.end()
            var reader = MessageReader(stream)
            // Whatever it answers, it has heard the number.
            guard try await reader.next(limit: AutoNAT2Message.maximumLength) != nil else { return .dialBackError }
            return .ok
        } catch {
            return .dialBackError
        }
    }
}
