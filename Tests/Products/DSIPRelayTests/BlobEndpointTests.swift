import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import NIOHTTP1
import Testing

@testable import DSIPRelay

@Suite("The blob endpoint", .serialized)
struct BlobEndpointTests {
    private let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }

    /// Somebody with a mailbox and without a connection of its own to the endpoint.
    private func owner(_ harness: RelayHarness, _ name: String = "alice") async throws -> TestDevice {
        let device = try await harness.connected(name + "-phone", of: key(name))
        _ = try await device.ask(
            .mailboxConfig(MailboxConfig(subject: device.identity, admit: .open)),
            of: harness.running.did
        )
        return device
    }

    private func authorization(
        _ device: TestDevice,
        _ body: [UInt8],
        to service: DID,
        size: Int64? = nil,
        sha256: String? = nil
    ) throws -> (name: String, value: String) {
        let put = BlobPut(sha256: sha256 ?? TestBlobs.name(body), size: size ?? Int64(body.count))
        let message = device.mailboxMessage(.blobPut(put), to: service, lifetime: 60)
        let envelope = try message.signed(by: device.key, delegations: device.delegation.map { [$0] } ?? [])
        return ("Authorization", "DSIP \(envelope.compact)")
    }

    private func client(_ harness: RelayHarness) -> GuardedHTTPClient {
        GuardedHTTPClient(
            allows: { _ in true },
            roots: TrustRoots(additionalFiles: harness.running.rootPath.map { [$0] } ?? [])
        )
    }

    private func put(
        _ harness: RelayHarness,
        _ body: [UInt8],
        _ headers: [(name: String, value: String)],
        path: String? = nil
    ) async throws -> GuardedHTTPClient.Response {
        let url = "https://127.0.0.1:\(harness.running.port)/blobs/\(path ?? TestBlobs.name(body))"
        return try await client(harness).send(.init(.PUT, url, headers: headers, body: body), limit: 1 << 20)
    }

    private func get(
        _ harness: RelayHarness,
        _ name: String,
        _ headers: [(name: String, value: String)] = [],
        method: HTTPMethod = .GET
    ) async throws -> GuardedHTTPClient.Response {
        let url = "https://127.0.0.1:\(harness.running.port)/blobs/\(name)"
        return try await client(harness).send(.init(method, url, headers: headers), limit: 1 << 20)
    }

    /// The relay's signed word in a body: type, reason and whether it is a duplicate.
    private func word(_ response: GuardedHTTPClient.Response) throws -> (type: String, reason: String?, duplicate: Bool)
    {
        let envelope = try #require(Envelope(response.body))
        let payload = try JSONValue(parsing: envelope.decodedPayload())
        return (payload["type"]?.string ?? "", payload["reason"]?.string, payload["duplicate"]?.bool ?? false)
    }

    @Test("M§5.6: an upload is kept, answered with a signed accepted, and had by whoever knows its hash")
    func uploaded() async throws {
        let harness = try await RelayHarness()
        let alice = try await owner(harness)
        let response = try await put(harness, bytes, [authorization(alice, bytes, to: harness.running.did)])
        #expect(response.status == 201)
        #expect(try word(response).type == "accepted")
        let again = try await put(harness, bytes, [authorization(alice, bytes, to: harness.running.did)])
        #expect(again.status == 200)
        #expect(try word(again).duplicate)

        let name = TestBlobs.name(bytes)
        let whole = try await get(harness, name)
        #expect(whole.status == 200 && whole.body == bytes)
        #expect(whole.header("ETag") == "\"\(name)\"" && whole.header("Accept-Ranges") == "bytes")
        #expect(whole.header("Cache-Control")?.contains("immutable") == true)
        let part = try await get(harness, name, [("Range", "bytes=100000-100099")])
        #expect(part.status == 206 && part.body == Array(bytes[100_000..<100_100]))
        #expect(part.header("Content-Range") == "bytes 100000-100099/200000")
        let tail = try await get(harness, name, [("Range", "bytes=-10")])
        #expect(tail.status == 206 && tail.body == Array(bytes.suffix(10)))
        let beyond = try await get(harness, name, [("Range", "bytes=200000-")])
        #expect(beyond.status == 416 && beyond.header("Content-Range") == "bytes */200000")
        let other = try await get(harness, name, [("Range", "bytes=0-1"), ("If-Range", "\"other\"")])
        #expect(other.status == 200 && other.body.count == bytes.count)
        #expect(try await get(harness, name, [("If-None-Match", "\"\(name)\"")]).status == 304)
        let head = try await get(harness, name, method: .HEAD)
        #expect(head.status == 200 && head.header("Content-Length") == "200000" && head.body.isEmpty)
        #expect(try await get(harness, String(repeating: "0", count: 64)).status == 404)

        // There after a restart, and still the owner's.
        alice.hangUp()
        try await harness.restart()
        #expect(try await get(harness, name).body == bytes)
        let third = try await put(harness, bytes, [authorization(alice, bytes, to: harness.running.did)])
        #expect(third.status == 200)
        await harness.relay.stop()
    }

    @Test("M§5.6: refusals in their order, each with its status and a signed error, before the body is read")
    func refused() async throws {
        let harness = try await RelayHarness {
            $0.blobs.maximumBlobBytes = 150_000
            $0.messaging.quotaBytes = 200_000
        }
        let alice = try await owner(harness)
        let service = harness.running.did
        let small = Array(bytes.prefix(1000))
        func check(
            _ status: Int,
            _ reason: String,
            _ body: [UInt8],
            _ headers: [(name: String, value: String)],
            path: String? = nil,
            line: Int = #line
        ) async throws {
            let response = try await put(harness, body, headers, path: path)
            #expect(response.status == status, "line \(line)")
            #expect(try word(response).reason == reason, "line \(line)")
        }
        try await check(401, "policy.blocked", small, [])
        try await check(401, "policy.blocked", small, [("Authorization", "DSIP a.b.c")])
        try await check(401, "policy.blocked", small, [("Authorization", "Bearer x")])
        // A delegation without dsip.messaging.
        let mute = try TestDevice("mute", of: key("alice"), at: harness.running, capabilities: ["dsip.signaling"])
        try await check(401, "policy.blocked", small, [authorization(mute, small, to: service)])
        try await check(403, "policy.blocked", small, [authorization(alice, small, to: did("elsewhere"))])
        let stranger = try harness.device("stranger", of: key("stranger"))
        try await check(
            403,
            "transport.unknown-recipient",
            small,
            [authorization(stranger, small, to: service)]
        )
        let name = String(repeating: "b", count: 64)
        try await check(400, "policy.blocked", small, [authorization(alice, small, to: service)], path: name)
        try await check(413, "mailbox.object-too-large", bytes, [authorization(alice, bytes, to: service)])
        // Longer, shorter and other than authorised.
        for size in [999, 1001] as [Int64] {
            try await check(
                400,
                "mailbox.blob-mismatch",
                small,
                [authorization(alice, small, to: service, size: size)]
            )
        }
        var changed = small
        changed[500] ^= 1
        try await check(
            400,
            "mailbox.blob-mismatch",
            changed,
            [authorization(alice, small, to: service)],
            path: TestBlobs.name(small)
        )
        #expect(try await get(harness, TestBlobs.name(small)).status == 404)
        // The quota counts what is there already.
        let half = Array(bytes.prefix(120_000))
        let first = try await put(harness, half, [authorization(alice, half, to: service)])
        #expect(first.status == 201)
        let more = Array(bytes.suffix(100_000))
        let over = try await put(harness, more, [authorization(alice, more, to: service)])
        #expect(over.status == 507 && over.header("Retry-After") != nil)
        #expect(try word(over).reason == "mailbox.quota-exceeded")
        // The same envelope twice is a replay.
        let once = try authorization(alice, small, to: service)
        let taken = try await put(harness, small, [once])
        #expect(taken.status == 201)
        try await check(401, "policy.blocked", small, [once])
        alice.hangUp()
        await harness.relay.stop()
    }

    @Test("M§8.4: a member's mailbox fetches what a message names, checks it, and offers its own copy")
    func replicated() async throws {
        let (first, second) = try await relayPair()
        let people = try await Correspondents(first, second)
        let (alice, bob) = (people.alice, people.bob)
        try await bob.sync()
        let group = try await people.converse()
        let device = alice.device
        let response = try await put(first, bytes, [authorization(device, bytes, to: first.running.did)])
        #expect(response.status == 201)
        let blob = TestBlobs(relay: first.running).reference(bytes)
        // What is not there is not believed.
        let false_ = TestBlobs(relay: first.running).reference(Array("never uploaded".utf8))
        try await alice.say("a picture", in: group, blobs: [blob, false_])
        try await bob.read(1)
        try await second.until("a copy") {
            second.relay.metrics?.contains("dsip_relay_blob_replications_total{outcome=\"stored\"} 1") ?? false
        }
        #expect(try await get(second, blob.sha256).body == bytes)
        #expect(try await get(second, false_.sha256).status == 404)
        // A device that reads the item now is sent to its own mailbox.
        let back = try bob.moved(to: try await second.connected("bob-phone", of: key("bob")), at: second.running)
        back.startOver()
        try await back.sync()
        let manifest = try #require(back.manifests.last)
        #expect(manifest.map(\.uri) == ["https://127.0.0.1:\(second.running.port)/blobs/\(blob.sha256)", false_.uri])
        people.hangUp()
        back.device.hangUp()
        for harness in [first, second] { await harness.relay.stop() }
    }

    @Test("what no owner has and no retention keeps is swept; what somebody has stays")
    func swept() async throws {
        let harness = try await RelayHarness { $0.messaging.retentionSeconds = 100 }
        let alice = try await owner(harness)
        let kept = try await put(harness, bytes, [authorization(alice, bytes, to: harness.running.did)])
        #expect(kept.status == 201)
        let folder = try BlobFolder(path: harness.configuration.stateFolder + "/blobs", maximumBytes: 0)
        let orphan = Array("nobody's".utf8)
        let writer = try folder.begin(size: Int64(orphan.count))
        #expect(try writer.write(orphan))
        try folder.publish(writer, as: TestBlobs.name(orphan))
        await harness.relay.sweepBlobs()
        #expect(try await get(harness, TestBlobs.name(orphan)).status == 200)
        harness.clock.advance(by: 200)
        await harness.relay.sweepBlobs()
        #expect(try await get(harness, TestBlobs.name(orphan)).status == 404)
        #expect(try await get(harness, TestBlobs.name(bytes)).status == 200)
        alice.hangUp()
        await harness.relay.stop()
    }
}
