import Crypto
import Foundation
import NIOSSL
import SwiftASN1
import Testing
import X509

@testable import DSIPTransport

@Suite struct TLSTests {
    private let now = Int64(Date().timeIntervalSince1970)

    private func folder() -> String {
        FileManager.default.temporaryDirectory.appending(path: "dsip-tls-\(UUID().uuidString)").path
    }

    private func mode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
    }

    private func leaf(_ authority: DevelopmentAuthority) throws -> Certificate {
        try Certificate(pemEncoded: String(contentsOfFile: authority.certificatePath, encoding: .utf8))
    }

    @Test("a new authority writes its keys for the owner only, and the second opening changes nothing") func first()
        throws
    {
        let folder = folder()
        let authority = try DevelopmentAuthority(folder: folder, names: ["relay.home.arpa", "10.1.2.3"], now: now)
        #expect(try mode(authority.keyPath) == 0o600 && mode(folder + "/ca-key.pem") == 0o600 && mode(folder) == 0o700)
        let before = try Data(contentsOf: URL(filePath: authority.certificatePath))
        _ = try DevelopmentAuthority(folder: folder, names: ["relay.home.arpa"], now: now + 86_400)
        #expect(try Data(contentsOf: URL(filePath: authority.certificatePath)) == before)
        let names = try #require(try leaf(authority).extensions.subjectAlternativeNames)
        #expect(
            names.contains(.dnsName("relay.home.arpa")) && names.contains(.dnsName("localhost")) && names.count == 5
        )
        #expect(try !FileManager.default.contentsOfDirectory(atPath: folder).contains { $0.hasSuffix(".tmp") })
    }

    @Test("a leaf near its end is renewed under the same root") func renewal() throws {
        let folder = folder()
        let authority = try DevelopmentAuthority(folder: folder, now: now)
        let root = try Data(contentsOf: URL(filePath: authority.rootPath))
        let serial = try leaf(authority).serialNumber
        #expect(try !authority.renew(now: now + 300 * 86_400))
        #expect(try authority.renew(now: now + 370 * 86_400))
        #expect(try leaf(authority).serialNumber != serial)
        #expect(try Data(contentsOf: URL(filePath: authority.rootPath)) == root)
    }

    @Test("damaged files are made anew", arguments: ["ca.pem", "ca-key.pem", "relay.pem", "relay-key.pem"])
    func damage(file: String) throws {
        let folder = folder()
        _ = try DevelopmentAuthority(folder: folder, now: now)
        try Data("nonsense".utf8).write(to: URL(filePath: folder + "/" + file))
        let authority = try DevelopmentAuthority(folder: folder, now: now)
        _ = try TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
        let root = try Certificate(pemEncoded: String(contentsOfFile: authority.rootPath, encoding: .utf8))
        #expect(try root.publicKey.isValidSignature(leaf(authority).signature, for: leaf(authority)))
    }

    @Test("a replaced certificate is taken up; a half-written one leaves the old in use") func reload() throws {
        let authority = try DevelopmentAuthority(folder: folder(), now: now)
        let identity = try TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
        let first = identity.context
        #expect(try !identity.reloadIfChanged())
        #expect(identity.context === first)
        let whole = try Data(contentsOf: URL(filePath: authority.certificatePath))
        try whole.prefix(100).write(to: URL(filePath: authority.certificatePath))
        #expect(throws: TransportError(.credentials, "")) { try identity.reloadIfChanged() }
        #expect(identity.context === first)
        let other = try DevelopmentAuthority(folder: folder(), now: now)
        try Data(contentsOf: URL(filePath: other.certificatePath)).write(to: URL(filePath: authority.certificatePath))
        #expect(throws: TransportError(.credentials, ""), "the key is of another pair") {
            try identity.reloadIfChanged()
        }
        try Data(contentsOf: URL(filePath: other.keyPath)).write(to: URL(filePath: authority.keyPath))
        #expect(try identity.reloadIfChanged())
        #expect(identity.context !== first)
    }

    @Test("missing files are named") func missing() {
        #expect(throws: TransportError(.credentials, "")) {
            try TLSIdentity(certificatePath: "/nonexistent/cert.pem", keyPath: "/nonexistent/key.pem")
        }
        #expect(throws: TransportError(.credentials, "")) {
            try TrustRoots(additionalFiles: ["/nonexistent/ca.pem"]).configuration()
        }
    }
}

@Suite struct ServerNameTests {
    @Test("a certificate is good for the names it lists and for no others") func names() throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: key.publicKey,
            notValidBefore: .now,
            notValidAfter: .now + 60,
            issuer: DistinguishedName {},
            subject: DistinguishedName { CommonName("cn.example") },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions {
                SubjectAlternativeNames([
                    .dnsName("a.example"), .dnsName("*.wild.example"), .dnsName("*.com"), .dnsName("f*.part.example"),
                    .ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1])),
                ])
            },
            issuerPrivateKey: key
        )
        for name in ["a.example", "A.Example", "a.example.", "x.wild.example"] {
            #expect(certificate.names(name), "\(name)")
        }
        for name in [
            "b.example", "x.a.example", "wild.example", "x.y.wild.example", "example.com", "foo.part.example",
            "127.0.0.1",
            "cn.example", "",
        ] { #expect(!certificate.names(name), "\(name)") }
    }
}
