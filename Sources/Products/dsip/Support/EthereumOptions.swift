import ArgumentParser
import DSIPDiscovery
import DSIPIdentity
import DSIPTransport

/// Which Ethereum nodes are believed.
struct EthereumOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "An Ethereum node that is believed for did:ethr, with its network (mainnet, sepolia, 0x5 …) and, beside the main network's, the registry; may be given several times.",
            valueName: "NETWORK[@REGISTRY]=https://…"
        )
    )
    var ethereum: [String] = []

    func validate() throws {
        for node in ethereum where !EthereumNetwork.isValid(node) {
            throw ValidationError("“\(node)” is no such node; one looks like mainnet=https://node.example")
        }
    }

    func networks(_ options: NetworkOptions) -> [EthereumNetwork] {
        let post = EthereumOptions.post(options)
        return ethereum.compactMap { EthereumNetwork($0, post: post) }
    }

    /// Asks a node, wherever it is: it was named by the person.
    static func post(_ options: NetworkOptions) -> EthereumEndpoint.Post {
        let everywhere = ["0.0.0.0/0", "::/0"].compactMap(AddressRange.init)
        let fetcher = HTTPDocumentFetcher(policy: AddressPolicy(allowing: everywhere), roots: options.roots)
        return { (url, body, limit) async throws(IdentityError) in
            try await fetcher.post(url: url, body, limit: limit)
        }
    }
}
