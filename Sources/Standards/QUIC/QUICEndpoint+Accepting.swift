#if QUIC
import CNgtcp2
import NIOCore

// What a server does with packets of connections that it does not know.
extension QUICEndpoint {
    /// How long a client has to come back with a retry token, in nanoseconds.
    private static let retryValidity: UInt64 = 10_000_000_000
    /// A packet this short cannot be answered with a reset that is shorter yet (RFC 9000 §10.3.3).
    private static let minimumForReset = 22

    /// A packet with a long header that belongs to no connection: perhaps the first of one.
    func accept(_ packet: UnsafeRawBufferPointer, _ header: ngtcp2_version_cid, along path: NetworkPath) {
        guard let server else { return }
        // RFC 9000 §14.1: a client's first datagram is at least this large, so that an answer amplifies nothing.
        guard packet.count >= QUICEndpoint.maximumPacket else { return }
        guard header.version == NGTCP2_PROTO_VER_V1 else { return negotiateVersion(header, along: path) }
        var first = ngtcp2_pkt_hd()
        let bytes = packet.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let result = ngtcp2_accept(&first, bytes, packet.count)
        guard result == 0 || result == NGTCP2_ERR_RETRY, first.type == UInt8(NGTCP2_PKT_INITIAL.rawValue) else {
            return
        }
        guard connectionCount < server.maximumConnections, handshakeCount < server.maximumHandshakes else { return }
        var original: ngtcp2_cid?
        if first.token.len > 0, first.token.base[0] == UInt8(NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
            guard let proven = verifyRetry(first, path) else { return refuse(first, along: path) }
            original = proven
        } else if result == NGTCP2_ERR_RETRY || demandsProof(server) {
            return retry(first, along: path)
        }
        begin(first, original, packet, along: path, server)
    }

    private func demandsProof(_ server: QUICServerConfiguration) -> Bool {
        switch server.retry {
        case .never: false
        case .always: true
        case .above(let handshakes): handshakeCount >= handshakes
        }
    }

    private func begin(
        _ header: ngtcp2_pkt_hd,
        _ original: ngtcp2_cid?,
        _ packet: UnsafeRawBufferPointer,
        along path: NetworkPath,
        _ server: QUICServerConfiguration
    ) {
        do throws(QUICError) {
            let tls = try TLSSession.server(
                server.renewCredentials?() ?? server.credentials,
                applicationProtocols: server.transport.applicationProtocols,
                admitsClient: server.admitsClient
            )
            let connection = QUICConnection(self, path: path, isServer: true, configuration: server.transport, tls: tls)
            do throws(QUICError) {
                route(try connection.startServer(header, original: original), to: connection)
            } catch {
                connection.established.fail(error)
                connection.closedPromise.succeed(error)
                throw error
            }
            // The client addresses us by what it chose until it has heard what we chose.
            route(header.dcid, to: connection)
            added(connection)
            connection.received(packet, along: path)
        } catch {
            // Out of memory: as if the packet had been lost.
        }
    }

    // MARK: Proof of address

    private func retry(_ header: ngtcp2_pkt_hd, along path: NetworkPath) {
        var header = header
        var source = ConnectionID.random()
        var token = [UInt8](repeating: 0, count: 128)
        let tokenCount = path.remote.withSockAddr { address, count in
            ngtcp2_crypto_generate_retry_token(
                &token,
                secret,
                secret.count,
                header.version,
                address,
                socklen_t(count),
                &source,
                &header.dcid,
                eventLoop.now.uptimeNanoseconds
            )
        }
        guard tokenCount > 0 else { return }
        answer(along: path) { packet, capacity in
            ngtcp2_crypto_write_retry(
                packet,
                capacity,
                header.version,
                &header.scid,
                &source,
                &header.dcid,
                token,
                tokenCount
            )
        }
    }

    /// - Returns: what the client addressed first; nil when the token is not ours, old, or of another address.
    private func verifyRetry(_ header: ngtcp2_pkt_hd, _ path: NetworkPath) -> ngtcp2_cid? {
        var header = header
        var original = ngtcp2_cid()
        let result = path.remote.withSockAddr { address, count in
            ngtcp2_crypto_verify_retry_token(
                &original,
                header.token.base,
                header.token.len,
                secret,
                secret.count,
                header.version,
                address,
                socklen_t(count),
                &header.dcid,
                QUICEndpoint.retryValidity,
                eventLoop.now.uptimeNanoseconds
            )
        }
        return result == 0 ? original : nil
    }

    private func refuse(_ header: ngtcp2_pkt_hd, along path: NetworkPath) {
        var header = header
        answer(along: path) { packet, capacity in
            ngtcp2_crypto_write_connection_close(
                packet,
                capacity,
                header.version,
                &header.scid,
                &header.dcid,
                UInt64(NGTCP2_INVALID_TOKEN),
                nil,
                0
            )
        }
    }

    // MARK: Answers without state

    private func negotiateVersion(_ header: ngtcp2_version_cid, along path: NetworkPath) {
        guard header.version != 0 else { return }
        let versions = [UInt32(NGTCP2_PROTO_VER_V1)]
        var unused: UInt8 = 0
        withUnsafeMutableBytes(of: &unused) { Randomness.fill($0) }
        answer(along: path) { packet, capacity in
            ngtcp2_pkt_write_version_negotiation(
                packet,
                capacity,
                unused,
                header.scid,
                header.scidlen,
                header.dcid,
                header.dcidlen,
                versions,
                1
            )
        }
    }

    /// Tells the peer of a connection that we do not know to give it up (RFC 9000 §10.3).
    func reset(_ packet: UnsafeRawBufferPointer, _ header: ngtcp2_version_cid, along path: NetworkPath) {
        guard server != nil, packet.count >= QUICEndpoint.minimumForReset, header.dcidlen == ConnectionID.length else {
            return
        }
        let second = eventLoop.now.uptimeNanoseconds / 1_000_000_000
        if resets.second != second { resets = (second, 0) }
        guard resets.count < QUICEndpoint.maximumResets else { return }
        resets.count += 1
        var id = ngtcp2_cid()
        ngtcp2_cid_init(&id, header.dcid, header.dcidlen)
        var token = [UInt8](repeating: 0, count: Int(NGTCP2_STATELESS_RESET_TOKENLEN))
        token.withUnsafeMutableBytes { resetToken(for: &id, into: $0) }
        // Shorter than what it answers, so that two ends never reset each other for ever.
        let padding = Randomness.bytes(min(packet.count - 1, 43) - token.count)
        answer(along: path) { packet, capacity in
            ngtcp2_pkt_write_stateless_reset(packet, capacity, token, padding, padding.count)
        }
    }

    private func answer(along path: NetworkPath, _ write: (UnsafeMutablePointer<UInt8>, Int) -> ngtcp2_ssize) {
        let count = write(scratch.packet, QUICEndpoint.maximumPacket)
        guard count > 0 else { return }
        send(UnsafeRawBufferPointer(start: scratch.packet, count: count), along: path)
    }
}
#endif
