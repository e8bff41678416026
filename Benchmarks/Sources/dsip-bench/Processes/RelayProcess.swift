import Foundation

/// A real `dsip relay` over a state folder of its own, with its rate limits off: one machine plays thousands.
final class RelayProcess {
    let port: Int
    /// Where the relay keeps its certificate, `relay.pem` and `relay-key.pem`, and the root that signed it, `ca.pem`.
    var certificates: String { state + "/tls" }
    let child: Child
    let state: String

    /// - Parameters:
    ///   - folder: an existing folder for configuration and state, used again by a relay started over it later.
    ///   - port: 0 for any free one.
    ///   - speaksQUIC: `quic/1.0` as well, at the UDP port of the same number.
    init(_ dsip: String, folder: String, port: Int = 0, speaksQUIC: Bool = false) throws {
        state = folder + "/state"
        child = try Child(try RelayProcess.command(dsip, folder: folder, port: port, speaksQUIC: speaksQUIC))
        let url = try child.line("listening ")
        guard let port = URLComponents(string: url)?.port else { throw BenchmarkError("the relay listens at \(url)") }
        self.port = port
    }

    static func command(_ dsip: String, folder: String, port: Int, speaksQUIC: Bool = false) throws -> [String] {
        let limits = [
            "envelopes-per-minute", "invites-per-minute", "connections", "connections-per-address",
            "connects-per-minute",
        ].map { "\"\($0)\": 0" }.joined(separator: ", ")
        let configuration = """
            {
                "host": "127.0.0.1", "port": \(port), "state": "\(folder)/state", "limits": {\(limits)},
                "messaging": {"messages-per-minute": 0}, "quic": {"enabled": \(speaksQUIC)},
                "stun": {"enabled": true, "port": 0}, "log": {"level": "critical"}
            }
            """
        let path = folder + "/relay.jsonc"
        try configuration.write(toFile: path, atomically: true, encoding: .utf8)
        return [dsip, "relay", "--config", path]
    }

    func end() { child.end() }
}

/// A folder that goes when the benchmark is done.
func withTemporaryFolder<R>(_ body: (String) async throws -> R) async throws -> R {
    let path = NSTemporaryDirectory() + "dsip-bench-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}
