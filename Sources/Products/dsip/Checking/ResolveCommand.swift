import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPTransport
import DSIPTrust
import Encoding
import Foundation

/// `dsip resolve`: from an address to a document and a relay, step by step.
struct ResolveCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve",
        abstract: "Find whom a did:…, name@host, name.eth or dsip: link means, and where they are reached.",
        discussion:
            "An agent that is up is asked too, for what its relay and the DHT know of an address that names no relay."
    )

    @Argument(help: "The address.") var address: String
    @Flag(help: "Show the DID document too.") var document = false
    @Flag(help: "Ask every place there is at once, and tell what each answer rests on.") var explain = false
    @OptionGroup var places: PlaceOptions
    @OptionGroup var pkarr: PkarrOptions
    @OptionGroup var aliases: AliasOptions
    @OptionGroup var ethereum: EthereumOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let fetcher = try state.network.fetcher()
        let zones = PkarrPlaces(pkarr.pkarr, fetcher: fetcher, policy: try state.network.policy())
        if explain {
            let networks = ethereum.networks(state.network)
            let aliases = try aliases.places(state.network)
            return try await Explanation(address, places, zones, fetcher, aliases, networks).show(
                asJSON: output.json
            )
        }
        var lookup = Lookup(
            fetcher: fetcher,
            aliases: try aliases.places(state.network),
            pkarr: zones.source,
            ethereum: ethereum.networks(state.network)
        )
        do {
            try await lookup.find(address)
            if FileManager.default.fileExists(atPath: state.folder),
                case .agent(let announcement)? = try? StateHolder.take(state.folder)
            {
                await lookup.ask(RunningAgentDoor(announcement: announcement))
            }
        } catch {
            if output.json { Console.write(lookup.json) } else if !lookup.steps.isEmpty { Console.write(steps(lookup)) }
            throw error
        }
        if output.json { return Console.write(lookup.json) }
        Console.write(steps(lookup))
        Console.write(Console.table(facts(lookup)))
        if document, let found = lookup.document { Console.write(found.json) }
    }

    private func steps(_ lookup: Lookup) -> String {
        Console.table(
            lookup.steps.map { step in
                [
                    step.error == nil ? Console.good("ok    ") : Console.bad("failed"), "\(step.milliseconds) ms",
                    step.what,
                ]
            }
        )
    }

    private func facts(_ lookup: Lookup) -> [[String]] {
        guard let did = lookup.did else { return [] }
        var rows = [
            ["Address", did.string], ["Basis", TrustBasis.basis(of: did)], ["Rests on", MethodBasis.text(of: did)],
        ]
        if let alias = lookup.alias { rows.append(["Alias", alias.description]) }
        if let name = lookup.name { rows.append(["Name", "\(name) (says the link)"]) }
        let keys = lookup.document?.verificationMethods ?? []
        rows += keys.map {
            [
                "Key",
                "\($0.id.fragment == did.identifier ? "#\(DIDShort.of($0.id.fragment))" : "#\($0.id.fragment)")  \(DIDShort.of($0.publicKey.multibase))",
            ]
        }
        if let relay = lookup.relay {
            rows.append(["Relay", "\(relay) (from \(lookup.relaySource ?? "the document"))"])
        } else {
            rows.append(["Relay", "not told; a link or alias of theirs would say"])
        }
        return rows
    }
}

enum DIDShort {
    /// The beginning and the end of a long key text.
    static func of(_ text: String) -> String { text.count <= 20 ? text : "\(text.prefix(10))…\(text.suffix(6))" }
}

extension NetworkOptions {
    func fetcher() throws -> HTTPDocumentFetcher {
        HTTPDocumentFetcher(policy: try policy(), roots: roots)
    }

    func policy() throws -> AddressPolicy { AddressPolicy(allowing: try allowed(with: try wantedRelay())) }
}
