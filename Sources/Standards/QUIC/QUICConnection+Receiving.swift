#if QUIC
import CNgtcp2
import NIOCore

extension QUICConnection {
    /// A packet for this connection. What it brings is handed on before this returns; answers go with the next flush.
    func received(_ packet: UnsafeRawBufferPointer, along path: NetworkPath) {
        guard let library else { return }
        let now = now
        let result = path.withPath { path in
            inLibrary {
                ngtcp2_conn_read_pkt_versioned(
                    library,
                    path,
                    NGTCP2_PKT_INFO_VERSION,
                    nil,
                    packet.baseAddress?.assumingMemoryBound(to: UInt8.self),
                    packet.count,
                    now
                )
            }
        }
        adoptPath(library)
        guard result == 0 else {
            // What came before the error in the same packet is true all the same.
            dispatch()
            return failed(result)
        }
        dispatch()
        guard self.library != nil else { return }
        unblock(library)
        scheduleFlush()
    }

    /// The library has moved to another path, for the peer did and proved it.
    private func adoptPath(_ library: OpaquePointer) {
        let current = ngtcp2_conn_get_path(library).pointee
        guard !path.remote.isSame(as: current.remote) || !path.local.isSame(as: current.local),
            let moved = NetworkPath(current)
        else { return }
        path = moved
    }

    /// Does what the library's callbacks have noted.
    private func dispatch() {
        let work = pending
        pending = Pending()
        pending.wasStatelesslyReset = work.wasStatelesslyReset
        if work.handshakeCompleted { handshakeCompleted() }
        for id in work.opened where library != nil {
            guard let stream = streams[id] else { continue }
            do {
                try configuration.streamInitializer(stream, self)
                stream.activate()
            } catch {
                stream.close(promise: nil)
            }
        }
        // In order of their opening, so that the same packets always do the same.
        for id in work.received.sorted() where library != nil { streams[id]?.deliver() }
        for (id, error) in work.reset where library != nil { streams[id]?.wasReset(error) }
        for datagram in work.datagrams where library != nil { configuration.receivedDatagram?(self, datagram) }
        if !work.finished.isEmpty { finish(work.finished) }
        if !openings.isEmpty { openWaiting() }
    }

    private func handshakeCompleted() {
        guard let library, !isEstablished else { return }
        isEstablished = true
        if let keepAlive = configuration.keepAlive {
            ngtcp2_conn_set_keep_alive_timeout(library, UInt64(keepAlive.nanoseconds))
        }
        endpoint?.established(self)
        established.succeed()
    }

    /// Streams that both ends are done with.
    private func finish(_ finished: [(id: Int64, error: QUICError?)]) {
        for (id, error) in finished {
            guard let stream = streams[id] else { continue }
            if stream.isQueued { ready.removeAll { $0 === stream } }
            blocked.removeAll { $0 === stream }
            if stream.finished(error) { streams[id] = nil }
            guard let library, ngtcp2_conn_is_local_stream(library, id) == 0 else { continue }
            // The place is free for another.
            if ngtcp2_is_bidi_stream(id) != 0 {
                ngtcp2_conn_extend_max_streams_bidi(library, 1)
            } else {
                ngtcp2_conn_extend_max_streams_uni(library, 1)
            }
        }
    }

    /// A stream that the library was done with has been read to its end.
    func forget(_ stream: QUICStreamChannel) { streams[stream.id] = nil }

    /// The peer may have granted more to streams that waited for it.
    private func unblock(_ library: OpaquePointer) {
        guard !blocked.isEmpty, ngtcp2_conn_get_max_data_left(library) > 0 else { return }
        let waiting = blocked
        blocked = []
        for stream in waiting {
            if ngtcp2_conn_get_max_stream_data_left(library, stream.id) > 0 {
                wantsToSend(stream)
            } else if streams[stream.id] != nil {
                blocked.append(stream)
            }
        }
    }
}
#endif
