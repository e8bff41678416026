import DSIPIdentity
import DSIPTransport
import Foundation
import Logging
import NIOHTTP1
import Testing

@testable import DSIPRelay

/// A relay in a folder of its own, which can be stopped and started again over the same state.
final class RelayHarness {
    let folder: TemporaryFolder
    let clock = SharedClock()
    var configuration: RelayConfiguration
    private(set) var relay: Relay
    private(set) var running: Relay.Running

    init(_ adjust: (inout RelayConfiguration) -> Void = { _ in }) async throws {
        folder = try TemporaryFolder()
        var configuration = RelayConfiguration(stateFolder: folder.path + "/state")
        configuration.port = 0
        configuration.stun.port = 0
        configuration.drainSeconds = 2
        configuration.logLevel = .critical
        adjust(&configuration)
        self.configuration = configuration
        relay = RelayHarness.make(configuration, clock)
        running = try await relay.start()
    }

    private static func make(_ configuration: RelayConfiguration, _ clock: SharedClock) -> Relay {
        Relay(
            configuration,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            clock: { clock.now }
        )
    }

    func restart() async throws {
        await relay.stop()
        relay = RelayHarness.make(configuration, clock)
        running = try await relay.start()
    }

    func device(_ name: String, of owner: SigningKey? = nil) throws -> TestDevice {
        try TestDevice(name, of: owner, at: running, clock: clock)
    }

    func connected(_ name: String, of owner: SigningKey? = nil) async throws -> TestDevice {
        let device = try device(name, of: owner)
        try await device.connect()
        return device
    }

    func request(
        _ method: HTTPMethod = .GET,
        _ path: String,
        body: [UInt8]? = nil
    ) async throws -> GuardedHTTPClient.Response {
        let client = GuardedHTTPClient(
            allows: { _ in true },
            roots: TrustRoots(additionalFiles: running.rootPath.map { [$0] } ?? [])
        )
        return try await client.send(
            .init(method, "https://127.0.0.1:\(running.port)\(path)", body: body),
            limit: 1 << 20
        )
    }

    /// The value of one line of `/metrics`.
    func metric(_ name: String) -> Int {
        let line = (relay.metrics ?? "").split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    func until(_ what: String, _ holds: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(20)
        while !holds() {
            guard ContinuousClock.now < end else { throw TestDevice.Failure.timeout(what) }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
