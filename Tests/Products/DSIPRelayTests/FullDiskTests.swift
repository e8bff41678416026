import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Testing

@testable import DSIPRelay

/// A small file system of its own, mounted where only the programs run in it see it.
private final class SmallDisk {
    static let isPermitted: Bool = {
        guard let disk = try? SmallDisk(kilobytes: 64) else { return false }
        return disk.holds
    }()

    let path: String
    private let folder: TemporaryFolder
    private let keeper = Process()
    private let holds: Bool

    init(kilobytes: Int) throws {
        folder = try TemporaryFolder()
        path = folder.path + "/disk"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let output = Pipe()
        keeper.executableURL = URL(filePath: "/usr/bin/unshare")
        keeper.arguments = [
            "-m", "--propagation", "private", "sh", "-c",
            #"mount -t tmpfs -o "size=$1" tmpfs "$0" && echo ready && exec sleep 600"#, path, "\(kilobytes)k",
        ]
        keeper.standardOutput = output
        keeper.standardError = FileHandle.nullDevice
        try keeper.run()
        holds = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self).hasPrefix("ready")
    }

    deinit { if keeper.isRunning { keeper.terminate() } }

    var launcher: [String] { ["/usr/bin/nsenter", "-t", "\(keeper.processIdentifier)", "-m", "--"] }
    /// Where its files are seen from outside.
    var seen: String { "/proc/\(keeper.processIdentifier)/root" }
}

@Suite("A full file system", .serialized)
struct FullDiskTests {
    @Test(
        "a relay on a full disk refuses, says so, and has lost nothing of what it accepted, also after kill -9",
        .enabled(if: RelayProcess.binary != nil),
        .enabled(if: SmallDisk.isPermitted, "this system does not let a test mount a file system of its own")
    )
    func full() async throws {
        let disk = try SmallDisk(kilobytes: 2048)
        // Something to make room with, as an operator would.
        let ballast = disk.seen + disk.path + "/ballast"
        try Data(repeating: 1, count: 512 << 10).write(to: URL(filePath: ballast))
        func start() throws -> RelayProcess {
            try RelayProcess(
                state: disk.path + "/state",
                ["--limits-envelopes-per-minute", "0", "--hold-per-recipient", "200"],
                launcher: disk.launcher,
                seen: disk.seen
            )
        }
        let bob = key("bob")
        var relay = try start()
        defer { relay.kill() }
        let phone = try TestDevice("bob-phone", of: bob, at: relay.running)
        try await phone.connect()
        phone.hangUp()
        try await relay.wait(for: "dsip_relay_bound_devices 0")
        let alice = try TestDevice("alice", at: relay.running)
        try await alice.connect()
        var sent: [ULID] = []
        let text = JSONValue.string(String(repeating: "x", count: 30_000))
        for _ in 0..<80 {
            sent.append(
                try await alice.say(Info(about: "test:padding", data: ["text": text]), to: bob.did, session: ulid())
            )
        }
        let end = ContinuousClock.now + .seconds(60)
        while try await relay.metric("dsip_relay_held_total") + alice.received.count < sent.count {
            guard ContinuousClock.now < end else { throw TestDevice.Failure.timeout("an answer to each") }
            try await Task.sleep(for: .milliseconds(50))
        }
        let refused = Set(
            alice.received.compactMap { message -> ULID? in
                guard case .error(let report) = message.body.body, report.reason == .transportRoutingRefused else {
                    return nil
                }
                return report.inReplyTo
            }
        )
        let accepted = sent.filter { !refused.contains($0) }
        #expect(!refused.isEmpty && !accepted.isEmpty)
        #expect(try await relay.page("/healthz").status == 503)

        relay.kill()
        alice.hangUp()
        try FileManager.default.removeItem(atPath: ballast)
        relay = try start()
        let back = try TestDevice("bob-phone", of: bob, at: relay.running)
        try await back.connect()
        for id in accepted { #expect(try await back.next(.info).body.id == id) }
        try await relay.wait(for: "dsip_relay_held_bytes 0")
        #expect(back.received.isEmpty)
        // Room again: accepted again.
        back.hangUp()
        try await relay.wait(for: "dsip_relay_bound_devices 0")
        let again = try TestDevice("alice", at: relay.running)
        try await again.connect()
        // The journal may need the room for a moment still.
        let last = ContinuousClock.now + .seconds(60)
        while try await relay.metric("dsip_relay_held_total") == 0 {
            guard ContinuousClock.now < last else { throw TestDevice.Failure.timeout("room again") }
            try await again.say(Bye(.userHangup), to: bob.did, session: ulid())
            try await Task.sleep(for: .milliseconds(500))
        }
        #expect(try await relay.page("/healthz").status == 200)
        again.hangUp()
    }

    @Test(
        "mailboxes on a full disk refuse what they cannot keep, and lose nothing that they accepted",
        .enabled(if: RelayProcess.binary != nil),
        .enabled(if: SmallDisk.isPermitted, "this system does not let a test mount a file system of its own")
    )
    func fullMailboxes() async throws {
        let disk = try SmallDisk(kilobytes: 4096)
        let ballast = disk.seen + disk.path + "/ballast"
        try Data(repeating: 1, count: 1 << 20).write(to: URL(filePath: ballast))
        func start(port: Int = 0) throws -> RelayProcess {
            try RelayProcess(
                state: disk.path + "/state",
                ["--limits-envelopes-per-minute", "0", "--messaging-messages-per-minute", "0"],
                port: port,
                launcher: disk.launcher,
                seen: disk.seen
            )
        }
        var relay = try start()
        defer { relay.kill() }
        let people = try await Correspondents(at: relay.running, and: relay.running)
        try await people.bob.sync()
        let group = try await people.converse()
        people.bob.device.hangUp()
        var alice = people.alice
        let text = String(repeating: "x", count: 15_000)
        var (accepted, refused): ([Int], EncodedBytes?) = ([], nil)
        for n in 0..<200 where refused == nil {
            let mls = try alice.encrypt("\(n) \(text)", in: group)
            do {
                alice.ownSeq(
                    try await alice.device.ask(alice.deposit(mls, in: group), of: relay.running.did).seq!,
                    in: group
                )
                accepted.append(n)
            } catch let error as TestDevice.Refused {
                #expect(error.reason == .mailboxQuotaExceeded && (error.retryAfter ?? 0) > 0)
                refused = mls
            }
        }
        let pending = try #require(refused)
        #expect(!accepted.isEmpty)
        #expect(try await relay.page("/healthz").status == 503)
        let port = relay.running.port
        relay.kill()
        alice.device.hangUp()
        try FileManager.default.removeItem(atPath: ballast)
        relay = try start(port: port)
        alice = try alice.moved(to: try await Correspondents.phone("alice", at: relay.running), at: relay.running)
        // Room again: the same bytes are taken now.
        _ = try await alice.device.ask(alice.deposit(pending, in: group), of: relay.running.did)
        let bob = try people.bob.moved(to: try await Correspondents.phone("bob", at: relay.running), at: relay.running)
        try await bob.sync()
        #expect(bob.texts.map { Int($0.prefix { $0 != " " }) } == accepted + [accepted.count])
        #expect(try await relay.page("/healthz").status == 200)
        for device in [alice.device, bob.device] { device.hangUp() }
    }
}
