#if QUIC
import CNgtcp2
import NIOCore

extension QUICConnection {
    /// Says an application's goodbye once nothing is left to arrive, or when it is too late for that.
    func sayFarewell(isLate: Bool) {
        guard let farewell, library != nil, !isInLibrary, !isFlushing else { return }
        guard isLate || eventLoop.now >= farewell.deadline || streams.values.allSatisfy(\.outbound.isEmpty) else {
            return scheduleFlush()
        }
        var error = ngtcp2_connection_close_error()
        let packet = Array(farewell.reason.utf8.prefix(256)).withUnsafeBufferPointer { reason in
            ngtcp2_connection_close_error_set_application_error(&error, farewell.code, reason.baseAddress, reason.count)
            return writeClose(&error)
        }
        let reason = farewell.reason.isEmpty ? "this end closed the connection" : farewell.reason
        end(QUICError(.closed, reason, closeCode: farewell.code), farewell: packet)
    }

    /// The library gave up on the connection.
    func failed(_ result: Int32) {
        guard let library else { return }
        switch result {
        case NGTCP2_ERR_DRAINING, NGTCP2_ERR_CLOSING: end(closeReason(library), farewell: [])
        case NGTCP2_ERR_IDLE_CLOSE, NGTCP2_ERR_HANDSHAKE_TIMEOUT, NGTCP2_ERR_DROP_CONN, NGTCP2_ERR_RETRY,
            NGTCP2_ERR_NOMEM:
            end(.library(result))
        default:
            var error = ngtcp2_connection_close_error()
            let alert = ngtcp2_conn_get_tls_alert(library)
            if alert != 0 {
                ngtcp2_connection_close_error_set_transport_error_tls_alert(&error, alert, nil, 0)
            } else {
                ngtcp2_connection_close_error_set_transport_error_liberr(&error, result, nil, 0)
            }
            let packet = writeClose(&error)
            let detail = ": \(String(cString: ngtcp2_strerror(result)))"
            end(.transport(error.error_code, detail, isFromPeer: false), farewell: packet)
        }
    }

    /// Sends a `CONNECTION_CLOSE`.
    ///
    /// - Returns: the packet, to be said again to stragglers; empty where none may be sent.
    private func writeClose(_ error: inout ngtcp2_connection_close_error) -> [UInt8] {
        guard let library, let endpoint else { return [] }
        var packet = [UInt8](repeating: 0, count: QUICEndpoint.maximumPacket)
        let count = inLibrary {
            ngtcp2_conn_write_connection_close_versioned(
                library,
                nil,
                NGTCP2_PKT_INFO_VERSION,
                nil,
                &packet,
                packet.count,
                &error,
                now
            )
        }
        guard count > 0 else { return [] }
        packet.removeLast(packet.count - count)
        endpoint.send(packet, along: path)
        endpoint.flushSockets()
        return packet
    }

    /// What the peer's `CONNECTION_CLOSE` or stateless reset says.
    private func closeReason(_ library: OpaquePointer) -> QUICError {
        if pending.wasStatelesslyReset {
            return QUICError(.reset, "the peer has forgotten the connection", isFromPeer: true)
        }
        var error = ngtcp2_connection_close_error()
        ngtcp2_conn_get_connection_close_error(library, &error)
        // At most 1024 bytes; shown as the peer's word.
        let text = error.reason.map {
            String(decoding: UnsafeBufferPointer(start: $0, count: min(error.reasonlen, 1024)), as: UTF8.self)
        }
        guard error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION else {
            return .transport(error.error_code, text.map { ": \($0)" } ?? "", isFromPeer: true)
        }
        let reason = text.flatMap { $0.isEmpty ? nil : $0 } ?? "the peer closed the connection"
        return QUICError(.closed, reason, closeCode: error.error_code, isFromPeer: true)
    }
}
#endif
