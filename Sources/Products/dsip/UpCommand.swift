import ArgumentParser
import DSIPAgent
import DSIPRelay
import DSIPTransport
import Foundation

/// `dsip up`: the agent and its page, with a relay of its own unless one is named.
struct UpCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Open your phone: the agent and its page.",
        discussion: """
            Prints the address of the page; it carries the key to it, so keep it to yourself. When no relay is named, one is started in the \
            same process, for calls on this machine. A wallet that is locked with a passphrase asks for it (or reads it from the file that \
            \(SecretInput.walletVariable) names). Ctrl-C ends.
            """
    )

    @Option(help: "Port of the page on this machine.")
    var port = 7101

    @Option(help: "Port of the embedded relay.")
    var relayPort = 7443

    @Option(help: "Your name, for the identity made on the first run.")
    var name = NSUserName()

    @Option(help: "What this device is called.")
    var device = Host.name

    @Flag(help: "Make no identity: this device waits to be added to one.")
    var pair = false

    @Flag(help: "Lock a new wallet with a passphrase.")
    var passphrase = false

    @OptionGroup var dht: DHTOptions
    @OptionGroup var pkarr: PkarrOptions
    @OptionGroup var aliases: AliasOptions
    @OptionGroup var ethereum: EthereumOptions
    @OptionGroup var state: StateOptions

    func perform() async throws {
        let folder = state.folder
        let holder: StateHolder
        switch try await StateHolder.takePatiently(folder) {
        case .mine(let mine): holder = mine
        case .agent(let running):
            throw CommandFailure(
                .failed,
                "An agent is already up on \(folder) (process \(running.process)). Open its page: \(running.page)"
            )
        case .other:
            throw CommandFailure(
                .failed,
                "Another program is using \(folder). Wait for it to end, or choose another with --state."
            )
        }
        let named = try state.network.wantedRelay()
        let secret = try state.walletPassphrase(isNew: passphrase)
        var roots = state.network.roots.additionalFiles
        var url = named ?? ""
        var embedded: Relay?
        if named == nil {
            let (relay, running) = try await Household.relay(in: folder + "/relay", port: relayPort) {
                dht.configure(&$0)
            }
            url = running.url
            roots += running.rootPath.map { [$0] } ?? []
            embedded = relay
        }
        var configuration = AgentConfiguration(
            stateFolder: folder,
            relay: url,
            trustRoots: roots,
            displayName: name,
            deviceName: device,
            passphrase: secret,
            allowedAddresses: try state.network.allowed(with: url),
            createsIdentity: !pair
        )
        configuration.aliases = try aliases.places(state.network)
        configuration.pkarr = pkarr.pkarr
        configuration.ethereum = ethereum.networks(state.network)
        configuration.dht = try embedded?.overlay.map { .shared($0) } ?? dht.own()
        let (agent, server) = try await Household.page(configuration, port: port, logger: Household.logger)
        try holder.announce(page: server.url)
        Household.say("relay \(url)")
        Household.say("page  \(server.url)")
        await Household.untilAskedToStop()
        await agent.stop()
        await server.stop()
        await embedded?.stop()
        holder.withdraw()
    }
}
