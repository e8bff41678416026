import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import DSIPTransport
import Unbound

/// Who is asked for aliases beside their domains' web servers.
struct AliasOptions: ParsableArguments {
    @Option(
        name: .customLong("dns"),
        help: ArgumentHelp(
            "Aliases are looked for in the DNS too, and DNSSEC is validated here: auto asks from the root on where libunbound is installed, an address asks that resolver, off asks nobody.",
            valueName: "auto|off|ADDRESS"
        )
    )
    var dns = "auto"

    @Option(
        help: ArgumentHelp(
            "An Ethereum node that is believed for names such as alice.eth, with its network (mainnet, sepolia, holesky, 0x5 …) and, where it is not known, the registry of names.",
            valueName: "NETWORK[@REGISTRY]=https://…"
        )
    )
    var ens: String?

    @Option(
        help: ArgumentHelp(
            "A resolver of Handshake names that is believed for names such as alice.voice, by DNS: a node of one's own at best.",
            valueName: "ADDRESS"
        )
    )
    var handshake: String?

    func validate() throws {
        if let ens, !EthereumNetwork.isValid(ens, .names) {
            throw ValidationError("“\(ens)” is no such node; one looks like mainnet=https://node.example")
        }
    }

    func places(_ options: NetworkOptions) throws -> AliasPlaces {
        var places = AliasPlaces()
        places.dns = try validatingDNS()
        places.ens = ens.flatMap { EthereumNetwork($0, .names, post: EthereumOptions.post(options)) }
        places.handshake = try handshake.map { address in
            var configuration = ValidatingResolver.Configuration()
            configuration.forwarders = [address]
            // Another root than that of the DNS, whose keys would prove that there are no such names.
            configuration.anchors = []
            return try AliasOptions.resolver(configuration, at: address)
        }
        return places
    }

    /// Nil when the DNS is not asked.
    private func validatingDNS() throws -> (any ValidatingDNS)? {
        guard dns != "off" else { return nil }
        // Nobody insisted.
        if dns == "auto" { return try? UnboundDNS() }
        var configuration = ValidatingResolver.Configuration()
        configuration.forwarders = [dns]
        return try AliasOptions.resolver(configuration, at: dns)
    }

    private static func resolver(_ configuration: ValidatingResolver.Configuration, at address: String) throws
        -> UnboundDNS
    {
        do {
            return try UnboundDNS(configuration)
        } catch {
            throw CommandFailure(
                .usage,
                error.code == .unavailable
                    ? "The DNS cannot be asked: libunbound is not installed (Debian: libunbound8)."
                    : "“\(address)” is no resolver's address; one looks like 192.0.2.53 or 127.0.0.1@5353."
            )
        }
    }
}
