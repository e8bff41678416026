import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import Unbound

/// Who is asked for aliases in the DNS.
struct DNSOptions: ParsableArguments {
    @Option(
        name: .customLong("dns"),
        help: ArgumentHelp(
            "Aliases are looked for in the DNS too, and DNSSEC is validated here: auto asks from the root on where libunbound is installed, an address asks that resolver, off asks nobody.",
            valueName: "auto|off|ADDRESS"
        )
    )
    var dns = "auto"

    /// Nil when the DNS is not asked.
    func resolver() throws -> (any ValidatingDNS)? {
        guard dns != "off" else { return nil }
        var configuration = ValidatingResolver.Configuration()
        if dns != "auto" { configuration.forwarders = [dns] }
        do {
            return try UnboundDNS(configuration)
        } catch {
            // Nobody insisted.
            if dns == "auto" { return nil }
            throw CommandFailure(
                .usage,
                error.code == .unavailable
                    ? "The DNS cannot be asked: libunbound is not installed (Debian: libunbound8)."
                    : "“\(dns)” is no resolver's address; one looks like 192.0.2.53 or 127.0.0.1@5353."
            )
        }
    }
}
