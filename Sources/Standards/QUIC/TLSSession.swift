#if QUIC
import CNgtcp2
import Glibc

/// How an end satisfies itself of the other's certificate.
public enum PeerVerification: Sendable {
    /// The chain leads to a root of the credentials, and its leaf is for this DNS name or address.
    case name(String)
    /// Holds for the DER chain, leaf first, whoever signed it. Called during the handshake, on the event loop.
    case chain(@Sendable ([[UInt8]]) -> Bool)
}

/// The TLS side of one connection. Lives and dies with it, on its event loop.
///
/// GnuTLS points to `reference`, and through it to this object and to the connection of the library; all three are freed together
/// in `QUICConnection.release()`, the session first, so that none of the pointers outlives what it points to.
final class TLSSession {
    let session: gnutls_session_t
    private let reference: UnsafeMutablePointer<quic_session_reference>
    private let credentials: QUICCredentials
    private var chainVerifier: (@Sendable ([[UInt8]]) -> Bool)?
    /// The name given to GnuTLS, which keeps no copy.
    private var name: UnsafeMutablePointer<CChar>?

    private init(
        flags: gnutls_init_flags_t,
        credentials: QUICCredentials,
        applicationProtocols: [String],
        configure: (gnutls_session_t) -> Int32
    ) throws(QUICError) {
        var session: gnutls_session_t?
        // No tickets: a connection lasts, and early data would have to be safe to replay.
        let flags = flags.rawValue | GNUTLS_NO_TICKETS.rawValue
        guard gnutls_init(&session, flags) == 0, let session else { throw QUICError(.failure, "no memory for TLS") }
        guard let reference = quic_session_reference_new(nil) else {
            gnutls_deinit(session)
            throw QUICError(.failure, "no memory for TLS")
        }
        self.session = session
        self.reference = reference
        self.credentials = credentials
        reference.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
        gnutls_session_set_ptr(session, reference)
        guard configure(session) == 0,
            gnutls_priority_set(session, credentials.priority) == 0,
            gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(credentials.certificates))
                == 0,
            offer(applicationProtocols) == 0
        else { throw QUICError(.failure, "TLS cannot be set up for QUIC") }
    }

    /// - Parameter name: the server name to ask for (RFC 6066 §3); nil where an address was dialled.
    static func client(
        _ credentials: QUICCredentials,
        applicationProtocols: [String],
        name: String?,
        verification: PeerVerification
    ) throws(QUICError) -> TLSSession {
        let tls = try TLSSession(
            flags: GNUTLS_CLIENT,
            credentials: credentials,
            applicationProtocols: applicationProtocols,
            configure: ngtcp2_crypto_gnutls_configure_client_session
        )
        if let name, gnutls_server_name_set(tls.session, GNUTLS_NAME_DNS, name, name.utf8.count) != 0 {
            throw QUICError(.failure, "the server's name cannot be asked for")
        }
        tls.verify(verification)
        return tls
    }

    static func server(
        _ credentials: QUICCredentials,
        applicationProtocols: [String],
        admitsClient: (@Sendable ([[UInt8]]) -> Bool)?
    ) throws(QUICError) -> TLSSession {
        let tls = try TLSSession(
            flags: GNUTLS_SERVER,
            credentials: credentials,
            applicationProtocols: applicationProtocols,
            configure: ngtcp2_crypto_gnutls_configure_server_session
        )
        if let admitsClient {
            gnutls_certificate_server_set_request(tls.session, GNUTLS_CERT_REQUIRE)
            tls.verify(.chain(admitsClient))
        }
        return tls
    }

    deinit {
        gnutls_deinit(session)
        quic_session_reference_free(reference)
        free(name)
    }

    /// Ties the session to the library's connection, which asks for it on every step of the handshake.
    func attach(_ connection: OpaquePointer) {
        reference.pointee.connection = connection
        ngtcp2_conn_set_tls_native_handle(connection, UnsafeMutableRawPointer(session))
    }

    private func offer(_ protocols: [String]) -> Int32 {
        // One block for all names; GnuTLS copies them.
        let names = protocols.map { Array($0.utf8) }
        var bytes = names.flatMap { $0 }
        return bytes.withUnsafeMutableBufferPointer { block in
            var start = 0
            let datums = names.map { name in
                defer { start += name.count }
                return gnutls_datum_t(data: block.baseAddress! + start, size: UInt32(name.count))
            }
            return gnutls_alpn_set_protocols(session, datums, UInt32(datums.count), GNUTLS_ALPN_MANDATORY.rawValue)
        }
    }

    private func verify(_ verification: PeerVerification) {
        switch verification {
        case .name(let host):
            name = strdup(host)
            gnutls_session_set_verify_cert(session, name, 0)
        case .chain(let verifier):
            chainVerifier = verifier
            gnutls_session_set_verify_function(session) { session in
                guard
                    let reference = gnutls_session_get_ptr(session)?.assumingMemoryBound(
                        to: quic_session_reference.self
                    ),
                    let owner = reference.pointee.owner
                else { return GNUTLS_E_CERTIFICATE_ERROR }
                let tls = Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue()
                return tls.chainVerifier?(tls.peerChain) == true ? 0 : GNUTLS_E_CERTIFICATE_ERROR
            }
        }
    }

    // MARK: After the handshake

    /// The peer's certificates as DER, leaf first.
    var peerChain: [[UInt8]] {
        var count: UInt32 = 0
        guard let list = gnutls_certificate_get_peers(session, &count) else { return [] }
        return UnsafeBufferPointer(start: list, count: Int(count)).map {
            Array(UnsafeBufferPointer(start: $0.data, count: Int($0.size)))
        }
    }

    /// The application protocol agreed on.
    var applicationProtocol: String? {
        var selected = gnutls_datum_t()
        guard gnutls_alpn_get_selected_protocol(session, &selected) == 0, let data = selected.data else { return nil }
        return String(decoding: UnsafeBufferPointer(start: data, count: Int(selected.size)), as: UTF8.self)
    }
}
#endif
