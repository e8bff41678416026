import DSIPIdentity
import DSIPTransport
import Foundation
import NIOHTTP1
import Testing

@testable import DSIPRelay

/// The built `dsip` beside the test bundle, as a process of its own.
final class RelayProcess {
    static let binary: String? = {
        if let path = ProcessInfo.processInfo.environment["DSIP_TEST_BINARY"] { return path }
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let path = package.appending(path: ".build/debug/dsip").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    let process = Process()
    let running: Relay.Running
    /// What it logs, from `logLevel` on.
    private let log: FileHandle
    private var logged = ""

    /// - Parameters:
    ///   - launcher: a program and its arguments that runs what follows them.
    ///   - seen: where the files of the process are seen from here.
    init(
        state: String,
        _ more: [String] = [],
        port: Int = 0,
        launcher: [String] = [],
        seen: String = "",
        logLevel: String = "critical"
    ) throws {
        let (output, errors) = (Pipe(), Pipe())
        let command =
            launcher + [
                try #require(RelayProcess.binary), "relay", "--port", "\(port)", "--stun-port", "0", "--state", state,
            ]
            + ["--log-level", logLevel] + more
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardOutput = output
        process.standardError = errors
        log = errors.fileHandleForReading
        try process.run()
        var text = ""
        while !text.contains("\nstun ") || !text.hasSuffix("\n") {
            let data = output.fileHandleForReading.availableData
            guard !data.isEmpty else { throw TestDevice.Failure.ended }
            text += String(decoding: data, as: UTF8.self)
        }
        var said: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            if words.count == 2 { said[String(words[0])] = String(words[1]) }
        }
        let address = try RelayAddress(try #require(said["listening"]))
        running = Relay.Running(
            did: try #require(said["relay"].flatMap { DID($0) }),
            port: address.port,
            url: address.description,
            rootPath: said["trust"].map { seen + $0 },
            stunPort: said["stun"].flatMap { Int($0) }
        )
    }

    func page(_ path: String) async throws -> GuardedHTTPClient.Response {
        let client = GuardedHTTPClient(
            allows: { _ in true },
            roots: TrustRoots(additionalFiles: running.rootPath.map { [$0] } ?? [])
        )
        return try await client.send(.init(.GET, "https://127.0.0.1:\(running.port)\(path)"), limit: 1 << 20)
    }

    /// Waits for the log to say `sentence`. What it said before is forgotten.
    func waitForLog(_ sentence: String) throws {
        while !logged.contains(sentence) {
            let data = log.availableData
            guard !data.isEmpty else { throw TestDevice.Failure.ended }
            logged += String(decoding: data, as: UTF8.self)
        }
        logged = ""
    }

    func metric(_ name: String) async throws -> Int {
        let text = String(decoding: try await page("/metrics").body, as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    /// Waits for a line of `/metrics`.
    func wait(for line: String) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let text = String(decoding: try await page("/metrics").body, as: UTF8.self)
            if text.split(separator: "\n").contains(Substring(line)) { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestDevice.Failure.timeout(line)
    }

    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// - Returns: the exit status.
    func terminate() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
