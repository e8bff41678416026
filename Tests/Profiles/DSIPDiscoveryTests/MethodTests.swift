import Crypto
import DSIPIdentity
import Encoding
import Support
import Testing

@testable import DSIPDiscovery

@Suite("did:jwk") struct JWKResolverTests {
    private func did(_ jwk: JSONValue) throws -> DID {
        try #require(DID("did:jwk:\(Base64URL.encode(jwk.utf8))"))
    }

    @Test("a key is its document, for signing or for sealing")
    func documents() throws {
        guard case .ed25519(let key) = Cast.alice.publicKey else { throw TestFault("another key") }
        let signing = try did([
            "crv": "Ed25519", "kty": "OKP", "x": .string(Base64URL.encode(Array(key.rawRepresentation))),
        ])
        let document = try JWKResolver.document(of: signing)
        #expect(document.verificationMethods.map(\.publicKey) == [Cast.alice.publicKey])
        #expect(document.verificationMethods.first?.id.description == "\(signing)#0")
        // The example of the method's specification.
        let sealing = try #require(
            DID(
                "did:jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJYMjU1MTkiLCJ1c2UiOiJlbmMiLCJ4IjoiM3A3YmZYdDl3YlRUVzJIQzdPUTFOei1EUThoYmVHZE5yZngtRkctSUswOCJ9"
            )
        )
        let agreement = try JWKResolver.document(of: sealing)
        #expect(agreement.verificationMethods.isEmpty && agreement.keyAgreement.count == 1)
    }

    @Test("what is no public key is refused; a private one above all")
    func refusing() throws {
        let x = JSONValue.string(Base64URL.encode([UInt8](repeating: 7, count: 32)))
        for jwk in [
            ["kty": "OKP", "crv": "Ed25519", "x": x, "d": x], ["kty": "oct", "k": x],
            ["kty": "EC", "crv": "secp256k1", "x": x, "y": x], [:],
        ] as [JSONValue] {
            #expect(throws: IdentityError(.malformed, "")) { try JWKResolver.document(of: try did(jwk)) }
        }
    }
}

/// Serves what it is given.
struct TablePkarr: PkarrSource {
    var payloads: [[UInt8]]
    func packets(_ zone: String) async throws(IdentityError) -> [[UInt8]] { payloads }
}

@Suite("did:dht") struct PkarrResolverTests {
    private let key = Cast.alice

    private func packet(_ records: [(String, String)], at seconds: Int64 = Cast.now) throws -> [UInt8] {
        var bytes: [UInt8] = [0, 0, 0x84, 0, 0, 0, 0, UInt8(records.count), 0, 0, 0, 0]
        for (name, text) in records {
            bytes += try #require(DNSName(text: name)).wire + [0, 16, 0, 1, 0, 0, 0x1c, 0x20]
            let strings = stride(from: 0, to: text.utf8.count, by: 100).flatMap { start in
                let part = Array(text.utf8.dropFirst(start).prefix(100))
                return [UInt8(part.count)] + part
            }
            bytes += [UInt8(strings.count >> 8), UInt8(strings.count & 255)] + strings
        }
        return try PkarrPacket(signing: bytes, at: UInt64(seconds) * 1_000_000, by: key).payload
    }

    private func records(key other: SigningKey? = nil) throws -> [(String, String)] {
        let zone = try PkarrKey(key.did).zone
        guard case .ed25519(let raw) = (other ?? key).publicKey else { throw TestFault("another key") }
        let agreement = try #require(DIDKey.keyAgreement(of: Cast.bob.did)).publicKey
        return [
            ("_did.\(zone)", "v=0;vm=k0,k1;auth=k0;asm=k0;agm=k1;inv=k0;del=k0;svc=s0"),
            ("_k0._did", "id=0;t=0;k=\(Base64URL.encode(Array(raw.rawRepresentation)))"),
            ("_k1._did.\(zone)", "id=enc;t=3;k=\(Base64URL.encode(agreement))"),
            ("_s0._did", "id=dsip;t=DSIPSignaling;se=wss://relay.example/dsip;b=ws/1.0"),
            ("_aka._did", "acct:alice@example.com"),
        ]
    }

    private func did() throws -> DID { try #require(DID("did:dht:\(try PkarrKey(key.did).zone)")) }

    private func resolver(_ payloads: [[UInt8]], memory: any VersionMemory = ShortVersionMemory()) -> PkarrResolver {
        PkarrResolver(source: TablePkarr(payloads: payloads), memory: memory, clock: { Cast.now })
    }

    @Test("a document is read from the zone: keys, services, other names")
    func reading() async throws {
        let old = try packet([("_did", "v=0;vm=k9")], at: Cast.now - 60)
        let resolved = try await resolver([old, [1, 2], try packet(records())]).resolve(try did())
        #expect(resolved.lifetime == 7200)
        #expect(resolved.document.verificationMethods.map(\.publicKey) == [key.publicKey])
        #expect(resolved.document.keyAgreement.count == 1)
        #expect(resolved.document.signalingEndpoint == "wss://relay.example/dsip")
        #expect(resolved.document.alsoKnownAs == ["acct:alice@example.com"])
    }

    @Test("the first key must be the identity's, and nothing older than what was seen is taken")
    func refusing() async throws {
        let did = try did()
        let posed = try packet(records(key: Cast.mallory))
        await #expect(throws: IdentityError(.refused, "")) { try await resolver([posed]).resolve(did) }
        await #expect(throws: IdentityError(.notFound, "")) { try await resolver([]).resolve(did) }
        await #expect(throws: IdentityError(.refused, "")) { try await resolver([[0]]).resolve(did) }
        let empty = try packet([("_x", "y=1")])
        await #expect(throws: IdentityError(.notFound, "")) { try await resolver([empty]).resolve(did) }
        let memory = ShortVersionMemory()
        _ = try await resolver([try packet(records())], memory: memory).resolve(did)
        let older = try packet(records(), at: Cast.now - 1)
        await #expect(throws: IdentityError(.refused, "")) {
            try await resolver([older], memory: memory).resolve(did)
        }
    }

    @Test("relays are asked together; what one withholds, another has")
    func relays() async throws {
        let fetcher = TableFetcher()
        let zone = try PkarrKey(key.did).zone
        let payload = try packet(records())
        fetcher.answer("https://a.example/\(zone)", payload)
        fetcher.answer("https://b.example/\(zone)", "", status: 404)
        let relays = ["https://a.example", "https://b.example", "https://down.example"]
        #expect(try await PkarrRelays(relays, fetcher: fetcher).packets(zone) == [payload])
        #expect(fetcher.asked.count == 3)
        await #expect(throws: IdentityError(.unreachable, "")) {
            try await PkarrRelays(["https://down.example"], fetcher: fetcher).packets(zone)
        }
    }
}

@Suite("did:ion, long form") struct SidetreeTests {
    private func did(_ patches: JSONValue) throws -> DID {
        let delta: JSONValue = [
            "patches": patches, "updateCommitment": "EiDKIkwqO69IPG3pOlHkdb86nYt0aNxSHZu2r-bhEznjdA",
        ]
        let suffix: JSONValue = [
            "deltaHash": .string(SidetreeResolver.hash(delta)),
            "recoveryCommitment": "EiBfOZdMtU6OBw8Pk879QtZ-2J-9FbbjSZyoaA_bqD4zhA",
        ]
        let state: JSONValue = ["suffixData": suffix, "delta": delta]
        return try #require(DID("did:ion:\(SidetreeResolver.hash(suffix)):\(Base64URL.encode(state.utf8))"))
    }

    private func patches() -> JSONValue {
        guard case .ed25519(let key) = Cast.alice.publicKey else { return [] }
        return [
            [
                "action": "replace",
                "document": [
                    "publicKeys": [
                        [
                            "id": "key-1", "type": "JsonWebKey2020", "purposes": ["authentication"],
                            "publicKeyJwk": [
                                "kty": "OKP", "crv": "Ed25519",
                                "x": .string(Base64URL.encode(Array(key.rawRepresentation))),
                            ],
                        ]
                    ],
                    "services": [
                        [
                            "id": "dsip", "type": "DSIPSignaling",
                            "serviceEndpoint": ["uri": "wss://relay.example/dsip", "bindings": ["ws/1.0"]],
                        ]
                    ],
                ],
            ]
        ]
    }

    @Test("the state that the identifier names is the document")
    func reading() throws {
        let did = try did(patches())
        let document = try SidetreeResolver.document(of: did)
        #expect(document.verificationMethods.map(\.publicKey) == [Cast.alice.publicKey])
        #expect(document.signalingEndpoint == "wss://relay.example/dsip")
        var more = patches().array ?? []
        more.append(["action": "remove-services", "ids": ["dsip"]])
        #expect(try SidetreeResolver.document(of: try self.did(.array(more))).services.isEmpty)
    }

    @Test("another state, or a patch of an unknown kind, is refused")
    func refusing() throws {
        let parts = try did(patches()).string.split(separator: ":")
        let other = try did([]).string.split(separator: ":")
        let mixed = try #require(DID("did:ion:\(parts[2]):\(other[3])"))
        #expect(throws: IdentityError(.refused, "")) { try SidetreeResolver.document(of: mixed) }
        let short = try #require(DID("did:ion:\(parts[2])"))
        #expect(throws: IdentityError(.unsupported, "")) { try SidetreeResolver.document(of: short) }
        let strange = try did([["action": "ietf-json-patch"]])
        #expect(throws: IdentityError(.malformed, "")) { try SidetreeResolver.document(of: strange) }
        let text = try #require(DID("did:ion:\(parts[2]):e30"))
        #expect(throws: IdentityError(.malformed, "")) { try SidetreeResolver.document(of: text) }
    }

    @Test("the published example of Sidetree hashes as it should")
    func example() throws {
        // The long form of Sidetree's published vectors.
        let text =
            "did:ion:EiDyOQbbZAa3aiRzeCkV7LOx3SERjjH93EXoIM3UoN4oWg:eyJkZWx0YSI6eyJwYXRjaGVzIjpbeyJhY3Rpb24iOiJyZXBsYWNlIiwiZG9jdW1lbnQiOnsicHVibGljS2V5cyI6W3siaWQiOiJwdWJsaWNLZXlNb2RlbDFJZCIsInB1YmxpY0tleUp3ayI6eyJjcnYiOiJzZWNwMjU2azEiLCJrdHkiOiJFQyIsIngiOiJ0WFNLQl9ydWJYUzdzQ2pYcXVwVkpFelRjVzNNc2ptRXZxMVlwWG45NlpnIiwieSI6ImRPaWNYcWJqRnhvR0otSzAtR0oxa0hZSnFpY19EX09NdVV3a1E3T2w2bmsifSwicHVycG9zZXMiOlsiYXV0aGVudGljYXRpb24iLCJrZXlBZ3JlZW1lbnQiXSwidHlwZSI6IkVjZHNhU2VjcDI1NmsxVmVyaWZpY2F0aW9uS2V5MjAxOSJ9XSwic2VydmljZXMiOlt7ImlkIjoic2VydmljZTFJZCIsInNlcnZpY2VFbmRwb2ludCI6Imh0dHA6Ly93d3cuc2VydmljZTEuY29tIiwidHlwZSI6InNlcnZpY2UxVHlwZSJ9XX19XSwidXBkYXRlQ29tbWl0bWVudCI6IkVpREtJa3dxTzY5SVBHM3BPbEhrZGI4Nm5ZdDBhTnhTSFp1MnItYmhFem5qZEEifSwic3VmZml4RGF0YSI6eyJkZWx0YUhhc2giOiJFaUNmRFdSbllsY0Q5RUdBM2RfNVoxQUh1LWlZcU1iSjluZmlxZHo1UzhWRGJnIiwicmVjb3ZlcnlDb21taXRtZW50IjoiRWlCZk9aZE10VTZPQnc4UGs4NzlRdFotMkotOUZiYmpTWnlvYUFfYnFENHpoQSJ9fQ"
        let document = try SidetreeResolver.document(of: try #require(DID(text)))
        #expect(document.services.map(\.uri) == ["http://www.service1.com"])
        #expect(document.verificationMethods.isEmpty, "secp256k1 is not used here")
    }
}
