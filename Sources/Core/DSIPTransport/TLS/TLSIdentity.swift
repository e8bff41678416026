import NIOConcurrencyHelpers
import NIOSSL

/// A server's certificate chain and key, read from PEM files and read again when the files change.
///
/// Every new connection takes the newest context; connections that exist keep theirs. A replacement that does not load (half written,
/// key and certificate of different pairs) leaves the old one in use and is reported. TLS 1.3 only (DSIP §13.2).
///
/// ```swift
/// let identity = try TLSIdentity(certificatePath: "fullchain.pem", keyPath: "privkey.pem")
/// try channel.pipeline.syncOperations.addHandler(identity.makeHandler())
/// ```
public final class TLSIdentity: Sendable {
    public let certificatePath: String
    public let keyPath: String

    private struct State {
        var context: NIOSSLContext
        var stamps: [FileStamp?]
    }

    private let state: NIOLockedValueBox<State>

    /// - Throws: `.credentials` when a file is missing, no PEM, or the key does not belong to the certificate.
    public init(certificatePath: String, keyPath: String) throws(TransportError) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        let stamps = TLSIdentity.stamps(certificatePath, keyPath)
        self.state = NIOLockedValueBox(
            State(context: try TLSIdentity.load(certificatePath, keyPath), stamps: stamps)
        )
    }

    public var context: NIOSSLContext { state.withLockedValue(\.context) }

    /// The handler that goes first in a server connection's pipeline.
    public func makeHandler() -> NIOSSLServerHandler {
        var configuration = NIOSSLHandler.Configuration()
        // The handshake writes a few kilobytes once; an idle connection keeps no buffer for them.
        configuration.maximumPreservedOutboundBufferCapacity = 1024
        return NIOSSLServerHandler(context: context, configuration: configuration)
    }

    /// Reads the files again. What is in use stays in use when that fails.
    public func reload() throws(TransportError) {
        let stamps = TLSIdentity.stamps(certificatePath, keyPath)
        let context = try TLSIdentity.load(certificatePath, keyPath)
        state.withLockedValue { $0 = State(context: context, stamps: stamps) }
    }

    /// Reads the files again when one of them was replaced or rewritten since they were last read.
    ///
    /// - Returns: whether a new context is in use.
    @discardableResult
    public func reloadIfChanged() throws(TransportError) -> Bool {
        let stamps = TLSIdentity.stamps(certificatePath, keyPath)
        guard stamps != state.withLockedValue(\.stamps) else { return false }
        try reload()
        return true
    }

    /// Watches the files until cancelled.
    ///
    /// - Parameter report: told of every reload, and of every replacement that could not be read.
    public func watch(
        every interval: Duration = .seconds(30),
        report: @Sendable (Result<Void, TransportError>) -> Void
    ) async {
        while (try? await Task.sleep(for: interval)) != nil {
            do throws(TransportError) {
                if try reloadIfChanged() { report(.success(())) }
            } catch {
                report(.failure(error))
            }
        }
    }

    private static func stamps(_ paths: String...) -> [FileStamp?] { paths.map { FileStamp(path: $0) } }

    private static func load(_ certificatePath: String, _ keyPath: String) throws(TransportError) -> NIOSSLContext {
        do {
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMFile(certificatePath).map { .certificate($0) },
                privateKey: .privateKey(try NIOSSLPrivateKey(file: keyPath, format: .pem))
            )
            configuration.minimumTLSVersion = .tlsv13
            configuration.applicationProtocols = ["http/1.1"]
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TransportError(
                .credentials,
                "the certificate \(certificatePath) with the key \(keyPath) cannot be used: \(error)"
            )
        }
    }
}
