import ArgumentParser
import DSIPAgent
import DSIPRelay
import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// What `dsip up` and `dsip demo` share: an embedded relay, agents with their pages, and the wait for the signal to end.
enum Household {
    /// Where the page is: `DSIP_WEB`, beside the program, or in the source tree the program was built in.
    static func webFolder() -> String? {
        let environment = ProcessInfo.processInfo.environment["DSIP_WEB"]
        let program = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
        var places = environment.map { [$0] } ?? []
        places += [program.appending(path: "Web").path, program.appending(path: "../share/dsip/Web").path]
        var folder = program
        // .build/<platform>/<configuration>/dsip stands below the package.
        for _ in 0..<4 {
            folder = folder.deletingLastPathComponent()
            places.append(folder.appending(path: "Web").path)
        }
        return places.first { FileManager.default.fileExists(atPath: $0 + "/index.html") }
    }

    /// Starts a relay of our own on loopback.
    /// - Parameter joinsDHT: whether it is a host in a DHT of this machine alone.
    static func relay(in folder: String, port: Int, joinsDHT: Bool = false) async throws -> (
        relay: Relay, running: Relay.Running
    ) {
        var configuration = RelayConfiguration(stateFolder: folder)
        configuration.port = port
        configuration.logLevel = .warning
        configuration.drainSeconds = 1
        configuration.stun.port = 0
        configuration.dht.enabled = joinsDHT
        configuration.dht.listen = ["/ip4/127.0.0.1/tcp/0"]
        let relay = Relay(configuration)
        do {
            return (relay, try await relay.start())
        } catch {
            throw Failure("The relay could not be started: \(error.reason)")
        }
    }

    /// Starts an agent and serves its page.
    static func page(
        _ configuration: AgentConfiguration,
        port: Int,
        logger: Logger
    ) async throws -> (agent: Agent, server: LocalServer) {
        let agent = try Agent(configuration, log: logger)
        try await agent.start()
        let server = try await LocalServer.start(agent: agent, port: port, folder: webFolder(), logger: logger)
        return (agent, server)
    }

    /// Waits for SIGINT or SIGTERM.
    static func untilAskedToStop() async {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        for await _ in signals { return }
    }

    static func say(_ line: String = "") {
        print(line)
        // Programs read these lines through a pipe.
        fflush(nil)
    }

    static var logger: Logger {
        var logger = Logger(label: "dsip") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        return logger
    }
}

/// A failure told in a sentence; the exit status is 1.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
