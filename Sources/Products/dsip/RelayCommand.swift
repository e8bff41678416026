import ArgumentParser
import DSIPRelay
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// `dsip relay`: runs a relay until SIGTERM or SIGINT.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "Run a relay.",
        discussion: RelayCommand.discussion
    )

    @Option(help: "Configuration file: JSON with comments, see docs/relay.example.jsonc. Also DSIP_RELAY_CONFIG.")
    var config: String?

    @Flag(help: "Check the configuration, say what is wrong with it, and end.")
    var check = false

    @OptionGroup(title: "Settings") var settings: RelayOptions

    private static let discussion = """
        Without any setting this is a development relay for this machine. Every setting is an option, a variable and a key of the file: \
        --tls-certificate is DSIP_RELAY_TLS_CERTIFICATE, and certificate in tls. Options come before the environment, the environment \
        before the file. SIGTERM drains and ends; SIGHUP reads the certificate again, which otherwise happens when it changes.
        """

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let configuration: RelayConfiguration
        do {
            configuration = try RelayConfiguration.read(
                file: config ?? environment["DSIP_RELAY_CONFIG"],
                environment: environment,
                options: settings.given
            )
        } catch {
            throw ValidationError(error.reason)
        }
        if check { return print("The configuration is good.") }
        LoggingSystem.bootstrap { label in
            switch configuration.logFormat {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler(label: label)
            }
        }
        let relay = Relay(configuration)
        let running: Relay.Running
        do {
            running = try await relay.start()
        } catch {
            FileHandle.standardError.write(Data("dsip relay: \(error.reason)\n".utf8))
            throw ExitCode.failure
        }
        announce(running)
        try await serve(relay)
    }

    private func announce(_ running: Relay.Running) {
        print("relay \(running.did)")
        print("listening \(running.url)")
        if let root = running.rootPath { print("trust \(root)") }
        if let port = running.stunPort { print("stun \(port)") }
        for address in running.overlay { print("dht \(address)") }
        // The lines are read by programs, through a pipe.
        fflush(nil)
    }

    private func serve(_ relay: Relay) async throws {
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: StopOnShutdown(relay: relay)),
                    .init(service: ReloadOnHangup(relay: relay)),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: Logger(label: "dsip")
            )
        )
        try await group.run()
    }
}

/// Stops a started relay when the process is asked to end.
private struct StopOnShutdown: Service {
    let relay: Relay

    func run() async throws {
        try? await gracefulShutdown()
        await relay.stop()
    }
}

private struct ReloadOnHangup: Service {
    let relay: Relay

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() { relay.reloadCertificate() }
    }
}
