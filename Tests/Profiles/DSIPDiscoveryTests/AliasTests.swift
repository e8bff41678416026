import DSIPIdentity
import Encoding
import Testing

@testable import DSIPDiscovery

@Suite("Aliases") struct AliasTests {
    private let alice = Alias("alice@example.com")!
    private let did = DID("did:web:example.com:users:alice")!
    private let other = DID("did:key:z6MkrgXgMcSfqUQ6bhMEL1dhqvPYU4YaueY56Mw8aee9YN4R")!

    @Test(
        "only what is one label of one zone is asked of the DNS",
        arguments: [
            ("alice@example.com", "_did.alice.example.com"), ("Alice_1@example.com", "_did.alice_1.example.com"),
            ("a.b@example.com", nil), ("a+b@example.com", nil), ("alice@example.com:8443", nil),
            ("-a@example.com", nil),
        ] as [(String, String?)]
    )
    func names(_ alias: String, _ name: String?) throws {
        #expect(AliasDNS.name(of: try #require(Alias(alias))) == name)
    }

    @Test("good, unsigned and bogus answers of the DNS are told apart")
    func verdicts() throws {
        let text = "did=\(did)"
        func claim(_ texts: [String], _ verdict: DNSSECVerdict) throws -> AliasClaim {
            try AliasDNS.claim(DNSTexts(texts, verdict: verdict))
        }
        #expect(try claim([text, "v=spf1 -all"], .secure).basis == .signedDNS)
        #expect(try claim([text], .insecure).basis == .unsignedDNS)
        #expect(try claim([text], .indeterminate).basis == .unsignedDNS)
        #expect(throws: IdentityError(.refused, "")) { try claim([text], .bogus) }
        #expect(throws: IdentityError(.refused, "")) { try claim([text, "did=\(other)"], .secure) }
        #expect(throws: IdentityError(.notFound, "")) { try claim(["did=nonsense", "DID=\(did)"], .secure) }
    }

    @Test("of service records the lowest priority that is a relay is taken")
    func services() {
        let services = [
            DNSService(priority: 20, port: 443, target: "b.example."),
            .init(priority: 10, port: 8443, target: "a.example"),
            .init(priority: 1, port: 0, target: "zero.example"), .init(priority: 0, port: 1, target: "no host"),
        ]
        #expect(AliasDNS.relay(services) == "wss://a.example:8443/dsip")
        #expect(AliasDNS.relay([]) == nil)
    }

    private func claim(_ source: AliasClaim.Source, _ did: DID, _ basis: AliasClaim.Basis) -> AliasClaim {
        AliasClaim(source: source, did: did, relay: "wss://\(source).example", basis: basis)
    }

    @Test("what all say is agreed; what differs is said to differ, never decided in silence")
    func conflicts() {
        let web = claim(.webFinger, did, .certificate)
        let agreed = AliasFinding(alias: alice, claims: [web, claim(.dns, did, .unsignedDNS)])
        #expect(agreed.verdict == .agreed(did) && agreed.relay == "wss://webFinger.example")
        let unsigned = AliasFinding(alias: alice, claims: [web, claim(.dns, other, .unsignedDNS)])
        #expect(unsigned.verdict == .conflict([did, other], signed: did) && unsigned.relay == nil)
        let signed = AliasFinding(alias: alice, claims: [web, claim(.dns, other, .signedDNS)])
        #expect(signed.verdict == .conflict([did, other], signed: nil))
        let bogus = AliasFinding(alias: alice, claims: [web], failures: [.dns: IdentityError(.refused, "")])
        #expect(bogus.verdict == .agreed(did) && bogus.suspicions == [.dns])
        #expect(AliasFinding(alias: alice, claims: []).verdict == .nobody)
    }

    @Test("an alias holds in both directions when the document names it too")
    func confirmation() {
        let finding = AliasFinding(alias: alice, claims: [])
        let document = DIDDocument(id: did, verificationMethods: [], alsoKnownAs: ["acct:alice@Example.com"])
        #expect(finding.isConfirmed(by: document))
        #expect(!finding.isConfirmed(by: DIDDocument(id: did, verificationMethods: [])))
    }

    @Test("a file under the domain names an identity")
    func file() async throws {
        let fetcher = TableFetcher()
        let url = "https://example.com/.well-known/dsip/alice.json"
        fetcher.answer(url, AliasFile.document(did: did, relay: "wss://r.example/dsip").utf8)
        let claim = try await AliasFile.resolve(alice, through: fetcher)
        #expect(claim.did == did && claim.relay == "wss://r.example/dsip" && claim.basis == .certificate)
        fetcher.answer(url, "[]")
        await #expect(throws: IdentityError(.malformed, "")) { try await AliasFile.resolve(alice, through: fetcher) }
        fetcher.answer(url, "", status: 404)
        await #expect(throws: IdentityError(.notFound, "")) { try await AliasFile.resolve(alice, through: fetcher) }
        #expect(AliasFile.url(of: try #require(Alias("a+b@example.com"))).hasSuffix("/a%2Bb.json"))
    }

    @Test("our WebFinger tells those who know a name, and nothing to those who guess")
    func responder() throws {
        let responder = WebFingerResponder(hosts: ["Example.com"])
        var lookups = 0
        func ask(_ resource: String?, _ relations: [String] = []) -> WebFingerResponder.Response {
            responder.answer(resource: resource, relations: relations) { alias in
                lookups += 1
                switch alias.user {
                case "alice": return .init(did: did, relay: "wss://r.example/dsip")
                case "hidden": return .init(did: other, isListed: false)
                default: return nil
                }
            }
        }
        let found = ask("acct:alice@example.com")
        #expect(found.status == 200)
        let resolved = try WebFinger.parse(found.body)
        #expect(resolved.did == did && resolved.relay == "wss://r.example/dsip")
        let some = try WebFinger.parse(ask("acct:alice@example.com", [WebFinger.identityRelation]).body)
        #expect(some.did == did && some.relay == nil)
        lookups = 0
        let unknown = ask("acct:nobody@example.com")
        #expect(ask("acct:hidden@example.com") == unknown && unknown.status == 404)
        #expect(lookups == 2, "both cost one look")
        #expect(ask("acct:alice@other.example") == unknown)
        for bad in [nil, "", "alice@example.com", "acct:", "acct:a b@example.com", "https://example.com/alice"] {
            #expect(ask(bad).status == 400)
        }
    }
}
