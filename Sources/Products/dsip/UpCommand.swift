import ArgumentParser
import DSIPAgent
import DSIPRelay
import Foundation

/// `dsip up`: the agent and its page, with a relay of its own unless one is named.
struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Open your phone: the agent and its page.",
        discussion: """
            Prints the address of the page; it carries the key to it, so keep it to yourself. Without --relay a relay is started in the \
            same process, for calls on this machine. Ctrl-C ends.
            """
    )

    @Option(help: "The relay you are reached at, wss://….")
    var relay: String?

    @Option(help: "Port of the page on this machine.")
    var port = 7101

    @Option(help: "Port of the embedded relay.")
    var relayPort = 7443

    @Option(help: "Folder for keys, contacts and the call log. Also DSIP_STATE. (default: ~/.local/share/dsip)")
    var state: String?

    @Option(help: "Your name, for the identity made on the first run.")
    var name = NSUserName()

    @Option(help: "What this device is called.")
    var device = ProcessInfo.processInfo.hostName

    @Option(help: "PEM file of a further root to trust, such as a development relay's.")
    var root: [String] = []

    @Flag(help: "Make no identity: this device waits to be added to one.")
    var pair = false

    @Flag(help: "Read the wallet's passphrase from the variable DSIP_PASSPHRASE.")
    var passphrase = false

    func run() async throws {
        let state = StateOptions.folder(self.state)
        let holder: StateHolder
        switch try await StateHolder.takePatiently(state) {
        case .mine(let mine): holder = mine
        case .agent(let running):
            throw Failure(
                "An agent is already up on \(state) (process \(running.process)). Open its page: \(running.page)"
            )
        case .other:
            throw Failure("Another program is using \(state). Wait for it to end, or choose another with --state.")
        }
        var url = relay ?? ""
        var roots = root
        var embedded: Relay?
        if relay == nil {
            let (relay, running) = try await Household.relay(in: state + "/relay", port: relayPort)
            url = running.url
            roots += running.rootPath.map { [$0] } ?? []
            embedded = relay
        }
        var configuration = AgentConfiguration(
            stateFolder: state,
            relay: url,
            trustRoots: roots,
            displayName: name,
            deviceName: device,
            createsIdentity: !pair
        )
        if passphrase { configuration.passphrase = ProcessInfo.processInfo.environment["DSIP_PASSPHRASE"] }
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
