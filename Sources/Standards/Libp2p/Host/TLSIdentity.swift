import NIOCore
import NIOSSL

/// A host's side of `/tls/1.0.0`: one certificate for its lifetime, and handlers that hold the peer's against the rules of
/// `HandshakeCertificate`. TLS 1.3 only, client certificates always, no authority is trusted.
struct TLSIdentity: Sendable {
    private let client: NIOSSLContext
    private let server: NIOSSLContext
    private let clock: HostClock

    init(_ identity: IdentityKey, clock: HostClock) throws {
        let own = try HandshakeCertificate.make(for: identity, at: clock.now)
        let certificate = try NIOSSLCertificate(bytes: own.certificate, format: .der)
        let key = try NIOSSLPrivateKey(bytes: own.privateKey, format: .der)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(certificate)],
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .noHostnameVerification
        configuration.trustRoots = .certificates([])
        configuration.applicationProtocols = [YamuxSession.protocolID, HandshakeCertificate.applicationProtocol]
        server = try NIOSSLContext(configuration: configuration)
        var dialling = TLSConfiguration.makeClientConfiguration()
        dialling.certificateChain = configuration.certificateChain
        dialling.privateKey = configuration.privateKey
        dialling.minimumTLSVersion = .tlsv13
        dialling.certificateVerification = .noHostnameVerification
        dialling.trustRoots = .certificates([])
        dialling.applicationProtocols = configuration.applicationProtocols
        client = try NIOSSLContext(configuration: dialling)
        self.clock = clock
    }

    /// - Parameter proven: told once, before the handshake ends, whom the certificate proves or why it was refused.
    func handler(
        _ role: Connection.Role,
        expecting expected: PeerID?,
        proven: @escaping (Result<PublicKey, Libp2pError>) -> Void
    ) throws -> NIOSSLHandler {
        let clock = clock
        let verify: NIOSSLCustomVerificationCallback = { chain, promise in
            do throws(Libp2pError) {
                // One more than is allowed tells as much as all of them.
                let presented = chain.prefix(2).map { (try? $0.toDERBytes()) ?? [] }
                proven(.success(try HandshakeCertificate.verify(presented, expecting: expected, at: clock.now)))
                promise.succeed(.certificateVerified)
            } catch {
                proven(.failure(error))
                promise.succeed(.failed)
            }
        }
        return switch role {
        case .dialler:
            try NIOSSLClientHandler(context: client, serverHostname: nil, customVerificationCallback: verify)
        case .listener: NIOSSLServerHandler(context: server, customVerificationCallback: verify)
        }
    }
}
