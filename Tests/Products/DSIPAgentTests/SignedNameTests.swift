import Crypto
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import Foundation
import Testing
import Unbound

/// Aliases in the DNS, validated by libunbound against zones on loopback whose keys only the test knows.
@Suite(
    "Aliases in signed zones",
    .serialized,
    .enabled(if: (try? ValidatingResolver()) != nil, "libunbound is not installed"),
    .timeLimit(.minutes(5))
)
struct SignedNameTests {
    private static let alice = SigningKey(selfIssued: .init()).did

    /// `example`, which is the anchor; `signed.example` and `broken.example` below it, signed; `plain.example`, which is not.
    private func world() async throws -> (server: TestNameServer, dns: UnboundDNS) {
        var (root, signed, broken) = (SignedZone("example"), SignedZone("signed.example"), SignedZone("broken.example"))
        let text = "did=\(SignedNameTests.alice)"
        signed.addText("_did.alice.signed.example", text)
        let target = [0, 10, 0, 0, 0x1b, 0xb] + SignedZone.wire("relay.signed.example")
        signed.add(.init(name: "_did.alice.signed.example", type: .srv, rdata: target))
        broken.addText("_did.alice.broken.example", text)
        for zone in [signed, broken] { root.add(zone.ds) }
        root.addUnsignedDelegation("plain.example")
        typealias Answers = [(
            question: (name: String, type: SignedZone.RecordType), answer: [SignedZone.Record],
            authority: [SignedZone.Record]
        )]
        func whole(_ zone: SignedZone, _ name: String, _ type: SignedZone.RecordType) -> Answers.Element {
            let records = zone.records.filter { $0.name == name && $0.type == type }
            return ((name, type), records + [zone.signature(of: name, type)], [])
        }
        var answers: Answers = [
            whole(root, "example", .dnskey), whole(root, "signed.example", .ds), whole(root, "broken.example", .ds),
            whole(signed, "signed.example", .dnskey), whole(broken, "broken.example", .dnskey),
            whole(signed, "_did.alice.signed.example", .txt), whole(signed, "_did.alice.signed.example", .srv),
            (
                ("plain.example", .ds), [],
                root.records.filter { $0.type == .nsec } + [root.signature(of: "plain.example", .nsec)]
            ),
        ]
        // Somebody on the way changed what was signed.
        var forged = whole(broken, "_did.alice.broken.example", .txt)
        forged.answer[0].rdata[10] ^= 1
        answers.append(forged)
        var plain = SignedZone("plain.example")
        plain.addText("_did.alice.plain.example", text)
        answers.append((("_did.alice.plain.example", .txt), plain.records.filter { $0.type == .txt }, []))
        let server = try await TestNameServer(answers)
        var configuration = ValidatingResolver.Configuration()
        configuration.forwarders = [server.address]
        configuration.anchors = [root.anchor]
        configuration.patience = 60_000
        return (server, try UnboundDNS(configuration))
    }

    @Test("signed, not signed and forged are told apart")
    func verdicts() async throws {
        let (server, dns) = try await world()
        let text = "did=\(SignedNameTests.alice)"
        let signed = try await dns.texts("_did.alice.signed.example")
        #expect(signed.verdict == .secure && signed.texts == [text])
        let plain = try await dns.texts("_did.alice.plain.example")
        #expect(plain.verdict == .insecure && plain.texts == [text])
        let forged = try await dns.texts("_did.alice.broken.example")
        #expect(forged.verdict == .bogus && forged.texts.isEmpty)
        await server.stop()
    }

    @Test("an alias is found by its signed records with the relay they name; a forged answer is told and leads nowhere")
    func aliases() async throws {
        let (server, dns) = try await world()
        let found = try await AliasDNS.resolve(try #require(Alias("alice@signed.example")), through: dns)
        #expect(found.did == SignedNameTests.alice && found.basis == .signedDNS)
        #expect(found.relay == "wss://relay.signed.example:6923/dsip")
        let plain = try await AliasDNS.resolve(try #require(Alias("alice@plain.example")), through: dns)
        #expect(plain.basis == .unsignedDNS && plain.relay == nil)
        await #expect(throws: IdentityError(.refused, "")) {
            try await AliasDNS.resolve(try #require(Alias("alice@broken.example")), through: dns)
        }
        await server.stop()
    }

    @Test("an agent finds an alias that only the signed DNS knows, and says what that rests on")
    func agent() async throws {
        let (server, dns) = try await world()
        let relay = try await TestRelay()
        let carol = try await Person("Carol", at: relay, dns: dns)
        let found = try await carol.agent.lookup("alice@signed.example")
        #expect(found.peer.did == SignedNameTests.alice)
        #expect(found.relay == "wss://relay.signed.example:6923/dsip")
        #expect(
            found.steps.contains { $0.hasPrefix("signed.example says who alice@signed.example is, by DNS: DNSSEC") }
        )
        await #expect(throws: AgentError(.unresolvable, "")) { try await carol.agent.lookup("alice@broken.example") }
        await carol.agent.stop()
        await relay.stop()
        await server.stop()
    }

    @Test("servers that do not answer are not waited for again and again; more questions than may be are refused")
    func silence() async throws {
        var configuration = ValidatingResolver.Configuration()
        // Discard: nobody listens there.
        configuration.forwarders = ["127.0.0.1@9"]
        configuration.patience = 300
        let resolver = try ValidatingResolver(configuration)
        await withTaskGroup(of: UnboundError?.self) { group in
            for number in 0..<(2 * ValidatingResolver.maximumQuestions) {
                group.addTask {
                    do throws(UnboundError) {
                        _ = try await resolver.ask("n\(number).example", type: .txt)
                        return nil
                    } catch { return error }
                }
            }
            var codes: [UnboundError.Code] = []
            for await error in group { if let error { codes.append(error.code) } }
            #expect(codes.count == 2 * ValidatingResolver.maximumQuestions)
            #expect(codes.contains(.busy))
        }
        #expect(throws: UnboundError.self) {
            configuration.forwarders = ["nowhere"]
            return try ValidatingResolver(configuration)
        }
        let dns = try UnboundDNS(
            {
                var silent = ValidatingResolver.Configuration()
                silent.forwarders = ["127.0.0.1@9"]
                silent.patience = 200
                return silent
            }()
        )
        await #expect(throws: IdentityError(.unreachable, "")) { try await dns.texts("a.example") }
        await #expect(throws: IdentityError(.unreachable, "")) { try await dns.texts("b.example") }
    }
}
