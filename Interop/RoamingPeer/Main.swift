import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Synchronization

/// Both ends of a signaling connection for `Interop/roaming.sh`, which changes the network under it.
///
/// ```
/// roaming-peer serve FOLDER HOST     listens on port 7443 of both bindings, and returns what it gets to whom it came from
/// roaming-peer stay FOLDER HOST N    connects, sends N envelopes, ten a second, and says what came of them
/// ```
@main
struct Main {
    static let port = 7443

    static func main() async throws {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "serve" where arguments.count == 4: try await serve(folder: arguments[2], host: arguments[3])
        case "stay" where arguments.count == 5:
            try await stay(folder: arguments[2], host: arguments[3], count: Int(arguments[4]) ?? 100)
        default: say("usage: see Interop/RoamingPeer/Main.swift")
        }
    }

    static func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
    static func now() -> Int64 { Int64(Date().timeIntervalSince1970) }

    static func serve(folder: String, host: String) async throws {
        let authority = try DevelopmentAuthority(folder: folder, names: [host], now: now())
        let identity = try TLSIdentity(certificatePath: authority.certificatePath, keyPath: authority.keyPath)
        let configuration = SignalingService.Configuration(key: SigningKey(), clock: { now() })
        let service = SignalingService(configuration, source: SelfCertifyingSource(), delegate: Returning())
        _ = try await SignalingServer.start(service, identity: identity, host: host, port: port)
        let listener = try await QUICListener.start(service, identity: identity, host: host, port: port)
        service.advertise(RelayCapabilities(other: [QUICBinding.capability: .int(Int64(listener.port))]))
        say("ready")
        while readLine() != nil {}
    }

    static func stay(folder: String, host: String, count: Int) async throws {
        let key = SigningKey()
        var configuration = SignalingClient.Configuration(
            RelayAddress(host: host, port: port),
            key: key,
            clock: { now() }
        )
        configuration.roots = TrustRoots(additionalFiles: [folder + "/ca.pem"])
        let client = SignalingClient(configuration, source: SelfCertifyingSource())
        let run = Task { await client.run() }
        let journal = Mutex(Journal())
        let start = ContinuousClock.now
        let listening = Task {
            for await event in client.events {
                switch event {
                case .state(.connected(let relay)):
                    say("connected \(relay.binding) after \(ContinuousClock.now - start)")
                case .state(.waiting(_, let error)): say("lost: \(error)")
                case .message(let message):
                    let gap = journal.withLock { $0.received(message.body.id) }
                    if gap > .milliseconds(500) { say("silence of \(gap)") }
                default: break
                }
            }
        }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<count {
            let id = ULID(milliseconds: UInt64(now()) * 1000, using: &generator)
            let stamp = Message.Stamp(id: id, from: key.did, issuedAt: now(), version: .core)
            let bye = try Message.inSession(id, stamp, to: key.did, Bye(.userHangup)).signed(by: key)
            if (try? await client.send(bye)) != nil { journal.withLock { $0.sent += 1 } }
            try await Task.sleep(for: .milliseconds(100))
        }
        try await Task.sleep(for: .seconds(2))
        client.close()
        await run.value
        listening.cancel()
        let (sent, received, longest) = journal.withLock { ($0.sent, $0.ids.count, $0.longest) }
        say("sent \(sent) received \(received) longest silence \(longest)")
    }

    private struct Journal {
        var sent = 0
        var ids: Set<ULID> = []
        var longest = Duration.zero
        var last: ContinuousClock.Instant?

        /// - Returns: how long nothing had come before this.
        mutating func received(_ id: ULID) -> Duration {
            let gap = last.map { ContinuousClock.now - $0 } ?? .zero
            last = .now
            longest = max(longest, gap)
            ids.insert(id)
            return gap
        }
    }
}

/// Sends every envelope back over the connection on which its sender is.
final class Returning: SignalingServerDelegate {
    private let lines = Mutex<[DID: SignalingConnection]>([:])

    func bound(_ connection: SignalingConnection, _ hello: Verified<Message>, replacing: SignalingConnection.Device?) {
        let old = lines.withLock { $0.updateValue(connection, forKey: hello.body.from) }
        Main.say("hello over \(connection.remoteAddress)")
        if let old, old !== connection { old.close(.goingAway) }
    }

    func received(_ connection: SignalingConnection, _ message: Verified<Message>) {
        lines.withLock { $0[message.body.from] }?.send(message.envelope.bytes)
    }

    func closed(_ connection: SignalingConnection, _ device: SignalingConnection.Device?) {}
}
