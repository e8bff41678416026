import DSIPIdentity
import Encoding
import Ethereum
import Synchronization
import Testing

@testable import DSIPDiscovery

/// A node whose contracts answer from a table; `Interop/test_ens.py` plays the same with a real EVM.
private final class TableContracts: EthereumNode {
    static let resolver = EthereumAddress("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")!

    private let chain: Int64
    /// By contract and call, what is returned.
    private let answers: [String: [UInt8]]
    private let asked = Mutex<[String]>([])

    init(chain: Int64 = 1, _ answers: [(EthereumAddress, [UInt8], [UInt8])] = []) {
        self.chain = chain
        self.answers = Dictionary(
            uniqueKeysWithValues: answers.map { ($0.0.lowercased + Quantity.data($0.1), $0.2) }
        )
    }

    var blocks: Set<String> { Set(asked.withLock { $0 }) }

    func ask(_ method: String, _ parameters: [JSONValue]) async throws(IdentityError) -> JSONValue {
        switch method {
        case "eth_chainId": return .string(Quantity.text(chain))
        case "eth_blockNumber": return "0x64"
        case "eth_call":
            asked.withLock { $0.append(parameters[1].string ?? "") }
            let key = (parameters[0]["to"]?.string ?? "") + (parameters[0]["data"]?.string ?? "")
            return .string(Quantity.data(answers[key] ?? []))
        default: throw IdentityError(.unreachable, "no such method")
        }
    }

    /// A network in which `name` has a resolver with `text` under the key `did`.
    static func network(_ name: String, text: String?, resolver: EthereumAddress = resolver) -> EthereumNetwork {
        let node = Namehash.hash(name)
        var answers = [(registry, ABICall.data("resolver(bytes32)", node), ABICall.argument(resolver))]
        if let text {
            let question = node + ABICall.argument(64) + ABICall.tail(Array("did".utf8))
            let answer = ABICall.argument(32) + ABICall.tail(Array(text.utf8))
            answers.append((resolver, ABICall.data("text(bytes32,string)", question), answer))
        }
        return EthereumNetwork(chain: 1, registry: registry, node: TableContracts(answers))
    }

    static let registry = EthereumAddress("0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e")!
}

/// A resolver that knows some names.
private struct TableDNS: ValidatingDNS {
    var answers: [String: DNSTexts]

    func texts(_ name: String) async throws(IdentityError) -> DNSTexts {
        guard let found = answers[name] else { throw IdentityError(.notFound, "no such name") }
        return found
    }

    func services(_ name: String) async throws(IdentityError) -> (services: [DNSService], verdict: DNSSECVerdict) {
        throw IdentityError(.notFound, "no such name")
    }
}

@Suite("Names of ledgers") struct LedgerNameTests {
    private let name = Alias(ledger: "alice.eth")!
    private let did = Cast.alice.did

    @Test("names are hashed as ENSIP-1 has it")
    func namehash() {
        #expect(Namehash.hash("") == [UInt8](repeating: 0, count: 32))
        #expect(Hex.encode(Namehash.hash("eth")) == "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae")
        #expect(
            Hex.encode(Namehash.hash("foo.eth")) == "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"
        )
    }

    @Test("the text record of a name is the identity, by the word of the node")
    func record() async throws {
        let claim = try await EthereumNames.resolve(name, on: TableContracts.network("alice.eth", text: did.string))
        #expect(claim == AliasClaim(source: .ens, did: did, basis: .ethereumNode))
        #expect(!claim.basis.isSigned)
    }

    @Test("both questions are of one block")
    func block() async throws {
        let node = TableContracts()
        let network = EthereumNetwork(chain: 1, registry: TableContracts.registry, node: node)
        _ = try? await EthereumNames.resolve(name, on: network)
        #expect(node.blocks == ["0x64"])
    }

    @Test("what leads to nobody is told apart")
    func failures() async throws {
        func code(_ network: EthereumNetwork) async -> IdentityError.Code? {
            do throws(IdentityError) {
                _ = try await EthereumNames.resolve(name, on: network)
                return nil
            } catch {
                return error.code
            }
        }
        let nobody = EthereumAddress(bytes: [UInt8](repeating: 0, count: 20))!
        #expect(await code(TableContracts.network("alice.eth", text: nil, resolver: nobody)) == .notFound)
        #expect(await code(TableContracts.network("alice.eth", text: "")) == .notFound)
        #expect(await code(TableContracts.network("alice.eth", text: "alice")) == .malformed)
        #expect(await code(TableContracts.network("alice.eth", text: nil)) == .malformed)
        #expect(await code(TableContracts.network("bob.eth", text: did.string)) == .malformed, "no registry is there")
        let other = EthereumNetwork(chain: 1, registry: TableContracts.registry, node: TableContracts(chain: 5))
        #expect(await code(other) == .refused)
    }

    @Test("a record behind a gateway is refused with the reason")
    func offchain() async throws {
        let body = Array(#"{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"x","data":"0x556f1830aa"}}"#.utf8)
        let node = EthereumEndpoint("https://node.example") { (url, _, _) async throws(IdentityError) in
            FetchedDocument(status: 200, body: body, finalURL: url)
        }
        do throws(IdentityError) {
            _ = try await node.ask("eth_call", [])
            Issue.record("it was answered")
        } catch {
            #expect(error.code == .unsupported && error.reason.contains("CCIP-read"))
        }
    }

    @Test("a Handshake name is a TXT record below another root, by the word of the resolver, signed or not")
    func handshake() async throws {
        let dns = TableDNS(answers: ["_did.alice.voice": DNSTexts(["did=\(did)"], verdict: .secure)])
        let claim = try await HandshakeNames.resolve(try #require(Alias(ledger: "alice.voice")), through: dns)
        #expect(claim == AliasClaim(source: .handshake, did: did, basis: .handshakeResolver))
    }

    @Test("ledgers that differ are shown and lead nowhere, and neither is the signed one")
    func conflict() async throws {
        var places = AliasPlaces()
        places.ens = TableContracts.network("alice.eth", text: did.string)
        let other = Cast.bob.did
        places.handshake = TableDNS(answers: ["_did.alice.eth": DNSTexts(["did=\(other)"], verdict: .secure)])
        let finding = await places.finding(of: name, from: places.sources, fetcher: TableFetcher())
        #expect(finding.verdict == .conflict([did, other], signed: nil) && finding.failures.isEmpty)
        do throws(IdentityError) {
            _ = try finding.agreed()
            Issue.record("it was decided")
        } catch {
            #expect(error.code == .refused && error.reason.contains("ENS says \(did)"))
            #expect(error.reason.contains("Handshake says \(other)"))
        }
    }

    @Test(
        "hosts are not asked for ledgers' names, nor ledgers for accounts; where nobody is there to ask, that is said"
    )
    func places() async throws {
        var sources = Discovery.Sources()
        sources.aliases = AliasClaim.Source.allCases
        func asked(_ alias: Alias) -> [Discovery.Query] {
            var discovery = Discovery(.alias(alias), sources: sources, verifier: HintVerifier(), at: 0)
            var asked: [Discovery.Query] = []
            while case .ask(let query)? = discovery.pollOutput() { asked.append(query) }
            return asked
        }
        #expect(asked(name) == [.alias(name, .ens), .alias(name, .handshake)])
        let account = try #require(Alias("alice@example.com"))
        #expect(asked(account) == [.alias(account, .webFinger), .alias(account, .dns), .alias(account, .wellKnown)])
        sources.aliases = [.webFinger, .dns]
        var discovery = Discovery(.alias(name), sources: sources, verifier: HintVerifier(), at: 0)
        guard case .finished(let found)? = discovery.pollOutput() else {
            Issue.record("it goes on")
            return
        }
        #expect(found.failure?.code == .unsupported && found.did == nil)
    }

    @Test("a document that names the ledger's name confirms it")
    func confirmation() throws {
        let text = #"{"id":"\#(did)","alsoKnownAs":["alice.eth"]}"#
        let document = try DIDDocument(json: try JSONValue(parsing: Array(text.utf8)), expecting: did)
        #expect(AliasFinding(alias: name, claims: []).isConfirmed(by: document))
        #expect(!AliasFinding(alias: Alias("alice@eth")!, claims: []).isConfirmed(by: document))
    }

    @Test(
        "settings name a network, its registry of names where it is not known, and a node",
        arguments: [
            ("mainnet=https://node.example", true), ("sepolia=https://node.example", true),
            ("0x539=https://node.example", false),
            ("0x539@0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed=https://node.example", true),
            ("mainnet=http://node.example", false), ("mainnet", false),
        ]
    )
    func settings(text: String, isValid: Bool) { #expect(EthereumNetwork.isValid(text, .names) == isValid) }
}
