import Crypto
import FoundationEssentials
import SwiftASN1
import X509

/// The certificate of `/tls/1.0.0`: a key of its own, self-signed, that carries the peer's identity key and its signature.
///
/// ```
/// 1.3.6.1.4.1.53594.1.1   SignedKey ::= SEQUENCE { publicKey OCTET STRING, signature OCTET STRING }
/// signature over "libp2p-tls-handshake:" | SubjectPublicKeyInfo of the certificate
/// ```
///
/// `make` gives our own, `verify` reads a peer's; neither touches a socket or a clock.
package enum HandshakeCertificate {
    static let protocolID = "/tls/1.0.0"
    /// What ALPN says when the muxer is left to multistream-select.
    static let applicationProtocol = "libp2p"
    /// Of a certificate that is read, in bytes.
    static let maximumLength = 16 << 10

    /// A fresh certificate and the private key it is for.
    package struct Own: Sendable {
        package let certificate: [UInt8]
        /// DER; secret.
        let privateKey: [UInt8]
    }

    private static let hour: Int64 = 3_600_000
    private static let lifetime = 100 * 365 * 24 * hour
    /// Clocks of peers may differ from ours by so much.
    private static let tolerance = hour

    /// - Parameter now: Unix milliseconds.
    package static func make(for identity: IdentityKey, at now: Int64) throws(Libp2pError) -> Own {
        let key = P256.Signing.PrivateKey()
        let publicKey = Certificate.PublicKey(key.publicKey)
        do {
            let signed = SignedKey(
                publicKey: identity.publicKey.protobuf,
                signature: try identity.sign(signingInput(publicKey))
            )
            var serializer = DER.Serializer()
            try serializer.serialize(signed)
            let name = try DistinguishedName { OrganizationName("libp2p.io") }
            let certificate = try Certificate(
                version: .v3,
                serialNumber: Certificate.SerialNumber(),
                publicKey: publicKey,
                notValidBefore: date(now - hour),
                notValidAfter: date(now + lifetime),
                issuer: name,
                subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: Certificate.Extensions(
                    [Certificate.Extension(oid: extensionID, critical: true, value: serializer.serializedBytes[...])]
                ),
                issuerPrivateKey: Certificate.PrivateKey(key)
            )
            var out = DER.Serializer()
            try out.serialize(certificate)
            return Own(certificate: out.serializedBytes, privateKey: Array(key.derRepresentation))
        } catch {
            throw Libp2pError(.unsupported, "a certificate cannot be made")
        }
    }

    /// Reads what a peer presented.
    ///
    /// - Parameters:
    ///   - chain: DER, in the order it came.
    ///   - expected: the peer that was dialled; any when nil.
    ///   - now: Unix milliseconds.
    /// - Returns: the identity that the certificate proves.
    /// - Throws: `unauthentic` when a signature does not verify or the certificate is out of its time, `unsupported` for a critical
    ///   extension or an identity key that is not known here, `wrongPeer`, `malformed`.
    package static func verify(
        _ chain: [[UInt8]],
        expecting expected: PeerID? = nil,
        at now: Int64
    ) throws(Libp2pError) -> PublicKey {
        guard chain.count == 1, let bytes = chain.first, bytes.count <= maximumLength else {
            throw Libp2pError(.malformed, "a peer presents exactly one certificate")
        }
        guard let certificate = try? Certificate(derEncoded: bytes) else {
            throw Libp2pError(.malformed, "no certificate")
        }
        guard certificate.notValidBefore <= date(now + tolerance), date(now - tolerance) <= certificate.notValidAfter
        else {
            throw Libp2pError(.unauthentic, "the certificate is out of its time")
        }
        let known: Set<ASN1ObjectIdentifier> = [
            extensionID, .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage,
            .X509ExtensionID.extendedKeyUsage,
        ]
        guard certificate.extensions.allSatisfy({ !$0.critical || known.contains($0.oid) }) else {
            throw Libp2pError(.unsupported, "a critical extension that is not known here")
        }
        guard let carried = certificate.extensions.first(where: { $0.oid == extensionID }),
            let signed = try? SignedKey(derEncoded: carried.value)
        else {
            throw Libp2pError(.malformed, "a certificate without the libp2p extension")
        }
        guard certificate.publicKey.isValidSignature(certificate.signature, for: certificate) else {
            throw Libp2pError(.unauthentic, "the certificate's own signature does not verify")
        }
        let identity = try PublicKey(protobuf: signed.publicKey)
        guard identity.canVerify else { throw Libp2pError(.unsupported, "\(identity.type) identities are refused") }
        guard identity.isValid(signature: signed.signature, for: signingInput(certificate.publicKey)) else {
            throw Libp2pError(.unauthentic, "the identity did not sign the certificate's key")
        }
        if let expected, expected != PeerID(identity) { throw Libp2pError(.wrongPeer, "another peer answered") }
        return identity
    }

    private static let extensionID: ASN1ObjectIdentifier = [1, 3, 6, 1, 4, 1, 53594, 1, 1]

    private static func signingInput(_ key: Certificate.PublicKey) -> [UInt8] {
        // X509's `subjectPublicKeyInfoBytes` is the key alone, without its algorithm.
        var serializer = DER.Serializer()
        try? serializer.serialize(key)
        return Array("libp2p-tls-handshake:".utf8) + serializer.serializedBytes
    }

    private static func date(_ milliseconds: Int64) -> Date {
        Date(timeIntervalSince1970: Double(milliseconds / 1000))
    }
}

/// The identity key of a peer and its signature, as the extension carries them.
private struct SignedKey: DERImplicitlyTaggable {
    static var defaultIdentifier: ASN1Identifier { .sequence }

    let publicKey: [UInt8]
    let signature: [UInt8]

    init(publicKey: [UInt8], signature: [UInt8]) {
        self.publicKey = publicKey
        self.signature = signature
    }

    init(derEncoded node: ASN1Node, withIdentifier identifier: ASN1Identifier) throws {
        self = try DER.sequence(node, identifier: identifier) { nodes in
            let publicKey = try ASN1OctetString(derEncoded: &nodes)
            let signature = try ASN1OctetString(derEncoded: &nodes)
            return SignedKey(publicKey: Array(publicKey.bytes), signature: Array(signature.bytes))
        }
    }

    func serialize(into coder: inout DER.Serializer, withIdentifier identifier: ASN1Identifier) throws {
        try coder.appendConstructedNode(identifier: identifier) { coder in
            try coder.serialize(ASN1OctetString(contentBytes: publicKey[...]))
            try coder.serialize(ASN1OctetString(contentBytes: signature[...]))
        }
    }
}
