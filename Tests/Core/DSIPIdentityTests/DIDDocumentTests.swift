import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("DID documents") struct DIDDocumentTests {
    let did = DID("did:web:example.com:users:bob")!
    let key = SigningKey(seeded: 7)

    private func document(_ members: String) throws -> DIDDocument {
        try DIDDocument(parsing: Array("{\"id\":\"\(did)\",\(members)}".utf8), expecting: did)
    }

    @Test("the documents of the vectors read, and are written as they were")
    func vectors() throws {
        for file in Vectors.files("dsip") where file.lastPathComponent == "fixtures.json" {
            let documents = try #require(Vectors.json(file)["did_documents"]?.object)
            #expect(documents.count == 2)
            for (name, json) in documents.members {
                let named = try #require(DID(name))
                let document = try DIDDocument(json: json, expecting: named)
                #expect(document.json == json)
                #expect(document.signalingEndpoint == "wss://relay.example.com/dsip")
            }
        }
    }

    @Test("Multikey, Ed25519VerificationKey2020 and JWK name the same key, by absolute or relative id")
    func methodTypes() throws {
        let multibase = key.publicKey.multibase
        let x = Base64URL.encode(key.publicKeyBytes)
        let document = try document(
            """
            "verificationMethod":[
            {"id":"#a","type":"Multikey","controller":"\(did)","publicKeyMultibase":"\(multibase)"},
            {"id":"\(did)#b","type":"Ed25519VerificationKey2020","controller":"\(did)","publicKeyMultibase":"\(multibase)"},
            {"id":"#c","type":"JsonWebKey2020","controller":"\(did)","publicKeyJwk":{"kty":"OKP","crv":"Ed25519","x":"\(x)"}},
            {"id":"#unknown","type":"FutureKey2030","publicKeyMultibase":"\(multibase)"},
            {"id":"did:web:elsewhere.example#d","type":"Multikey","publicKeyMultibase":"\(multibase)"},
            {"id":"#a","type":"Multikey","publicKeyMultibase":"\(SigningKey().publicKey.multibase)"}],
            "authentication":["#a",{"id":"#e","type":"Multikey","publicKeyMultibase":"\(multibase)"}],
            "capabilityInvocation":["#b"]
            """
        )
        #expect(document.verificationMethods.map(\.id.fragment) == ["a", "b", "c", "e"])
        #expect(document.verificationMethods.allSatisfy { $0.publicKey == key.publicKey && $0.id.did == did })
        #expect(document.recovery == [DIDURL(did: did, fragment: "b")])
    }

    @Test("key agreement keys are read where they are embedded and where they are referred to")
    func keyAgreement() throws {
        let one = Curve25519.KeyAgreement.PrivateKey().publicKey
        let two = Curve25519.KeyAgreement.PrivateKey().publicKey
        func multikey(_ key: Curve25519.KeyAgreement.PublicKey) -> String {
            Multibase.encode(Multicodec.x25519Public.prefixed(key.rawRepresentation))
        }
        let document = try document(
            """
            "verificationMethod":[{"id":"#one","type":"X25519KeyAgreementKey2020","publicKeyMultibase":"\(multikey(one))"}],
            "keyAgreement":["#one","#missing",{"id":"#two","type":"Multikey","publicKeyMultibase":"\(multikey(two))"},
            {"id":"#three","type":"Multikey","publicKeyMultibase":"\(key.publicKey.multibase)"}]
            """
        )
        #expect(document.keyAgreement.map(\.publicKey) == [Array(one.rawRepresentation), Array(two.rawRepresentation)])
        #expect(document.verificationMethods.isEmpty)
    }

    @Test("service endpoints are objects, URLs, or lists of them")
    func services() throws {
        let document = try document(
            """
            "service":[{"id":"#s","type":"DSIPSignaling","serviceEndpoint":{"uri":"ws://plain.example","bindings":["ws/1.0"]}},
            {"id":"#t","type":"DSIPSignaling","serviceEndpoint":{"uri":"wss://quic.example","bindings":["quic/1.0"]}},
            {"id":"#u","type":["DSIPSignaling"],"serviceEndpoint":[{"uri":"wss://right.example/dsip","bindings":["ws/1.0"]},"https://x"]},
            {"id":"#v","type":"LinkedDomains","serviceEndpoint":"https://example.com"},{"type":"nothing"},7]
            """
        )
        #expect(document.signalingEndpoint == "wss://right.example/dsip")
        #expect(document.services.count == 5 && document.services.last?.id == "\(did)#v")
    }

    @Test("another id, no object, or too much text is refused with the reason")
    func refusals() throws {
        let other = Array(#"{"id":"did:web:mallory.example"}"#.utf8)
        #expect(throws: IdentityError(.malformed, "")) { try DIDDocument(parsing: other, expecting: did) }
        #expect(throws: IdentityError(.malformed, "")) { try DIDDocument(parsing: Array("[]".utf8), expecting: did) }
        #expect(throws: IdentityError(.malformed, "")) { try DIDDocument(parsing: Array("{".utf8), expecting: did) }
        let large = [UInt8](repeating: 0x20, count: DIDDocument.Limit.bytes + 1)
        #expect(throws: IdentityError(.tooLarge, "")) { try DIDDocument(parsing: large, expecting: did) }
    }

    @Test("a document written is the document read")
    func roundTrip() throws {
        let agreement = try #require(DIDKey.keyAgreement(of: key.did))
        let kid = DIDURL(did: did, fragment: "key-1")
        let recovery = DIDURL(did: did, fragment: "recovery")
        var revocation = DelegationRevocation(
            id: ULID("01J5Y0QJR0T00AAAAAAAAAAAAH")!,
            subject: did,
            device: key.did,
            revokedAt: 5,
            reason: "lost",
            issuedAt: 5,
            expiresAt: 10
        )
        revocation.reason = DelegationRevocation.Reason.retired
        let document = DIDDocument(
            id: did,
            verificationMethods: [
                .init(id: kid, controller: did, publicKey: key.publicKey),
                .init(id: recovery, controller: did, publicKey: SigningKey(seeded: 8).publicKey),
            ],
            keyAgreement: [.init(id: DIDURL(did: did, fragment: "seal"), publicKey: agreement.publicKey)],
            services: [.init(id: "\(did)#s", type: "DSIPSignaling", uri: "wss://r.example", bindings: ["ws/1.0"])],
            recovery: [recovery],
            alsoKnownAs: ["acct:bob@example.com"],
            delegationRevocations: [
                try revocation.issue(by: SigningKey(kid: kid, key: Curve25519.Signing.PrivateKey()))
            ]
        )
        let read = try DIDDocument(parsing: document.json.utf8, expecting: did)
        #expect(read.json == document.json)
        #expect(read.json["authentication"] == [.string(kid.description)])
        #expect(read.delegationRevocations == document.delegationRevocations)
    }

    @Test("documents of other implementations are read without a fault, and mutations of them too")
    func otherImplementations() throws {
        var random = SeededRandom(seed: 42)
        var read = 0
        for file in Vectors.files("did/did-core-implementations") {
            let json = try Vectors.json(file)
            let representations = strings(in: json).compactMap { try? JSONValue(parsing: $0) }
            for (_, value) in allObjects(.array([json] + representations))
            where value["id"]?.string?.hasPrefix("did:") == true {
                guard let text = value["id"]?.string, let did = DID(text) else { continue }
                _ = try DIDDocument(json: .object(value), expecting: did)
                read += 1
                var bytes = JSONValue.object(value).utf8
                for _ in 0..<4 where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                    _ = try? DIDDocument(parsing: bytes, expecting: did)
                }
            }
        }
        #expect(read > 100 || Vectors.root == nil)
    }

    private func allObjects(_ value: JSONValue) -> [(String, JSONObject)] {
        switch value {
        case .array(let elements): elements.flatMap(allObjects)
        case .object(let object): [("", object)] + object.members.flatMap { allObjects($0.value) }
        default: []
        }
    }
}
