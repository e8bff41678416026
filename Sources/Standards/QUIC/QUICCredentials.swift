#if QUIC
import CNgtcp2

/// A certificate chain with its key, and roots to believe: what TLS 1.3 needs at one end. Made once, used by any number of connections.
public final class QUICCredentials: @unchecked Sendable {
    // Unchecked: written in `init` only; GnuTLS reads credentials and priorities from any thread.

    /// A chain and its key; either both PEM, or both DER with a single certificate.
    public struct Identity: Sendable {
        public enum Form: Sendable { case pem, der }

        public var form: Form
        public var certificate: [UInt8]
        public var key: [UInt8]

        public init(_ form: Form, certificate: [UInt8], key: [UInt8]) {
            self.form = form
            self.certificate = certificate
            self.key = key
        }
    }

    /// The authorities a client believes when it verifies by the server's name.
    public struct Roots: Sendable {
        public var includesSystem: Bool
        /// Further roots, each a PEM file's content.
        public var pem: [[UInt8]]

        public init(includesSystem: Bool, pem: [[UInt8]] = []) {
            self.includesSystem = includesSystem
            self.pem = pem
        }

        public static let none = Roots(includesSystem: false)
    }

    /// TLS 1.3 with what QUIC permits (RFC 9001 §5.3), and no middlebox compatibility (§8.4).
    private static let priorities = """
        %DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:\
        -GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1
        """

    let certificates: gnutls_certificate_credentials_t
    let priority: gnutls_priority_t

    /// - Throws: `.credentials` when a certificate, key or root does not parse, or key and certificate belong to different pairs.
    public init(identity: Identity? = nil, roots: Roots = .none) throws(QUICError) {
        var certificates: gnutls_certificate_credentials_t?
        var priority: gnutls_priority_t?
        guard gnutls_certificate_allocate_credentials(&certificates) == 0, let certificates else {
            throw QUICError(.failure, "no memory for credentials")
        }
        guard gnutls_priority_init2(&priority, QUICCredentials.priorities, nil, 0) == 0, let priority else {
            gnutls_certificate_free_credentials(certificates)
            throw QUICError(.failure, "TLS 1.3 is switched off on this system")
        }
        self.certificates = certificates
        self.priority = priority
        // From here on `deinit` frees both, whatever is thrown.
        if let identity { try use(identity) }
        try believe(roots)
    }

    deinit {
        gnutls_certificate_free_credentials(certificates)
        gnutls_priority_deinit(priority)
    }

    private func use(_ identity: Identity) throws(QUICError) {
        let form = identity.form == .pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER
        let result = identity.certificate.withDatum { certificate in
            identity.key.withDatum { key in
                gnutls_certificate_set_x509_key_mem(certificates, &certificate, &key, form)
            }
        }
        guard result >= 0 else {
            throw QUICError(.credentials, "the certificate and its key cannot be used: \(describe(result))")
        }
    }

    private func believe(_ roots: Roots) throws(QUICError) {
        if roots.includesSystem {
            let result = gnutls_certificate_set_x509_system_trust(certificates)
            guard result >= 0 else { throw QUICError(.credentials, "the system's roots cannot be read") }
        }
        for pem in roots.pem {
            let result = pem.withDatum { gnutls_certificate_set_x509_trust_mem(certificates, &$0, GNUTLS_X509_FMT_PEM) }
            guard result > 0 else { throw QUICError(.credentials, "a root certificate cannot be read") }
        }
    }
}

func describe(_ result: Int32) -> String { String(cString: gnutls_strerror(result)) }

extension [UInt8] {
    /// GnuTLS takes what it is given as mutable and does not change it.
    func withDatum<Result>(_ body: (inout gnutls_datum_t) -> Result) -> Result {
        withUnsafeBufferPointer { bytes in
            var datum = gnutls_datum_t(
                data: UnsafeMutablePointer(mutating: bytes.baseAddress),
                size: UInt32(bytes.count)
            )
            return body(&datum)
        }
    }
}
#endif
