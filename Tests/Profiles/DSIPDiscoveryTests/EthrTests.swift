import Crypto
import DSIPIdentity
import Encoding
import Ethereum
import Synchronization
import Testing

@testable import DSIPDiscovery

/// A node with a chain of its own, which answers as the execution API has it; `Interop/test_ethr.py` plays the same with a real EVM.
private final class TableNode: EthereumNode {
    struct Event {
        var block: Int64
        var topic: [UInt8]
        var data: [UInt8]
        var account: EthereumAddress
        var contract = EthereumNetwork.mainRegistry!
        var removed = false
    }

    struct State {
        var chain: Int64 = 1
        var head: Int64 = 100
        var changed: Int64 = 0
        var events: [Event] = []
        var asked: [String] = []
    }

    private let state = Mutex(State())

    func change(_ body: @Sendable (inout State) -> Void) { state.withLock { body(&$0) } }
    var asked: [String] { state.withLock { $0.asked } }

    func ask(_ method: String, _ parameters: [JSONValue]) async throws(IdentityError) -> JSONValue {
        let state = state.withLock { state in
            state.asked.append(method)
            return state
        }
        switch method {
        case "eth_chainId": return .string(Quantity.text(state.chain))
        case "eth_blockNumber": return .string(Quantity.text(state.head))
        case "eth_call": return .string(Quantity.data(Words.number(state.changed)))
        case "eth_getLogs":
            let block = parameters[0]["fromBlock"]?.string
            // Badly filtered, as a careless node has it.
            let logs = state.events.enumerated().map { index, event -> JSONValue in
                [
                    "address": .string(event.contract.lowercased), "blockNumber": .string(Quantity.text(event.block)),
                    "logIndex": .string(Quantity.text(Int64(index))), "removed": .bool(event.removed),
                    "topics": [
                        .string(Quantity.data(event.topic)), .string(Quantity.data(ABICall.argument(event.account))),
                    ],
                    "data": .string(Quantity.data(event.data)),
                ]
            }
            return block == nil ? .null : .array(logs)
        default: throw IdentityError(.unreachable, "no such method")
        }
    }
}

private enum Words {
    static func number(_ number: Int64) -> [UInt8] {
        [UInt8](repeating: 0, count: 24) + (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * Int64($0))) }
    }

    static func text(_ text: String) -> [UInt8] { padded(Array(text.utf8)) }

    static func padded(_ bytes: [UInt8]) -> [UInt8] {
        bytes + [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
    }

    static func attribute(_ name: String, _ value: [UInt8], until: Int64, previous: Int64) -> [UInt8] {
        text(name) + number(128) + number(until) + number(previous) + number(Int64(value.count)) + padded(value)
    }
}

@Suite("did:ethr") struct EthrTests {
    private let account = EthereumAddress("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")!
    private let did = DID("did:ethr:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")!
    private let later = Cast.now + 1000

    private func resolver(_ node: TableNode, memory: any VersionMemory = ShortVersionMemory()) -> EthrResolver {
        let network = EthereumNetwork(chain: 1, registry: EthereumNetwork.mainRegistry!, node: node)
        return EthrResolver(networks: [network], memory: memory, clock: { Cast.now })
    }

    private func raw(_ key: SigningKey) throws -> [UInt8] {
        guard case .ed25519(let raw) = key.publicKey else { throw TestFault("another key") }
        return Array(raw.rawRepresentation)
    }

    private func attribute(_ name: String, _ value: [UInt8], _ block: Int64, _ previous: Int64, until: Int64? = nil)
        -> TableNode.Event
    {
        TableNode.Event(
            block: block,
            topic: EthrHistory.attributeTopic,
            data: Words.attribute(name, value, until: until ?? later, previous: previous),
            account: account
        )
    }

    @Test("an account that never changed has a document without keys that DSIP signs with")
    func unchanged() async throws {
        let node = TableNode()
        let resolved = try await resolver(node).resolve(did)
        #expect(resolved.document.id == did && resolved.document.verificationMethods.isEmpty)
        #expect(node.asked == ["eth_chainId", "eth_blockNumber", "eth_call"])
    }

    @Test("keys and services are read from the events, from the last block to the first")
    func history() async throws {
        let node = TableNode()
        let (alice, bob) = (try raw(Cast.alice), try raw(Cast.bob))
        let agreement = try #require(DIDKey.keyAgreement(of: Cast.bob.did)).publicKey
        let endpoint = Array(#"{"uri":"wss://relay.example/dsip","bindings":["ws/1.0"]}"#.utf8)
        let delegate = TableNode.Event(
            block: 10,
            topic: EthrHistory.delegateTopic,
            data: Words.text("veriKey") + ABICall.argument(account) + Words.number(later) + Words.number(0),
            account: account
        )
        let events = [
            delegate, attribute("did/pub/Ed25519/veriKey/base64", alice, 20, 10),
            // Twice in one block: the second names the block itself.
            attribute("did/pub/X25519/enc/base64", agreement, 30, 20),
            attribute("did/svc/DSIPSignaling", endpoint, 30, 30),
            // Revoked, and one that ran out.
            attribute("did/pub/Ed25519/sigAuth/hex", bob, 40, 30),
            attribute("did/pub/Ed25519/sigAuth/hex", bob, 50, 40, until: Cast.now - 1),
            attribute("did/svc/Other", Array("https://old.example".utf8), 50, 50, until: 5),
        ]
        node.change { ($0.events, $0.changed) = (events, 50) }
        let document = try await resolver(node).resolve(did).document
        #expect(document.verificationMethods.map(\.publicKey) == [Cast.alice.publicKey])
        #expect(document.verificationMethods.first?.id.description == "\(did)#delegate-2")
        #expect(document.keyAgreement.map(\.publicKey) == [agreement])
        #expect(document.signalingEndpoint == "wss://relay.example/dsip")
        #expect(document.services.count == 1)
    }

    @Test("an owner who gave the account up is believed")
    func givenUp() async throws {
        let node = TableNode()
        let none = [UInt8](repeating: 0, count: 32)
        let event = TableNode.Event(
            block: 7,
            topic: EthrHistory.ownerTopic,
            data: none + Words.number(0),
            account: account
        )
        node.change { ($0.events, $0.changed) = ([event], 7) }
        await #expect(throws: IdentityError(.notFound, "")) { try await resolver(node).resolve(did) }
    }

    @Test("events of others, of other contracts and of blocks that were taken back count for nothing")
    func foreign() async throws {
        let node = TableNode()
        let key = try raw(Cast.mallory)
        var events = [
            attribute("did/pub/Ed25519/veriKey/hex", try raw(Cast.alice), 9, 0),
            attribute("did/pub/Ed25519/veriKey/hex", key, 9, 0), attribute("did/pub/Ed25519/veriKey/hex", key, 9, 0),
            attribute("did/pub/Ed25519/veriKey/hex", key, 9, 0), attribute("did/pub/Ed25519/veriKey/hex", key, 8, 0),
        ]
        events[1].account = EthereumAddress(bytes: [UInt8](repeating: 1, count: 20))!
        events[2].contract = events[1].account
        events[3].removed = true
        let told = events
        node.change { ($0.events, $0.changed) = (told, 9) }
        let document = try await resolver(node).resolve(did).document
        #expect(document.verificationMethods.map(\.publicKey) == [Cast.alice.publicKey])
    }

    @Test("a node of another network, one that withholds events, goes in circles or back in time is refused")
    func dishonest() async throws {
        let node = TableNode()
        node.change { $0.chain = 5 }
        await #expect(throws: IdentityError(.refused, "")) { try await resolver(node).resolve(did) }
        node.change { ($0.chain, $0.changed) = (1, 60) }
        await #expect(throws: IdentityError(.malformed, "")) { try await resolver(node).resolve(did) }
        let circle = attribute("did/pub/Ed25519/veriKey/hex", [1], 60, 60)
        node.change { $0.events = [circle] }
        await #expect(throws: IdentityError(.malformed, "")) { try await resolver(node).resolve(did) }
        node.change { $0.changed = 101 }
        await #expect(throws: IdentityError(.malformed, "")) { try await resolver(node).resolve(did) }
        let memory = ShortVersionMemory()
        let last = attribute("did/pub/Ed25519/veriKey/hex", try raw(Cast.alice), 60, 0)
        node.change { ($0.events, $0.changed) = ([last], 60) }
        _ = try await resolver(node, memory: memory).resolve(did)
        node.change { $0.changed = 0 }
        await #expect(throws: IdentityError(.refused, "")) { try await resolver(node, memory: memory).resolve(did) }
    }

    @Test("an endless history is not read to its end")
    func endless() async throws {
        let node = TableNode()
        let count = Int64(EthrHistory.maximumChanges + 1)
        let events = (1...count).map { attribute("did/svc/S", [0x61], $0, $0 - 1) }
        node.change { ($0.events, $0.changed, $0.head) = (Array(events.suffix(513)), count, count) }
        await #expect(throws: (any Error).self) { try await resolver(node).resolve(did) }
        #expect(node.asked.count < 3 + Int(count) + 1)
    }

    @Test("identifiers: networks by name and number, accounts by address and key")
    func identifiers() throws {
        #expect(try EthrIdentifier(did) == EthrIdentifier(try #require(DID("did:ethr:0x1:\(account.lowercased)"))))
        #expect(try EthrIdentifier(try #require(DID("did:ethr:sepolia:\(account)"))).chain == 11_155_111)
        if Secp256k1() != nil {
            let generator = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
            let key = try EthrIdentifier(try #require(DID("did:ethr:mainnet:\(generator)")))
            #expect(key.address.description == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf")
        }
        for text in [
            "did:ethr:0x12", "did:ethr:nowhere:\(account)", "did:ethr:0x0:\(account)", "did:ethr:a:b:\(account)",
        ] {
            #expect(throws: IdentityError(.malformed, "")) { try EthrIdentifier(try #require(DID(text))) }
        }
        let unknown = try #require(DID("did:ethr:0x5:\(account)"))
        #expect(throws: Never.self) { try EthrIdentifier(unknown) }
    }

    @Test("a setting says network, registry and node")
    func settings() {
        for text in ["mainnet=https://node.example", "0x5@\(account)=https://node.example/key"] {
            #expect(EthereumNetwork.isValid(text))
        }
        for text in [
            "", "mainnet", "mainnet=http://node.example", "0x5=https://node.example", "0x5@0x1=https://a.example",
        ] {
            #expect(!EthereumNetwork.isValid(text), "\(text)")
        }
    }

    @Test("a node's answers over HTTP: results, errors, and what is neither")
    func endpoint() async throws {
        func node(_ body: String, status: Int = 200) -> EthereumEndpoint {
            EthereumEndpoint("https://node.example") { (url, sent, _) async throws(IdentityError) in
                guard (try? JSONValue(parsing: sent))?["method"]?.string == "eth_chainId" else {
                    throw IdentityError(.malformed, "no request")
                }
                return FetchedDocument(status: status, body: Array(body.utf8), finalURL: url)
            }
        }
        #expect(try await node(#"{"jsonrpc":"2.0","id":1,"result":"0x7a69"}"#).number("eth_chainId") == 31_337)
        for body in ["", "[]", #"{"id":2,"result":"0x1"}"#, #"{"id":1,"result":1}"#, #"{"id":1,"result":"0x"}"#] {
            await #expect(throws: IdentityError(.malformed, "")) { try await node(body).number("eth_chainId") }
        }
        let refused = node(#"{"id":1,"error":{"code":-32000,"message":"no"}}"#)
        await #expect(throws: IdentityError(.unreachable, "")) { try await refused.number("eth_chainId") }
    }
}
