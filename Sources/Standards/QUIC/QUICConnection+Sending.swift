#if QUIC
import CNgtcp2
import NIOCore

extension QUICConnection {
    private enum Step { case sent, again, idle, ended }

    /// Sends once for all that is written in a turn of the loop.
    func scheduleFlush() {
        guard let endpoint, !isFlushScheduled, library != nil else { return }
        isFlushScheduled = true
        endpoint.flushSoon(self)
    }

    /// Puts what may be sent into packets.
    func flush() {
        isFlushScheduled = false
        guard let library, let endpoint, !isFlushing, !isInLibrary else { return }
        guard endpoint.isWritable else { return endpoint.flushWhenWritable(self) }
        isFlushing = true
        let now = now
        var kept: [EventLoopPromise<Void>] = []
        var touched: [QUICStreamChannel] = []
        // The library paces: what is beyond its quantum goes when its timer fires.
        var budget = max(10, ngtcp2_conn_get_send_quantum(library) / QUICEndpoint.maximumPacket)
        loop: while budget > 0 {
            switch writePacket(library, endpoint, now, &kept, &touched) {
            case .sent: budget -= 1
            case .again: continue
            case .idle: break loop
            case .ended:
                isFlushing = false
                for promise in kept { promise.succeed() }
                return
            }
        }
        ngtcp2_conn_update_pkt_tx_time(library, now)
        endpoint.flushSockets()
        isFlushing = false
        schedule()
        for promise in kept { promise.succeed() }
        for stream in touched {
            stream.updateWritability()
            stream.closeIfBothEnded()
        }
        if farewell != nil { sayFarewellIfDelivered() }
    }

    private func sayFarewellIfDelivered() {
        if streams.values.allSatisfy(\.outbound.isEmpty) { sayFarewell(isLate: true) }
    }

    private func writePacket(
        _ library: OpaquePointer,
        _ endpoint: QUICEndpoint,
        _ now: UInt64,
        _ kept: inout [EventLoopPromise<Void>],
        _ touched: inout [QUICStreamChannel]
    ) -> Step {
        let scratch = endpoint.scratch
        if let datagram = datagrams.first {
            var isAccepted: Int32 = 0
            let count = datagram.withUnsafeReadableBytes { bytes in
                var vector = ngtcp2_vec(
                    base: UnsafeMutablePointer(mutating: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)),
                    len: bytes.count
                )
                return inLibrary {
                    ngtcp2_conn_writev_datagram_versioned(
                        library,
                        scratch.path,
                        NGTCP2_PKT_INFO_VERSION,
                        nil,
                        scratch.packet,
                        QUICEndpoint.maximumPacket,
                        &isAccepted,
                        0,
                        0,
                        &vector,
                        1,
                        now
                    )
                }
            }
            if isAccepted != 0 || count == Int(NGTCP2_ERR_INVALID_STATE) || count == Int(NGTCP2_ERR_INVALID_ARGUMENT) {
                datagrams.removeFirst()
            }
            switch count {
            case 0: return .idle
            case 1...: return send(count, endpoint)
            case Int(NGTCP2_ERR_INVALID_STATE), Int(NGTCP2_ERR_INVALID_ARGUMENT): return .again
            default: return fail(count)
            }
        }
        let stream = ready.first
        var written = -1
        var vectors = 0
        var flags: UInt32 = UInt32(NGTCP2_WRITE_STREAM_FLAG_NONE)
        if let stream {
            vectors = stream.outbound.fill(scratch.vectors)
            // The end goes with the last bytes, which are all that is queued once the vectors hold them all.
            let offered = scratch.vectors.prefix(vectors).reduce(0) { $0 + $1.len }
            if stream.endsAfterQueue, offered == stream.outbound.unsent {
                flags = UInt32(NGTCP2_WRITE_STREAM_FLAG_FIN)
            }
        }
        let offersEnd = flags != 0
        let count = inLibrary {
            ngtcp2_conn_writev_stream_versioned(
                library,
                scratch.path,
                NGTCP2_PKT_INFO_VERSION,
                nil,
                scratch.packet,
                QUICEndpoint.maximumPacket,
                &written,
                flags,
                stream?.id ?? -1,
                scratch.vectors.baseAddress,
                vectors,
                now
            )
        }
        if let stream, written >= 0 {
            // An end that was offered goes only with the last byte.
            kept += stream.sent(written, withEnd: offersEnd)
            touched.append(stream)
        }
        switch count {
        case Int(NGTCP2_ERR_STREAM_DATA_BLOCKED):
            if let stream = unready() { blocked.append(stream) }
            return .again
        case Int(NGTCP2_ERR_STREAM_SHUT_WR), Int(NGTCP2_ERR_STREAM_NOT_FOUND):
            if let stream = unready() {
                let error = QUICError(.streamReset, "the peer reads no more of the stream", isFromPeer: true)
                eventLoop.execute { stream.wasReset(error) }
            }
            return .again
        case 0: return .idle
        case 1...:
            if written >= 0, let stream = unready(), stream.isSendable {
                stream.isQueued = true
                ready.append(stream)
            }
            return send(count, endpoint)
        default: return fail(count)
        }
    }

    /// Takes the stream whose turn it was from the queue.
    private func unready() -> QUICStreamChannel? {
        let stream = ready.popFirst()
        stream?.isQueued = false
        return stream
    }

    private func send(_ count: Int, _ endpoint: QUICEndpoint) -> Step {
        let to = endpoint.scratch.path.pointee
        if !path.remote.isSame(as: to.remote) || !path.local.isSame(as: to.local) {
            // A probe of another path, or the connection has moved.
            guard let other = NetworkPath(to) else { return .sent }
            endpoint.send(UnsafeRawBufferPointer(start: endpoint.scratch.packet, count: count), along: other)
        } else {
            endpoint.send(UnsafeRawBufferPointer(start: endpoint.scratch.packet, count: count), along: path)
        }
        return .sent
    }

    private func fail(_ result: Int) -> Step {
        isFlushing = false
        failed(Int32(truncatingIfNeeded: result))
        return .ended
    }
}
#endif
