import DSIPIdentity
import Encoding
import Ethereum

/// `did:ethr:[network:]0x…`: an account of an Ethereum network, by its address or by the public key that has it.
public struct EthrIdentifier: Hashable, Sendable {
    /// EIP-155.
    public let chain: Int64
    public let address: EthereumAddress

    /// Networks that have a name; all others are their chain's number in hexadecimal digits.
    private static let names: [Substring: Int64] = [
        "mainnet": 1, "sepolia": 11_155_111, "holesky": 17_000, "hoodi": 560_048, "polygon": 137, "gno": 100,
    ]

    /// - Throws: `.malformed`, `.unsupported` for a public key where libsecp256k1 is not installed.
    public init(_ did: DID) throws(IdentityError) {
        let parts = did.identifier.split(separator: ":", omittingEmptySubsequences: false)
        guard did.method == "ethr", (1...2).contains(parts.count), let account = parts.last else {
            throw IdentityError(.malformed, "not an identifier of did:ethr")
        }
        let network = parts.count == 2 ? parts[0] : "mainnet"
        guard let chain = EthrIdentifier.chain(network), chain > 0 else {
            throw IdentityError(.malformed, "the did:ethr names no network")
        }
        self.chain = chain
        guard account.utf8.count == 68 else {
            guard let address = EthereumAddress(account) else {
                throw IdentityError(.malformed, "the did:ethr names no account")
            }
            self.address = address
            return
        }
        guard let curve = Secp256k1() else {
            throw IdentityError(.unsupported, "accounts named by their key need libsecp256k1, which is not installed")
        }
        guard let address = Quantity.bytes(String(account)).flatMap(curve.point).flatMap(EthereumAddress.init(point:))
        else { throw IdentityError(.malformed, "the did:ethr is no key of its curve") }
        self.address = address
    }

    /// Reads `mainnet` or `0x5`.
    static func chain(_ network: Substring) -> Int64? { names[network] ?? Quantity.number(String(network)) }
}

/// Where a network's identities are registered, and who is asked.
public struct EthrNetwork: Sendable {
    public let chain: Int64
    /// The contract of ERC-1056.
    public let registry: EthereumAddress
    public let node: any EthereumNode

    /// The registry of the main network, by the method's specification.
    public static let mainRegistry = EthereumAddress("0xdca7ef03e98e0dc2b855be647c39abe984fcf21b")

    public init(chain: Int64, registry: EthereumAddress, node: any EthereumNode) {
        (self.chain, self.registry, self.node) = (chain, registry, node)
    }

    /// Whether a setting says what network, registry and node there are.
    public static func isValid(_ text: String) -> Bool {
        EthrNetwork(text) { (_, _, _) async throws(IdentityError) in throw IdentityError(.unreachable, "not asked") }
            != nil
    }

    /// Reads `NETWORK[@REGISTRY]=https://…`, as settings have it. The registry may be left out for the main network.
    public init?(_ text: String, post: @escaping EthereumEndpoint.Post) {
        guard let equals = text.firstIndex(of: "=") else { return nil }
        let (place, url) = (
            text[..<equals].split(separator: "@", maxSplits: 1), String(text[text.index(after: equals)...])
        )
        guard url.hasPrefix("https://"), let name = place.first, let chain = EthrIdentifier.chain(name),
            let registry = place.count == 2
                ? EthereumAddress(place[1]) : (chain == 1 ? EthrNetwork.mainRegistry : nil)
        else { return nil }
        self.init(chain: chain, registry: registry, node: EthereumEndpoint(url, post: post))
    }
}
