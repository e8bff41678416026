import DSIPIdentity
import Ethereum

/// Names of the Ethereum Name Service: the text record `did` of `alice.eth` (proposal 0.3 §4.3, §21.D; ENSIP-1, ENSIP-5).
///
/// The node that somebody chose is believed, as for did:ethr. Only what is on the ledger is read: no gateway is asked (ERC-3668), and a name
/// without a resolver of its own has no record (ENSIP-10).
public enum EthereumNames {
    /// The key of the text record.
    public static let key = "did"
    private static let maximumLength = 2048

    /// - Throws: `.notFound` when the name is nobody's, or names no identity; `.unsupported` when its record is not on the ledger.
    public static func resolve(_ alias: Alias, on network: EthereumNetwork) async throws(IdentityError) -> AliasClaim {
        guard alias.form == .ledger else { throw IdentityError(.notFound, "the alias is no name of a ledger") }
        // One block for both questions, so that they are answered from one state.
        let head = try await network.head()
        let node = Namehash.hash(alias.description)
        let registered = try await network.node.call(
            network.registry,
            ABICall.data("resolver(bytes32)", node),
            at: head
        ).address(0)
        guard let registered else { throw IdentityError(.malformed, "no registry of names is there") }
        guard !registered.isZero else {
            throw IdentityError(.notFound, "the Ethereum Name Service has no resolver for the name")
        }
        let question = node + ABICall.argument(64) + ABICall.tail(Array(key.utf8))
        let answer = try await network.node.call(registered, ABICall.data("text(bytes32,string)", question), at: head)
        guard let text = answer.dynamic(0), text.count <= maximumLength else {
            throw IdentityError(.malformed, "the name’s resolver keeps no text records")
        }
        guard !text.isEmpty else { throw IdentityError(.notFound, "the name has no text record “\(key)”") }
        guard let did = String(validating: text, as: UTF8.self).flatMap({ DID($0) }) else {
            throw IdentityError(.malformed, "the name’s text record “\(key)” is no identity")
        }
        return AliasClaim(source: .ens, did: did, basis: .ethereumNode)
    }
}

/// Names of Handshake: the TXT record `_did.alice.voice`, as in the DNS below any other root (proposal 0.3 §4.3).
public enum HandshakeNames {
    /// - Parameter dns: asks a resolver for names of Handshake's root, whose word is all there is: its signatures begin at itself.
    /// - Throws: as `AliasDNS.claim`.
    public static func resolve(
        _ alias: Alias,
        through dns: any ValidatingDNS
    ) async throws(IdentityError) -> AliasClaim {
        guard alias.form == .ledger else { throw IdentityError(.notFound, "the alias is no name of a ledger") }
        let claim = try await AliasDNS.resolve(alias, through: dns)
        return AliasClaim(source: .handshake, did: claim.did, relay: claim.relay, basis: .handshakeResolver)
    }
}
