import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import DSIPRelay
import Libp2p

/// How `dsip up` takes part in the DHT.
struct DHTOptions: ParsableArguments {
    enum Mode: String, ExpressibleByArgument, CaseIterable { case client, server, off }

    @Option(
        name: .customLong("dht"),
        help: "client asks the DHT in which people are found, server is a host of it, off leaves that to the relay."
    )
    var mode = Mode.client

    @Option(name: .customLong("dht-listen"), help: "With --dht server: a TCP address to listen on; can be repeated.")
    var listen: [String] = []

    @Option(
        name: .customLong("dht-bootstrap"),
        help:
            "A host to begin with, besides those that the relay names: /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…; can be repeated."
    )
    var bootstrap: [String] = []

    @Flag(
        help:
            "Meet others on your own network by multicast DNS, without any host to begin with. Tells it that you are there."
    )
    var lan = false

    private var listening: [String] { listen.isEmpty ? ["/ip4/0.0.0.0/tcp/4001"] : listen }

    func validate() throws {
        if mode == .off, lan || !bootstrap.isEmpty {
            throw ValidationError("--lan and --dht-bootstrap need the DHT; leave --dht off out.")
        }
        if mode != .server, !listen.isEmpty { throw ValidationError("--dht-listen goes with --dht server.") }
    }

    /// With a host of the agent's own.
    func own() throws -> AgentConfiguration.DHT {
        guard mode != .off else { return .off }
        return .own(
            Overlay.Configuration(
                listen: try mode == .server ? listening.map(DHTCommand.address) : [],
                bootstrap: try bootstrap.map(DHTCommand.host),
                local: lan ? Overlay.LocalNetwork() : nil
            )
        )
    }

    /// With the host of a relay in this process.
    func configure(_ relay: inout RelayConfiguration) {
        relay.dht.enabled = mode != .off
        relay.dht.listen = mode == .server ? listening : []
        relay.dht.bootstrap = bootstrap
        relay.dht.local = lan
    }
}
