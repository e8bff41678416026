import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("did:key") struct DIDKeyTests {
    @Test("documents agree with the published Ed25519 and X25519 vectors")
    func ed25519Vectors() throws {
        for file in Vectors.files("did/key") where file.lastPathComponent == "ed25519-x25519.json" {
            let cases = try #require(Vectors.json(file).object)
            #expect(cases.count == 5)
            for (text, vector) in cases.members {
                let did = try did(text)
                let document = try #require(DIDKey.document(of: did))
                let expected = try published(vector["verificationKeyPair"])
                let agreement = try published(vector["keyAgreementKeyPair"])
                guard case .ed25519(let key)? = document.verificationMethods.first?.publicKey else {
                    Issue.record("no Ed25519 key in \(text)")
                    continue
                }
                #expect(Array(key.rawRepresentation) == expected)
                #expect(document.keyAgreement.map(\.publicKey) == [agreement])
                #expect(
                    document.keyAgreement.first?.id.description == vector["didDocument"]?["keyAgreement"]?[0]?.string
                )
                let seed = try hex(vector["seed"])
                let signing = SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
                #expect(signing.did == did)
                #expect(try Array(signing.keyAgreementKey().publicKey.rawRepresentation) == agreement)
            }
        }
    }

    /// A key pair's public bytes, whichever way the vector spells them.
    private func published(_ pair: JSONValue?) throws -> [UInt8] {
        if let text = pair?["publicKeyBase58"]?.string { return try #require(Base58.decode(text)) }
        let x = try #require(pair?["publicKeyJwk"]?["x"]?.string)
        return try #require(Base64URL.decode(x))
    }

    @Test("documents agree with the published P-256 vectors; other curves are no signing keys here")
    func p256Vectors() throws {
        for file in Vectors.files("did/key") where file.lastPathComponent == "nist-curves.json" {
            for (text, vector) in try #require(try Vectors.json(file).object).members {
                let did = try did(text)
                let document = DIDKey.document(of: did)
                guard text.hasPrefix("did:key:zDn") else {
                    #expect(document == nil)
                    continue
                }
                // One vector spells its method in a type of its own, which documents here do not read.
                guard vector["verificationMethod"]?["type"]?.string == "JsonWebKey2020" else {
                    #expect(document != nil)
                    continue
                }
                guard case .p256(let key)? = document?.verificationMethods.first?.publicKey else {
                    Issue.record("no P-256 key in \(text)")
                    continue
                }
                let published = try DIDDocument(json: vector["didDocument"] ?? .null, expecting: did)
                #expect(published.verificationMethods.first?.publicKey == .p256(key))
                #expect(published.verificationMethods.first?.id == document?.verificationMethods.first?.id)
            }
        }
    }

    @Test("an X25519 did:key agrees on keys and signs nothing")
    func x25519() throws {
        let key = Curve25519.KeyAgreement.PrivateKey().publicKey
        let text = "did:key:" + Multibase.encode(Multicodec.x25519Public.prefixed(key.rawRepresentation))
        let document = try #require(try DIDKey.document(of: did(text)))
        #expect(document.verificationMethods.isEmpty)
        #expect(document.keyAgreement.map(\.publicKey) == [Array(key.rawRepresentation)])
    }

    @Test("the public conversion and the private one meet, for many keys")
    func conversionLaw() throws {
        var random = SeededRandom(seed: 25519)
        for _ in 0..<40 {
            let seed = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
            let key = SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: seed))
            let derived = try #require(DIDKey.keyAgreement(of: key.did))
            #expect(try Array(key.keyAgreementKey().publicKey.rawRepresentation) == derived.publicKey)
        }
    }

    @Test("keys of small order and non-canonical spellings are no keys")
    func degenerateKeys() {
        let p: [UInt8] = [0xed] + [UInt8](repeating: 0xff, count: 30) + [0x7f]
        var bad: [[UInt8]] = [
            [UInt8](repeating: 0, count: 32), [1] + [UInt8](repeating: 0, count: 31), p,
            [0xec] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
            [0xee] + [UInt8](repeating: 0xff, count: 30) + [0x7f],
            [UInt8](repeating: 0xff, count: 32),
            Hex.decode("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")!,
            Hex.decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")!,
        ]
        bad += bad.map { key in Array(key.dropLast()) + [key[31] ^ 0x80] }
        for key in bad {
            #expect(PublicKey(ed25519: key) == nil, "\(Hex.encode(key))")
            #expect(EdwardsKey.keyAgreement(of: key) == nil)
        }
        // y = 2 is no point of the curve.
        let off = [2] + [UInt8](repeating: 0, count: 31)
        #expect(EdwardsKey.keyAgreement(of: off) == nil)
        #expect(DIDKey.document(of: DID("did:key:" + Multibase.encode(Multicodec.ed25519Public.prefixed(off)))!) == nil)
    }

    @Test("a did:key has one spelling", arguments: ["u", "f", "b"])
    func oneSpelling(base: String) throws {
        let bytes = Multicodec.ed25519Public.prefixed(SigningKey().publicKeyBytes)
        let body = base == "u" ? Base64URL.encode(bytes) : base == "f" ? Hex.encode(bytes) : Base32.encode(bytes)
        #expect(try DIDKey.publicKey(of: did("did:key:" + base + body)) == nil)
        #expect(try DIDKey.document(of: did("did:key:" + base + body)) == nil)
    }

    @Test("did:keys of other implementations give documents or nothing, and never a fault")
    func otherImplementations() throws {
        for file in Vectors.files("did/key-extra") + Vectors.files("did/key") {
            for text in strings(in: try Vectors.json(file)) {
                if let did = DID(text), did.method == "key" { _ = DIDKey.document(of: did) }
            }
        }
    }
}
