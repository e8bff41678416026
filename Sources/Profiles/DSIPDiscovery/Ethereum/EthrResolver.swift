import DSIPIdentity
import Encoding
import Ethereum

/// The method `did:ethr`: an account's keys and services in the events of a registry (ERC-1056), read through a node that somebody chose.
///
/// What the node says is believed: events are not proven by headers here. It is held to what can be checked without: that it is of the
/// network, that its events are of the registry and of the account, that they form one chain backwards, and that it knows no less than what
/// was seen before.
public struct EthrResolver: Resolver {
    private static let lifetime: Int64 = 300

    private let networks: [EthereumNetwork]
    private let memory: any VersionMemory
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - networks: one for each chain; the first counts.
    ///   - memory: the last change that was seen of each account.
    ///   - clock: Unix seconds.
    public init(
        networks: [EthereumNetwork],
        memory: any VersionMemory = ShortVersionMemory(),
        clock: @escaping @Sendable () -> Int64
    ) {
        (self.networks, self.memory, self.clock) = (networks, memory, clock)
    }

    /// - Throws: also `.unsupported` for a network of which no node is known, `.refused` for a node of another network, or one that knows
    ///   less than was seen.
    public func resolve(_ did: DID) async throws(IdentityError) -> ResolvedDocument {
        let identifier = try EthrIdentifier(did)
        guard let network = networks.first(where: { $0.chain == identifier.chain }) else {
            throw IdentityError(.unsupported, "no Ethereum node of network \(identifier.chain) is known")
        }
        let head = try await network.head()
        let argument = ABICall.argument(identifier.address)
        let changed = try await network.node.call(
            network.registry,
            ABICall.data("changed(address)", argument),
            at: head
        ).number(0)
        guard let changed, (0...max(0, head)).contains(changed) else {
            throw IdentityError(.malformed, "no registry of identities is there")
        }
        let seen = await memory.version(of: did).flatMap { Int64($0) } ?? 0
        guard changed >= seen else {
            throw IdentityError(
                .refused,
                "the Ethereum node knows an older document than the one seen before (rollback)"
            )
        }
        let history = try await history(of: identifier.address, from: changed, network)
        let document = try history.document(of: did, at: clock())
        if changed > seen { await memory.remember("\(changed)", of: did) }
        return ResolvedDocument(document: document, lifetime: EthrResolver.lifetime)
    }

    /// From the last change to the first: each names the block of the one before.
    private func history(
        of account: EthereumAddress,
        from last: Int64,
        _ network: EthereumNetwork
    ) async throws(IdentityError) -> EthrHistory {
        var (block, count) = (last, 0)
        var blocks: [[EthrHistory.Change]] = []
        while block > 0 {
            let events = try await events(of: account, in: block, network)
            count += events.count
            guard let previous = events.map(\.previous).min(), previous >= 0, previous < block else {
                throw IdentityError(.malformed, "the Ethereum node’s events are not whole")
            }
            guard count <= EthrHistory.maximumChanges else {
                throw IdentityError(.tooLarge, "the identity has changed more often than is read")
            }
            blocks.append(events.map(\.change))
            block = previous
        }
        var history = EthrHistory()
        for change in blocks.reversed().joined() { history.append(change) }
        return history
    }

    private func events(
        of account: EthereumAddress,
        in block: Int64,
        _ network: EthereumNetwork
    ) async throws(IdentityError) -> [(change: EthrHistory.Change, previous: Int64)] {
        let kinds = [EthrHistory.ownerTopic, EthrHistory.delegateTopic, EthrHistory.attributeTopic]
        let account = Quantity.data(ABICall.argument(account))
        let filter: JSONValue = [
            "address": .string(network.registry.lowercased), "fromBlock": .string(Quantity.text(block)),
            "toBlock": .string(Quantity.text(block)),
            "topics": [.array(kinds.map { .string(Quantity.data($0)) }), .string(account)],
        ]
        guard let logs = try await network.node.ask("eth_getLogs", [filter]).array,
            logs.count <= EthrHistory.maximumChanges
        else { throw IdentityError(.malformed, "the Ethereum node’s events cannot be read") }
        // A node that filters badly is filtered here.
        let own = logs.compactMap { log -> (index: Int64, change: EthrHistory.Change, previous: Int64)? in
            guard log["address"]?.string?.lowercased() == network.registry.lowercased,
                log["blockNumber"]?.string.flatMap(Quantity.number) == block, log["removed"]?.bool != true,
                let index = log["logIndex"]?.string.flatMap(Quantity.number), let topics = log["topics"]?.array,
                topics.count == 2, topics[1].string?.lowercased() == account,
                let topic = topics[0].string.flatMap(Quantity.bytes),
                let data = log["data"]?.string.flatMap(Quantity.bytes),
                let event = EthrHistory.read(topic: topic, data: data)
            else { return nil }
            return (index, event.change, event.previous)
        }
        return own.sorted { $0.index < $1.index }.map { ($0.change, $0.previous) }
    }
}
