import Crypto
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPRelay
import DSIPTransport
import Encoding
import Foundation
import Logging
import NIOConcurrencyHelpers
import Testing

/// What the web holds, as far as this test goes.
private final class Web: DocumentFetcher {
    private let pages: [String: String]
    private let count = NIOLockedValueBox(0)

    init(_ pages: [String: String]) { self.pages = pages }

    var fetched: Int { count.withLockedValue { $0 } }

    func fetch(url: String, limit: Int) async throws(IdentityError) -> FetchedDocument {
        count.withLockedValue { $0 += 1 }
        guard let page = pages[url] else { throw IdentityError(.unreachable, "no such host") }
        return FetchedDocument(status: 200, body: Array(page.utf8), finalURL: url)
    }
}

/// A did:webvh with one entry, at a host that nobody reaches.
private struct LoggedIdentity {
    let did: DID
    let log: String
    let relay = "wss://relay.invalid/dsip"

    init(by key: SigningKey) throws {
        func hash(_ json: JSONValue) -> String {
            Base58.encode([0x12, 0x20] + Array(SHA256.hash(data: json.canonical)))
        }
        let name = key.publicKey.multibase
        let subject = "did:webvh:{SCID}:people.invalid"
        let template: JSONValue = [
            "versionId": "{SCID}", "versionTime": "2026-01-01T00:00:00Z",
            "parameters": ["method": "did:webvh:1.0", "scid": "{SCID}", "updateKeys": [.string(name)]],
            "state": [
                "@context": ["https://www.w3.org/ns/did/v1"], "id": .string(subject),
                "verificationMethod": [
                    [
                        "id": .string("\(subject)#key-1"), "type": "Multikey", "controller": .string(subject),
                        "publicKeyMultibase": .string(name),
                    ]
                ],
                "service": [
                    [
                        "id": "#dsip", "type": "DSIPSignaling",
                        "serviceEndpoint": ["uri": .string(relay), "bindings": ["ws/1.0"]],
                    ]
                ],
            ],
        ]
        let scid = hash(template)
        let filled = try JSONValue(parsing: template.text.replacingOccurrences(of: "{SCID}", with: scid))
        var entry = try #require(filled.object)
        entry["versionId"] = .string("1-\(hash(filled))")
        var proof: JSONObject = [
            "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022",
            "verificationMethod": .string("did:key:\(name)#\(name)"), "created": "2026-01-01T00:00:00Z",
            "proofPurpose": "assertionMethod",
        ]
        let covered =
            Array(SHA256.hash(data: JSONValue.object(proof).canonical))
            + Array(SHA256.hash(data: JSONValue.object(entry).canonical))
        proof["proofValue"] = .string(Multibase.encode(try key.sign(covered)))
        entry["proof"] = [.object(proof)]
        did = try #require(DID("did:webvh:\(scid):people.invalid"))
        log = JSONValue.object(entry).text + "\n"
    }

    var url: String { "https://people.invalid/.well-known/did.jsonl" }
}

/// A relay that reaches what its clients do not.
private final class CarryingRelay: RelayPlace {
    let relay: Relay
    let running: Relay.Running
    private let folder = TemporaryFolder()

    var url: String { running.url }
    var rootPath: String? { running.rootPath }

    init(_ web: Web) async throws {
        var configuration = RelayConfiguration(stateFolder: folder.path)
        configuration.port = 0
        configuration.logLevel = .critical
        configuration.drainSeconds = 1
        let now = { @Sendable in Int64(Date().timeIntervalSince1970) }
        let keeper = ProofKeeper(others: MethodResolver(fetcher: web), fetcher: web, clock: now)
        relay = Relay(configuration, resolver: keeper, clock: now)
        running = try await relay.start()
    }
}

@Suite("Documents that a relay carries", .serialized, .timeLimit(.minutes(10)))
struct MeshTests {
    @Test("an identity whose host is gone is resolved by what its log proves, and looked for in advance as a contact")
    func carried() async throws {
        let bob = try LoggedIdentity(by: SigningKey())
        let web = Web([bob.url: bob.log])
        let relay = try await CarryingRelay(web)
        let alice = try await Person("Alice", at: relay)
        // Whoever becomes a contact is looked for without being called.
        _ = try await alice.agent.addContact(bob.did.string, name: "Bob")
        try await until("the relay was asked for Bob", within: .seconds(120)) { web.fetched > 0 }
        let found = try await alice.agent.lookup(bob.did.string)
        #expect(found.peer.did == bob.did && found.relay == bob.relay)
        #expect(web.fetched == 1)
        await alice.agent.stop()
        await relay.relay.stop()
    }

    @Test("a relay tells what it carries, and says so when it carries nothing")
    func route() async throws {
        let bob = try LoggedIdentity(by: SigningKey())
        let relay = try await CarryingRelay(Web([bob.url: bob.log]))
        let base = "https://" + relay.url.dropFirst("wss://".count).prefix { $0 != "/" }
        let fetcher = HTTPDocumentFetcher(
            policy: AddressPolicy(allowing: ["127.0.0.1/32", "::1/128"].compactMap(AddressRange.init)),
            roots: TrustRoots(additionalFiles: [relay.rootPath].compactMap { $0 })
        )
        let carrier = RelayCarrier(base, fetcher: fetcher)
        let now = { @Sendable in Int64(Date().timeIntervalSince1970) }
        let resolved = try await carrier.proof(of: bob.did).verify(memory: ShortVersionMemory(), clock: now)
        #expect(resolved.document.signalingEndpoint == bob.relay)
        let unknown = try #require(DID(bob.did.string.replacingOccurrences(of: "people", with: "nobody")))
        await #expect(throws: IdentityError(.unreachable, "")) { try await carrier.proof(of: unknown) }
        for text in ["did:web:people.invalid", "did:key:z6Mk"] {
            let did = try #require(DID(text))
            await #expect(throws: IdentityError(.notFound, "")) { try await carrier.proof(of: did) }
        }
        let nonsense = try await fetcher.fetch(url: base + RelayCarrier.path + "nobody", limit: 4096)
        #expect(nonsense.status == 400)
        await relay.relay.stop()
    }
}
