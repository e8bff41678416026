import Crypto
import Encoding
import FoundationEssentials
import SwiftASN1
import X509

/// A certificate authority for one machine: made on first run, so that `wss` works before anyone owns a domain.
///
/// The root signs one leaf for `localhost`, the loopback addresses and the names asked for. Clients that shall trust it are given
/// `rootPath` (see `TrustRoots`); nothing is installed in the system. Keys are written with mode 0600. It is no authority for the
/// public: run a relay for others with a certificate they already trust.
///
/// ```swift
/// let authority = try DevelopmentAuthority(folder: state + "/tls", names: ["relay.home.arpa"], now: now)
/// let identity = try TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
/// ```
public struct DevelopmentAuthority: Sendable {
    /// Names and addresses every leaf carries.
    public static let loopbackNames = ["localhost", "127.0.0.1", "::1"]

    public let folder: String
    /// The root certificate, for clients.
    public var rootPath: String { folder + "/ca.pem" }
    /// The leaf certificate, for the server.
    public var certificatePath: String { folder + "/relay.pem" }
    /// The leaf's key.
    public var keyPath: String { folder + "/relay-key.pem" }
    private var rootKeyPath: String { folder + "/ca-key.pem" }

    private static let day: Int64 = 86_400
    /// A leaf this close to its end is replaced.
    private static let renewBefore = 30 * day
    private static let leafLifetime = 397 * day
    private static let rootLifetime = 3650 * day

    /// Opens the authority in `folder`, making whatever is missing, damaged, expiring or lacks a name.
    ///
    /// - Parameters:
    ///   - folder: created with mode 0700 when absent; its parent exists.
    ///   - names: DNS names and IP addresses beyond the loopback ones.
    ///   - now: Unix seconds.
    public init(folder: String, names: [String] = [], now: Int64) throws(TransportError) {
        self.folder = folder
        try PrivateFile.createFolder(folder)
        // Two programs starting at once must not each make a root.
        try PrivateFile.withLock(folder + "/.lock") { () throws(TransportError) in
            let root: Root
            if let existing = try readRoot(at: now) { root = existing } else { root = try makeRoot(at: now) }
            try ensureLeaf(of: root, names: DevelopmentAuthority.loopbackNames + names, at: now)
        }
    }

    /// Replaces the leaf when it is near its end; call from time to time in a long-running server.
    ///
    /// - Returns: whether a new leaf was written; a `TLSIdentity` on the same paths picks it up by `reloadIfChanged()`.
    @discardableResult
    public func renew(names: [String] = [], now: Int64) throws(TransportError) -> Bool {
        let before = FileStamp(path: certificatePath)
        _ = try DevelopmentAuthority(folder: folder, names: names, now: now)
        return FileStamp(path: certificatePath) != before
    }

    // MARK: Root

    private struct Root {
        let certificate: Certificate
        let key: Certificate.PrivateKey
    }

    private func readRoot(at now: Int64) throws(TransportError) -> Root? {
        guard let certificate = try readCertificate(rootPath), let key = try readKey(rootKeyPath),
            certificate.publicKey == key.publicKey,
            seconds(certificate.notValidAfter) - now > DevelopmentAuthority.leafLifetime
        else { return nil }
        return Root(certificate: certificate, key: key)
    }

    private func makeRoot(at now: Int64) throws(TransportError) -> Root {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let root = try wrap { () throws in
            let name = try DistinguishedName {
                CommonName("DSIP development authority " + Hex.encode((0..<3).map { _ in UInt8.random(in: 0...255) }))
            }
            return Root(
                certificate: try Certificate(
                    version: .v3,
                    serialNumber: Certificate.SerialNumber(),
                    publicKey: key.publicKey,
                    notValidBefore: date(now - DevelopmentAuthority.day),
                    notValidAfter: date(now + DevelopmentAuthority.rootLifetime),
                    issuer: name,
                    subject: name,
                    signatureAlgorithm: .ecdsaWithSHA256,
                    extensions: try Certificate.Extensions {
                        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                        SubjectKeyIdentifier(hash: key.publicKey)
                    },
                    issuerPrivateKey: key
                ),
                key: key
            )
        }
        try writeKey(root.key, to: rootKeyPath)
        try writeCertificates([root.certificate], to: rootPath)
        return root
    }

    // MARK: Leaf

    private func ensureLeaf(of root: Root, names: [String], at now: Int64) throws(TransportError) {
        let names = try names.map { (name) throws(TransportError) in try subjectName(name) }
        if let leaf = try readCertificate(certificatePath), let key = try readKey(keyPath),
            leaf.publicKey == key.publicKey, leaf.issuer == root.certificate.subject,
            root.certificate.publicKey.isValidSignature(leaf.signature, for: leaf),
            seconds(leaf.notValidAfter) - now > DevelopmentAuthority.renewBefore, seconds(leaf.notValidBefore) <= now,
            let listed = try? leaf.extensions.subjectAlternativeNames, Set(names).isSubset(of: Set(listed))
        {
            return
        }
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let leaf = try wrap { () throws in
            try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: key.publicKey,
                notValidBefore: date(now - DevelopmentAuthority.day),
                notValidAfter: date(now + DevelopmentAuthority.leafLifetime),
                issuer: root.certificate.subject,
                subject: try DistinguishedName { CommonName("DSIP development relay") },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(names)
                    SubjectKeyIdentifier(hash: key.publicKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: root.key.publicKey).keyIdentifier
                    )
                },
                issuerPrivateKey: root.key
            )
        }
        try writeKey(key, to: keyPath)
        try writeCertificates([leaf], to: certificatePath)
    }

    private func subjectName(_ name: String) throws(TransportError) -> GeneralName {
        if let address = HostAddress(name) { return .ipAddress(ASN1OctetString(contentBytes: address.bytes[...])) }
        guard !name.isEmpty, name.utf8.count <= 253, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw TransportError(.credentials, "\(name) is no host name")
        }
        return .dnsName(name)
    }

    // MARK: Files

    /// A damaged file counts as absent: it is made anew.
    private func readCertificate(_ path: String) throws(TransportError) -> Certificate? {
        guard let text = try PrivateFile.read(path) else { return nil }
        return try? Certificate(pemEncoded: String(decoding: text, as: UTF8.self))
    }

    private func readKey(_ path: String) throws(TransportError) -> Certificate.PrivateKey? {
        guard let text = try PrivateFile.read(path) else { return nil }
        return try? Certificate.PrivateKey(pemEncoded: String(decoding: text, as: UTF8.self))
    }

    private func writeKey(_ key: Certificate.PrivateKey, to path: String) throws(TransportError) {
        let text = try wrap { () throws in try key.serializeAsPEM().pemString + "\n" }
        try PrivateFile.write(Array(text.utf8), to: path, mode: 0o600)
    }

    private func writeCertificates(_ certificates: [Certificate], to path: String) throws(TransportError) {
        let text = try wrap { () throws in
            try certificates.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
        }
        try PrivateFile.write(Array(text.utf8), to: path, mode: 0o644)
    }

    private func wrap<R>(_ body: () throws -> R) throws(TransportError) -> R {
        do {
            return try body()
        } catch {
            throw TransportError(.credentials, "the development certificate cannot be made: \(error)")
        }
    }

    private func date(_ seconds: Int64) -> Date { Date(timeIntervalSince1970: TimeInterval(seconds)) }
    private func seconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970) }
}
