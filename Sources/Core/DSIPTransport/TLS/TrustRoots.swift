import NIOSSL

/// Whom a client believes: the system's authorities, and the ones named in addition.
///
/// Validation is never switched off. A development relay is reached by adding the root its `DevelopmentAuthority` wrote.
public struct TrustRoots: Sendable, Hashable {
    /// PEM files of further roots.
    public var additionalFiles: [String]

    public init(additionalFiles: [String] = []) { self.additionalFiles = additionalFiles }

    public static let system = TrustRoots()

    /// A client configuration: TLS 1.3 only, full verification (DSIP §13.2).
    ///
    /// - Throws: `.credentials` when an additional file is missing or holds no certificate.
    public func configuration() throws(TransportError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.certificateVerification = .fullVerification
        configuration.additionalTrustRoots = try additionalFiles.map { (path) throws(TransportError) in
            do {
                return .certificates(try NIOSSLCertificate.fromPEMFile(path))
            } catch {
                throw TransportError(.credentials, "the root certificate \(path) cannot be read")
            }
        }
        return configuration
    }

    func context() throws(TransportError) -> NIOSSLContext {
        var configuration = try configuration()
        configuration.applicationProtocols = ["http/1.1"]
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TransportError(.credentials, "the trusted root certificates cannot be loaded: \(error)")
        }
    }
}
