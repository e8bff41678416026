import Crypto
import Encoding
import FoundationEssentials
import SwiftASN1
import Testing
import X509

@testable import Libp2p

@Suite("Certificates of the TLS handshake")
struct HandshakeCertificateTests {
    private let identity = IdentityKey()
    private let now: Int64 = 1_760_000_000_000

    @Test("What is made verifies, and names its peer")
    func roundTrip() throws {
        let own = try HandshakeCertificate.make(for: identity, at: now)
        let key = try HandshakeCertificate.verify([own.certificate], expecting: identity.peerID, at: now)
        #expect(PeerID(key) == identity.peerID)
    }

    @Test("Another peer than the one dialled, no certificate, two, one out of its time, and rubbish are refused")
    func refusals() throws {
        let own = try HandshakeCertificate.make(for: identity, at: now).certificate
        func refusal(_ chain: [[UInt8]], expecting: PeerID? = nil, at time: Int64? = nil) -> Libp2pError? {
            do throws(Libp2pError) {
                _ = try HandshakeCertificate.verify(chain, expecting: expecting, at: time ?? now)
                return nil
            } catch { return error }
        }
        #expect(refusal([own], expecting: IdentityKey().peerID)?.code == .wrongPeer)
        #expect(refusal([])?.code == .malformed)
        #expect(refusal([own, own])?.code == .malformed)
        #expect(refusal([own], at: now - 1 << 40)?.code == .unauthentic)
        #expect(refusal([own], at: now + 1 << 42)?.code == .unauthentic)
        #expect(refusal([Array(own.dropLast())])?.code == .malformed)
        #expect(refusal([[UInt8](repeating: 0x30, count: 20_000)])?.code == .malformed)
    }

    /// The outer name of the signature algorithm is the one place that nothing signs.
    @Test("A certificate with a byte changed proves nobody, or at most whom it proved before")
    func tampering() throws {
        let own = try HandshakeCertificate.make(for: identity, at: now).certificate
        var survivors = 0
        for index in own.indices {
            var changed = own
            changed[index] ^= 1
            guard let key = try? HandshakeCertificate.verify([changed], at: now) else { continue }
            survivors += 1
            #expect(key == identity.publicKey)
        }
        #expect(survivors <= 1)
    }

    @Test("The Ed25519 certificate of the specification proves its peer")
    func published() throws {
        let text =
            "308201ae30820156a0030201020204499602d2300a06082a8648ce3d040302302031123010060355040a13096c69627032702e696f310a"
            + "300806035504051301313020170d3735303130313133303030305a180f34303936303130313133303030305a302031123010060355040a"
            + "13096c69627032702e696f310a300806035504051301313059301306072a8648ce3d020106082a8648ce3d030107034200040c901d423c"
            + "831ca85e27c73c263ba132721bb9d7a84c4f0380b2a6756fd601331c8870234dec878504c174144fa4b14b66a651691606d8173e55bd37"
            + "e381569ea37c307a3078060a2b0601040183a25a0101046a3068042408011220a77f1d92fedb59dddaea5a1c4abd1ac2fbde7d7b879ed3"
            + "64501809923d7c11b90440d90d2769db992d5e6195dbb08e706b6651e024fda6cfb8846694a435519941cac215a8207792e42849cccc6c"
            + "d8136c6e4bde92a58c5e08cfd4206eb5fe0bf909300a06082a8648ce3d0403020346003043021f50f6b6c52711a881778718238f650c9f"
            + "b48943ae6ee6d28427dc6071ae55e702203625f116a7a454db9c56986c82a25682f7248ea1cb764d322ea983ed36a31b77"
        let bytes = try #require(Hex.decode(text))
        let key = try HandshakeCertificate.verify([bytes], at: now)
        #expect(PeerID(key).description == "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv")
    }

    /// A certificate for `key` with these extensions.
    private func certificate(_ extensions: [Certificate.Extension], _ key: P256.Signing.PrivateKey) throws -> [UInt8] {
        let name = try DistinguishedName { CommonName("test") }
        let certificate = try Certificate(
            version: .v3,
            serialNumber: Certificate.SerialNumber(),
            publicKey: .init(key.publicKey),
            notValidBefore: Date(timeIntervalSince1970: 1_700_000_000),
            notValidAfter: Date(timeIntervalSince1970: 1_800_000_000),
            issuer: name,
            subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions(extensions),
            issuerPrivateKey: .init(key)
        )
        var out = DER.Serializer()
        try out.serialize(certificate)
        return out.serializedBytes
    }

    @Test("The extension of another certificate, none, and a critical one that nobody knows are refused")
    func extensions() throws {
        let own = try HandshakeCertificate.make(for: identity, at: now).certificate
        let carried = try #require(Certificate(derEncoded: own).extensions.first { $0.critical })
        let key = P256.Signing.PrivateKey()
        #expect(throws: Libp2pError(.unauthentic, "")) {
            try HandshakeCertificate.verify([try certificate([carried], key)], at: now)
        }
        #expect(throws: Libp2pError(.malformed, "")) {
            try HandshakeCertificate.verify([try certificate([], key)], at: now)
        }
        let unknown = Certificate.Extension(oid: [1, 3, 6, 1, 4, 1, 53594, 9], critical: true, value: [5, 0])
        #expect(throws: Libp2pError(.unsupported, "")) {
            try HandshakeCertificate.verify([try certificate([carried, unknown], key)], at: now)
        }
    }
}
