import DSIPIdentity
import DSIPSignaling
import Foundation
import Testing

@testable import DSIPTransport

/// Runs `Interop/ws_client.py` against a server of ours; `Interop/ws.sh` prepares the Python environment and calls this.
@Suite struct WebSocketInteropTests {
    static let python = ProcessInfo.processInfo.environment["DSIP_INTEROP_PYTHON"]

    @Test(
        "a WebSocket library that nobody here wrote agrees on framing, limits, closing and TLS",
        .enabled(if: python != nil)
    )
    func websockets() async throws {
        let recorder = Recorder()
        let person = Person()
        recorder.onReceive { connection, message in connection.send(message.envelope.bytes) }
        let server = try await SignalingServer.start(Loopback.service(recorder), identity: Loopback.identity)
        let hellos = lines((0..<20).map { _ in person.hello().bytes }, "hellos")
        let envelopes = lines((0..<20).map { person.bye(to: person.device.did, padding: $0 * 50).bytes }, "envelopes")
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Interop/ws_client.py")
        let process = Process()
        process.executableURL = URL(filePath: try #require(Self.python))
        process.arguments = [script.path, "\(server.port)", Loopback.authority.rootPath, hellos, envelopes]
        let status = try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Int32, any Error>) in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        #expect(status == 0)
        await server.stop()
    }

    private func lines(_ envelopes: [[UInt8]], _ name: String) -> String {
        let path = Loopback.folder + "/" + name
        let text = envelopes.map { String(decoding: $0, as: UTF8.self) + "\n" }.joined()
        _ = FileManager.default.createFile(atPath: path, contents: Data(text.utf8))
        return path
    }
}
