import Crypto
import DSIPIdentity
import DSIPSignaling
import DSIPTransport
import Encoding
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import Testing

@testable import DSIPRelay

@Suite("Relay services", .serialized)
struct ServiceTests {
    @Test("names are registered by a signed request, found by WebFinger and hosted as did:web, and calls reach them")
    func names() async throws {
        let port = try freePort()
        let harness = try await RelayHarness {
            $0.port = port
            $0.hostname = "localhost:\(port)"
        }
        #expect(harness.running.did.string == "did:web:localhost%3A\(port)")
        let alice = key("alice")
        let request = NameRequest(
            id: ulid(),
            from: alice.did,
            host: "localhost:\(port)",
            name: "alice",
            hosted: true,
            issuedAt: unixNow(),
            expiresAt: unixNow() + 60
        )
        let created = try await harness.request(.POST, "/names", body: request.signed(by: alice).bytes)
        #expect(created.status == 201)
        let hosted = try #require(DID("did:web:localhost%3A\(port):users:alice"))
        #expect(try JSONValue(parsing: created.body)["did"]?.string == hosted.string)

        let finger = try await harness.request(
            .GET,
            "/.well-known/webfinger?resource=acct:alice@localhost%3A\(port)"
        )
        #expect(finger.status == 200 && finger.header("access-control-allow-origin") == "*")
        let found = try WebFinger.parse(finger.body)
        #expect(found.did == hosted && found.relay == "wss://localhost:\(port)/dsip")
        #expect(
            try await harness.request(.GET, "/.well-known/webfinger?resource=acct:bob@localhost%3A\(port)").status
                == 404
        )
        #expect(
            try await harness.request(.GET, "/.well-known/webfinger?resource=acct:alice@other.example").status == 404
        )
        #expect(try await harness.request(.GET, "/.well-known/webfinger").status == 400)

        let document = try await harness.request(.GET, "/users/alice/did.json")
        #expect(try DIDDocument(parsing: document.body, expecting: hosted).signalingEndpoint == found.relay)
        let own = try await harness.request(.GET, "/.well-known/did.json")
        #expect(try DIDDocument(parsing: own.body, expecting: harness.running.did).verificationMethods.count == 1)

        // The relay verifies the hosted identity from its own store, with no request to anyone.
        let owner = SigningKey(kid: DIDURL(did: hosted, fragment: alice.publicKey.multibase), key: privateKey("alice"))
        let source = FixedSource([
            try DIDDocument(parsing: own.body, expecting: harness.running.did),
            try DIDDocument(parsing: document.body, expecting: hosted),
        ])
        let phone = try TestDevice("alice-phone", of: owner, at: harness.running, clock: harness.clock, source: source)
        try await phone.connect()
        let bob = try TestDevice("bob", at: harness.running, clock: harness.clock, source: source)
        try await bob.connect()
        try await bob.invite(hosted)
        _ = try await phone.next(.invite)

        // A request for someone else's name, and one that is no envelope.
        let mallory = key("mallory")
        var forged = request
        forged.id = ulid()
        forged.from = mallory.did
        #expect(try await harness.request(.POST, "/names", body: forged.signed(by: mallory).bytes).status == 409)
        #expect(try await harness.request(.POST, "/names", body: Array("{}".utf8)).status == 400)
        await harness.relay.stop()
    }

    @Test("a relay without hostname is a did:key and registers no names")
    func withoutHostname() async throws {
        let harness = try await RelayHarness()
        #expect(harness.running.did.method == "key")
        #expect(try await harness.request(.GET, "/.well-known/did.json").status == 404)
        #expect(try await harness.request(.POST, "/names", body: Array("{}".utf8)).status == 404)
        let did = harness.running.did
        try await harness.restart()
        #expect(harness.running.did == did)
        await harness.relay.stop()
    }

    @Test("registrations from one address are limited")
    func nameLimit() async throws {
        let port = try freePort()
        let harness = try await RelayHarness {
            $0.port = port
            $0.hostname = "localhost:\(port)"
            $0.names.registrationsPerDayPerAddress = 1
        }
        let alice = key("alice")
        func register(_ name: String) async throws -> GuardedHTTPClient.Response {
            let request = NameRequest(
                id: ulid(),
                from: alice.did,
                host: "localhost:\(port)",
                name: name,
                issuedAt: unixNow(),
                expiresAt: unixNow() + 60
            )
            return try await harness.request(.POST, "/names", body: request.signed(by: alice).bytes)
        }
        #expect(try await register("one").status == 201)
        let limited = try await register("two")
        #expect(limited.status == 429 && limited.header("retry-after") != nil)
        await harness.relay.stop()
    }

    @Test("health, metrics and the front page answer, and nothing else does")
    func pages() async throws {
        let harness = try await RelayHarness()
        let alice = try await harness.connected("alice")
        let health = try await harness.request(.GET, "/healthz")
        #expect(health.status == 200 && String(decoding: health.body, as: UTF8.self).contains("ok"))
        let metrics = try await harness.request(.GET, "/metrics")
        let text = String(decoding: metrics.body, as: UTF8.self)
        #expect(metrics.header("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(
            text.contains("dsip_relay_bound_devices 1\n") && text.contains("# TYPE dsip_relay_commit_seconds histogram")
        )
        #expect(!text.contains(String(alice.did.string.suffix(20))) && !text.contains("127.0.0.1"))
        let root = try await harness.request(.GET, "/")
        #expect(String(decoding: root.body, as: UTF8.self).contains(harness.running.did.string))
        #expect(try await harness.request(.GET, "/nothing").status == 404)
        #expect(try await harness.request(.GET, "/dsip").status == 404)
        await harness.relay.stop()
    }

    @Test("it answers STUN with the address it saw, and other datagrams not at all")
    func stun() async throws {
        let harness = try await RelayHarness()
        let port = try #require(harness.running.stunPort)
        let transaction = (0..<12).map { UInt8($0) }
        let (answer, own) = try exchange([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42] + transaction, port: port)
        let reply = try #require(answer)
        #expect(reply[0..<2] == [1, 1] && reply[8..<20] == transaction[...])
        // XOR-MAPPED-ADDRESS: the port XORed with the cookie's upper half.
        #expect(reply[20..<22] == [0, 0x20])
        #expect((UInt16(reply[26]) << 8 | UInt16(reply[27])) ^ 0x2112 == own)
        #expect(try exchange(Array("hello".utf8), port: port).answer == nil)
        await harness.relay.stop()
    }

    @Test("stopping closes every connection with a reason to come back, and frees port and folder")
    func drain() async throws {
        let harness = try await RelayHarness()
        var devices: [TestDevice] = []
        for n in 0..<20 { devices.append(try await harness.connected("device-\(n)")) }
        let start = ContinuousClock.now
        await harness.relay.stop()
        #expect(ContinuousClock.now - start < .seconds(30))
        for device in devices { try await device.waitForState { if case .waiting = $0 { true } else { false } } }
        for device in devices { device.hangUp() }
        try await harness.restart()
        try await harness.connected("device-1")
        await harness.relay.stop()
    }

    @Test("two relays do not share a state folder, and a taken port is said so")
    func exclusive() async throws {
        let harness = try await RelayHarness()
        var second = harness.configuration
        await #expect(throws: RelayError(.storage, "")) { try await Relay(second).start() }
        second.stateFolder += "-2"
        second.port = harness.running.port
        await #expect(throws: RelayError(.address, "")) { try await Relay(second).start() }
        await harness.relay.stop()
    }

    // MARK: Helpers

    private func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        let bound = try SocketAddress(ipAddress: "127.0.0.1", port: 0).withSockAddr { address, size in
            bind(descriptor, address, socklen_t(size))
        }
        try #require(bound == 0)
        return Int(localPort(descriptor))
    }

    private func exchange(_ datagram: [UInt8], port: Int) throws -> (answer: [UInt8]?, own: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 0, tv_usec: 500_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let connected = try SocketAddress(ipAddress: "127.0.0.1", port: port).withSockAddr { address, size in
            connect(descriptor, address, socklen_t(size))
        }
        try #require(connected == 0)
        #expect(send(descriptor, datagram, datagram.count, 0) == datagram.count)
        var buffer = [UInt8](repeating: 0, count: 1500)
        let n = recv(descriptor, &buffer, buffer.count, 0)
        return (n > 0 ? Array(buffer[..<n]) : nil, localPort(descriptor))
    }

    private func localPort(_ descriptor: Int32) -> UInt16 {
        // struct sockaddr_in: family, port in network order, address.
        var address = [UInt8](repeating: 0, count: 16)
        var size = socklen_t(address.count)
        _ = address.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { getsockname(descriptor, $0.baseAddress, &size) }
        }
        return UInt16(address[2]) << 8 | UInt16(address[3])
    }
}

/// Documents known beforehand.
private struct FixedSource: VerificationSource {
    private let documents: [DID: DIDDocument]

    init(_ documents: [DIDDocument]) {
        self.documents = Dictionary(documents.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
    }

    func document(of did: DID, at now: Int64) -> DocumentLookup { documents[did].map { .found($0) } ?? .unresolvable }
    func resolve(_ did: DID) async {}
}
