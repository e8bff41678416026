import DSIPTransport
import Foundation
import NIOHTTP1
import Testing

@testable import DSIPRelay

@Suite("Certificates of a running relay", .serialized)
struct CertificateReloadTests {
    /// Whether the relay is trusted by who trusts this authority alone.
    private func isTrusted(_ relay: RelayProcess, by authority: DevelopmentAuthority) async -> Bool {
        let client = GuardedHTTPClient(
            allows: { _ in true },
            roots: TrustRoots(additionalFiles: [authority.rootPath])
        )
        let response = try? await client.send(
            .init(.GET, "https://127.0.0.1:\(relay.running.port)/healthz"),
            limit: 4096
        )
        return response?.status == 200
    }

    @Test(
        "SIGHUP makes the process use the new certificate at once, for new connections; one it cannot use leaves the old",
        .enabled(if: RelayProcess.binary != nil)
    )
    func hangup() async throws {
        let folder = try TemporaryFolder()
        let (old, new) = (
            try DevelopmentAuthority(folder: folder.path + "/old", now: unixNow()),
            try DevelopmentAuthority(folder: folder.path + "/new", now: unixNow())
        )
        let (certificate, key) = (folder.path + "/chain.pem", folder.path + "/key.pem")
        func install(_ authority: DevelopmentAuthority) throws {
            try? FileManager.default.removeItem(atPath: key)
            try FileManager.default.copyItem(atPath: authority.keyPath, toPath: key)
            try Data(contentsOf: URL(filePath: authority.certificatePath)).write(to: URL(filePath: certificate))
        }
        try install(old)
        let relay = try RelayProcess(
            state: folder.path + "/state",
            ["--tls-certificate", certificate, "--tls-key", key],
            logLevel: "notice"
        )
        defer { relay.kill() }
        #expect(await isTrusted(relay, by: old))
        #expect(await !isTrusted(relay, by: new))

        try Data("-----BEGIN CERTIFICATE-----\nhalf".utf8).write(to: URL(filePath: certificate))
        Foundation.kill(relay.process.processIdentifier, SIGHUP)
        try relay.waitForLog("the old one stays")
        #expect(await isTrusted(relay, by: old))

        try install(new)
        Foundation.kill(relay.process.processIdentifier, SIGHUP)
        // Not the message of the watcher, which notices by itself within half a minute.
        try relay.waitForLog("The certificate was read again")
        #expect(await isTrusted(relay, by: new))
        #expect(await !isTrusted(relay, by: old))
    }
}
