import DSIPIdentity
import Encoding
import Ethereum

/// `did:ethr:[network:]0x…`: an account of an Ethereum network, by its address or by the public key that has it.
public struct EthrIdentifier: Hashable, Sendable {
    /// EIP-155.
    public let chain: Int64
    public let address: EthereumAddress

    /// - Throws: `.malformed`, `.unsupported` for a public key where libsecp256k1 is not installed.
    public init(_ did: DID) throws(IdentityError) {
        let parts = did.identifier.split(separator: ":", omittingEmptySubsequences: false)
        guard did.method == "ethr", (1...2).contains(parts.count), let account = parts.last else {
            throw IdentityError(.malformed, "not an identifier of did:ethr")
        }
        let network = parts.count == 2 ? parts[0] : "mainnet"
        guard let chain = EthereumNetwork.chain(network), chain > 0 else {
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
}
