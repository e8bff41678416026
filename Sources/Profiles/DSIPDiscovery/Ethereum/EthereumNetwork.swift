import DSIPIdentity
import Ethereum

/// An Ethereum network, the contract of it that is read, and who is asked.
public struct EthereumNetwork: Sendable {
    /// EIP-155.
    public let chain: Int64
    public let registry: EthereumAddress
    public let node: any EthereumNode

    /// The registry of identities of the main network, by the method's specification.
    public static let mainRegistry = EthereumAddress("0xdca7ef03e98e0dc2b855be647c39abe984fcf21b")

    /// Networks that have a name; all others are their chain's number in hexadecimal digits.
    private static let names: [Substring: Int64] = [
        "mainnet": 1, "sepolia": 11_155_111, "holesky": 17_000, "hoodi": 560_048, "polygon": 137, "gno": 100,
    ]

    public init(chain: Int64, registry: EthereumAddress, node: any EthereumNode) {
        (self.chain, self.registry, self.node) = (chain, registry, node)
    }

    /// What a network is named for.
    public enum Registry: Sendable {
        /// Of identities (ERC-1056): did:ethr.
        case identities
        /// The Ethereum Name Service (ENSIP-1).
        case names

        /// Where it is, by the specification of either.
        func address(on chain: Int64) -> EthereumAddress? {
            switch self {
            case .identities: chain == 1 ? EthereumNetwork.mainRegistry : nil
            case .names:
                [1, 11_155_111, 17_000].contains(chain)
                    ? EthereumAddress("0x00000000000c2e074ec69a0dfb2997ba6c7d2e1e") : nil
            }
        }
    }

    /// Whether a setting says what network, registry and node there are.
    public static func isValid(_ text: String, _ kind: Registry = .identities) -> Bool {
        EthereumNetwork(text, kind) { (_, _, _) async throws(IdentityError) in
            throw IdentityError(.unreachable, "not asked")
        } != nil
    }

    /// Reads `NETWORK[@REGISTRY]=https://…`, as settings have it. The registry may be left out where it is known.
    public init?(_ text: String, _ kind: Registry = .identities, post: @escaping EthereumEndpoint.Post) {
        guard let equals = text.firstIndex(of: "=") else { return nil }
        let (place, url) = (
            text[..<equals].split(separator: "@", maxSplits: 1), String(text[text.index(after: equals)...])
        )
        guard url.hasPrefix("https://"), let name = place.first, let chain = EthereumNetwork.chain(name),
            let registry = place.count == 2 ? EthereumAddress(place[1]) : kind.address(on: chain)
        else { return nil }
        self.init(chain: chain, registry: registry, node: EthereumEndpoint(url, post: post))
    }

    /// Reads `mainnet` or `0x5`.
    static func chain(_ network: Substring) -> Int64? { names[network] ?? Quantity.number(String(network)) }

    /// The last block of the node, which is of the network it should be of.
    ///
    /// - Throws: also `.refused` for a node of another network.
    func head() async throws(IdentityError) -> Int64 {
        guard try await node.number("eth_chainId") == chain else {
            throw IdentityError(.refused, "the Ethereum node is of another network")
        }
        return try await node.number("eth_blockNumber")
    }
}
