#if QUIC
import CNgtcp2
import NIOCore

// The library's side: how a connection of it is made, and what it calls back. A callback notes what happened in `pending` and does
// nothing else: the library may not be entered again before it returns.

extension QUICConnection {
    /// Begins a client's connection; its first packet leaves with the next flush.
    func startClient() throws(QUICError) -> ngtcp2_cid {
        var destination = ConnectionID.random()
        var source = ConnectionID.random()
        var settings = makeSettings()
        var parameters = makeParameters()
        var callbacks = makeCallbacks()
        callbacks.client_initial = ngtcp2_crypto_client_initial_cb
        callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb
        let user = Unmanaged.passUnretained(self).toOpaque()
        var library: OpaquePointer?
        let result = path.withPath {
            ngtcp2_conn_client_new_versioned(
                &library,
                &destination,
                &source,
                $0,
                NGTCP2_PROTO_VER_V1,
                NGTCP2_CALLBACKS_VERSION,
                &callbacks,
                NGTCP2_SETTINGS_VERSION,
                &settings,
                NGTCP2_TRANSPORT_PARAMS_VERSION,
                &parameters,
                nil,
                user
            )
        }
        guard result == 0, let library else { throw QUICError.library(result) }
        self.library = library
        tls.attach(library)
        return source
    }

    /// Begins a server's connection with a client's first packet.
    ///
    /// - Parameter original: what the client first addressed, when a retry has changed that since.
    func startServer(_ header: ngtcp2_pkt_hd, original: ngtcp2_cid?) throws(QUICError) -> ngtcp2_cid {
        var destination = header.scid
        var source = ConnectionID.random()
        var settings = makeSettings()
        settings.token = original == nil ? ngtcp2_vec() : header.token
        var parameters = makeParameters()
        parameters.original_dcid = original ?? header.dcid
        if original != nil {
            parameters.retry_scid = header.dcid
            parameters.retry_scid_present = 1
        }
        parameters.stateless_reset_token_present = 1
        if let endpoint {
            withUnsafeMutableBytes(of: &parameters.stateless_reset_token) {
                endpoint.resetToken(for: &source, into: $0)
            }
        }
        var callbacks = makeCallbacks()
        callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb
        let user = Unmanaged.passUnretained(self).toOpaque()
        var library: OpaquePointer?
        let result = path.withPath {
            ngtcp2_conn_server_new_versioned(
                &library,
                &destination,
                &source,
                $0,
                header.version,
                NGTCP2_CALLBACKS_VERSION,
                &callbacks,
                NGTCP2_SETTINGS_VERSION,
                &settings,
                NGTCP2_TRANSPORT_PARAMS_VERSION,
                &parameters,
                nil,
                user
            )
        }
        guard result == 0, let library else { throw QUICError.library(result) }
        self.library = library
        tls.attach(library)
        return source
    }

    private func makeSettings() -> ngtcp2_settings {
        var settings = ngtcp2_settings()
        ngtcp2_settings_default_versioned(NGTCP2_SETTINGS_VERSION, &settings)
        settings.initial_ts = now
        settings.handshake_timeout = UInt64(configuration.handshakeTimeout.nanoseconds)
        // The socket lets the kernel fragment, so a larger packet that arrives would prove nothing about the path.
        settings.no_pmtud = 1
        return settings
    }

    private func makeParameters() -> ngtcp2_transport_params {
        var parameters = ngtcp2_transport_params()
        ngtcp2_transport_params_default_versioned(NGTCP2_TRANSPORT_PARAMS_VERSION, &parameters)
        parameters.initial_max_stream_data_bidi_local = UInt64(configuration.streamWindow)
        parameters.initial_max_stream_data_bidi_remote = UInt64(configuration.streamWindow)
        parameters.initial_max_stream_data_uni = UInt64(configuration.streamWindow)
        parameters.initial_max_data = UInt64(configuration.connectionWindow)
        parameters.initial_max_streams_bidi = UInt64(configuration.maximumStreams)
        parameters.initial_max_streams_uni = UInt64(configuration.maximumUnidirectionalStreams)
        parameters.max_idle_timeout = UInt64(configuration.idleTimeout.nanoseconds)
        parameters.max_datagram_frame_size = UInt64(configuration.maximumDatagramSize)
        parameters.max_udp_payload_size = UInt64(QUICEndpoint.maximumPacket)
        parameters.active_connection_id_limit = 4
        return parameters
    }

    private func makeCallbacks() -> ngtcp2_callbacks {
        var callbacks = ngtcp2_callbacks()
        callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb
        callbacks.encrypt = ngtcp2_crypto_encrypt_cb
        callbacks.decrypt = ngtcp2_crypto_decrypt_cb
        callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb
        callbacks.update_key = ngtcp2_crypto_update_key_cb
        callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb
        callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb
        callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb
        callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb
        callbacks.rand = { bytes, count, _ in Randomness.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count))
        }
        callbacks.get_new_connection_id = { _, id, token, length, user in
            guard let id, let token, let connection = QUICConnection.of(user), let endpoint = connection.endpoint else {
                return NGTCP2_ERR_CALLBACK_FAILURE
            }
            ConnectionID.fill(&id.pointee, length: length)
            endpoint.resetToken(for: &id.pointee, into: UnsafeMutableRawBufferPointer(start: token, count: 16))
            endpoint.route(id.pointee, to: connection)
            return 0
        }
        callbacks.remove_connection_id = { _, id, user in
            guard let id, let connection = QUICConnection.of(user) else { return NGTCP2_ERR_CALLBACK_FAILURE }
            connection.endpoint?.unroute(id.pointee, from: connection)
            return 0
        }
        callbacks.dcid_status = { _, status, _, _, token, user in
            guard let token, let connection = QUICConnection.of(user), let endpoint = connection.endpoint else {
                return 0
            }
            let key = ConnectionID(UnsafeRawBufferPointer(start: token, count: Int(NGTCP2_STATELESS_RESET_TOKENLEN)))
            let isInUse = status == Int32(NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE.rawValue)
            endpoint.expectReset(key, for: connection, isInUse)
            return 0
        }
        callbacks.handshake_completed = { _, user in
            QUICConnection.of(user)?.pending.handshakeCompleted = true
            return 0
        }
        callbacks.stream_open = { _, id, user in
            QUICConnection.of(user)?.opened(id)
            return 0
        }
        callbacks.recv_stream_data = { _, flags, id, _, data, count, user, _ in
            guard let connection = QUICConnection.of(user) else { return NGTCP2_ERR_CALLBACK_FAILURE }
            connection.opened(id)
            let bytes = UnsafeRawBufferPointer(start: data, count: count)
            let isLast = flags & UInt32(NGTCP2_STREAM_DATA_FLAG_FIN) != 0
            connection.streams[id]?.received(bytes, isLast: isLast)
            connection.pending.received.insert(id)
            return 0
        }
        callbacks.acked_stream_data_offset = { _, id, offset, count, user, _ in
            QUICConnection.of(user)?.streams[id]?.acknowledged(offset, count)
            return 0
        }
        callbacks.stream_reset = { _, id, _, code, user, _ in
            let error = QUICError(.streamReset, "the peer aborted the stream", closeCode: code, isFromPeer: true)
            QUICConnection.of(user)?.pending.reset.append((id, error))
            return 0
        }
        callbacks.stream_close = { _, flags, id, code, user, _ in
            let isError = flags & UInt32(NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0
            let error = isError ? QUICError(.streamReset, "the stream was aborted", closeCode: code) : nil
            QUICConnection.of(user)?.pending.finished.append((id, error))
            return 0
        }
        callbacks.recv_datagram = { _, _, data, count, user in
            guard let connection = QUICConnection.of(user) else { return NGTCP2_ERR_CALLBACK_FAILURE }
            connection.pending.datagrams.append(ByteBuffer(bytes: UnsafeRawBufferPointer(start: data, count: count)))
            return 0
        }
        callbacks.recv_stateless_reset = { _, _, user in
            QUICConnection.of(user)?.pending.wasStatelesslyReset = true
            return 0
        }
        callbacks.path_validation = { _, _, _, result, user in
            QUICConnection.of(user)?.pathValidated(result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS)
            return 0
        }
        return callbacks
    }

    private static func of(_ user: UnsafeMutableRawPointer?) -> QUICConnection? {
        user.map { Unmanaged<QUICConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    /// The peer has opened a stream, or sends on one that it has.
    private func opened(_ id: Int64) {
        guard streams[id] == nil, let library, ngtcp2_conn_is_local_stream(library, id) == 0 else { return }
        streams[id] = QUICStreamChannel(id, of: self)
        pending.opened.append(id)
    }
}
#endif
