import Crypto
import DSIPIdentity
import DSIPSignaling
import Encoding
import Support
import Testing

@testable import DSIPMessaging

/// A relay's host in one thread, whose store can fail, and devices that are their own identities.
private struct HostScene {
    static let relay = DID("did:web:relay.example")!

    var random = SeededRandom(seed: 5)
    var now: Int64 = 1_760_000_000
    var store = MemoryMailboxStore()
    var host: RatchetHost
    let bob: SigningKey
    let alice: SigningKey
    let hers = ConnectionID(1)
    let his = ConnectionID(2)

    init(_ limits: RatchetHost.Limits = RatchetHost.Limits()) throws {
        func key(_ byte: UInt8) throws -> SigningKey {
            SigningKey(
                selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: Array(repeating: byte, count: 32))
            )
        }
        (alice, bob) = (try key(1), try key(2))
        host = RatchetHost(Self.relay, store: store, limits: limits, random: SeededRandom(seed: 6), at: now)
        host.bound(alice.did, on: hers, at: now)
        host.bound(bob.did, on: his, at: now)
    }

    mutating func id() -> ULID { ULID(milliseconds: UInt64(now) * 1000, using: &random) }

    private func verified<Body: Sendable>(
        _ payload: JSONValue,
        by key: SigningKey,
        _ read: (JSONView) throws(MessagingError) -> Body
    ) throws -> Verified<Body> {
        var verifier = EnvelopeVerifier(policy: VerificationPolicy(supported: SupportedVersions().withRatchet()))
        var replay = ReplayWindow()
        let verdict = verifier.verify(
            try Envelope(signing: payload.utf8, by: key).bytes,
            at: now,
            replay: &replay,
            documents: { DIDKey.document(of: $0).map { .found($0) } ?? .unknown },
            reading: read
        )
        guard case .accepted(let message) = verdict else { throw MessagingError(.refused, "\(verdict)") }
        return message
    }

    mutating func leave(_ numbers: ClosedRange<UInt8>, lastResort: UInt8? = nil) throws -> [RatchetHost.Action] {
        let upload = PreKeys(
            id: id(),
            from: bob.did,
            to: Self.relay,
            issuedAt: now,
            subject: bob.did,
            bundles: numbers.map { PreKeys.Bundle(device: bob.did, bytes: [$0]) },
            lastResort: lastResort.map { PreKeys.Bundle(device: bob.did, bytes: [$0]) }
        )
        let message = try verified(upload.json, by: bob) { (view) throws(MessagingError) in try PreKeys(view) }
        host.received(message, isServed: true, on: his, at: now)
        return host.commit(at: now)
    }

    mutating func fetch() throws -> [RatchetHost.Action] {
        let fetch = PreKeyFetch(id: id(), from: alice.did, to: Self.relay, issuedAt: now, target: bob.did)
        let message = try verified(fetch.json, by: alice) { (view) throws(MessagingError) in try PreKeyFetch(view) }
        host.received(message, on: hers, at: now)
        return host.commit(at: now)
    }

    mutating func seal() throws -> (ULID, [RatchetHost.Action]) {
        let message = try RatchetMessage(
            sealing: [1, 2, 3],
            reference: id(),
            id: id(),
            from: alice.did,
            to: bob.did,
            issuedAt: now
        )
        let sent = try verified(message.json, by: alice) { (view) throws(MessagingError) in try RatchetMessage(view) }
        host.received(sent, on: hers, at: now)
        return (message.head.id, host.commit(at: now))
    }

    /// As after a crash: what was committed is there, and nobody is connected.
    mutating func restart(_ limits: RatchetHost.Limits = .init()) {
        store = store.reopened()
        host = RatchetHost(Self.relay, store: store, limits: limits, random: SeededRandom(seed: 7), at: now)
    }
}

extension [RatchetHost.Action] {
    fileprivate var bundles: [UInt8] {
        flatMap { action -> [UInt8] in
            guard case .preKeys(let answer, _) = action else { return [] }
            return answer.bundles.flatMap(\.bytes)
        }
    }

    fileprivate var deliveries: Int {
        count { action in if case .deliver = action { true } else { false } }
    }

    fileprivate func refusals(_ reason: Reason) -> Int {
        count { action in if case .refused(reason, _, _, _, _) = action { true } else { false } }
    }
}

@Suite("Prekeys and sealed messages at a service")
struct RatchetHostTests {
    @Test("a store that fails has everybody come again, and gives no bundle to two")
    func failure() throws {
        var scene = try HostScene()
        _ = try scene.leave(1...2)
        scene.store.failure = .full
        #expect(try scene.fetch().refusals(.mailboxQuotaExceeded) == 1)
        #expect(try scene.seal().1.refusals(.mailboxQuotaExceeded) == 1)
        scene.store.failure = nil
        #expect(try scene.fetch().bundles == [1])
        scene.restart()
        scene.host.bound(scene.alice.did, on: scene.hers, at: scene.now)
        #expect(try scene.fetch().bundles == [2])
        #expect(try scene.fetch().bundles.isEmpty)
    }

    @Test("how often somebody fetched is counted over restarts, for a day, and forgotten then")
    func fetchLimit() throws {
        var limits = RatchetHost.Limits()
        limits.shelf.fetches = 3
        var scene = try HostScene(limits)
        _ = try scene.leave(1...10)
        for number: UInt8 in 1...3 {
            #expect(try scene.fetch().bundles == [number])
            scene.restart(limits)
        }
        let refused = try scene.fetch()
        #expect(refused.refusals(.policyRateLimited) == 1 && refused.bundles.isEmpty)
        scene.now += 86_400
        scene.restart(limits)
        #expect(try scene.fetch().bundles == [4])
        let scope = "fetches/\(scene.bob.did.string)"
        #expect(try scene.store.records(in: scope, after: nil, limit: 10).count == 1)
        scene.now += 86_400
        scene.host.advance(to: scene.now)
        _ = scene.host.commit(at: scene.now)
        #expect(try scene.store.records(in: scope, after: nil, limit: 10).isEmpty)
    }

    @Test("what is kept is delivered in a window, goes with its acknowledgement, and with its time")
    func window() throws {
        var limits = RatchetHost.Limits()
        limits.window = 2
        var scene = try HostScene(limits)
        _ = try scene.leave(1...1)
        scene.host.unbound(scene.his)
        var ids: [ULID] = []
        for _ in 0..<4 {
            let (id, said) = try scene.seal()
            ids.append(id)
            #expect(said.contains(.wake(scene.bob.did, id)) && said.deliveries == 0)
        }
        scene.host.bound(scene.bob.did, on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 2)
        // Not sent yet, so nobody has it; nor is somebody else's word taken.
        scene.host.acknowledged(ids[3], on: scene.his, at: scene.now)
        scene.host.acknowledged(ids[0], on: scene.hers, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 0)
        scene.host.acknowledged(ids[0], on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 1)
        scene.restart()
        scene.host.bound(scene.bob.did, on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 3)
        scene.now += 31 * 86_400
        scene.host.advance(to: scene.now)
        _ = scene.host.commit(at: scene.now)
        #expect(try scene.store.items(of: scene.bob.did, .after(0), limit: 10).isEmpty)
        scene.host.bound(scene.bob.did, on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 0)
    }

    @Test("a device is kept what it read when it was here last; who wrote in another form is told so")
    func forms() throws {
        var scene = try HostScene()
        scene.host.bound(scene.bob.did, reading: [.proposal], on: scene.his, at: scene.now)
        _ = try scene.leave(1...1)
        scene.host.unbound(scene.his)
        scene.restart()
        scene.host.bound(scene.alice.did, on: scene.hers, at: scene.now)
        #expect(try scene.seal().1.refusals(.sessionUnsupportedWireFormat) == 1)
        scene.host.bound(scene.bob.did, reading: [.jose, .proposal], on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 0)
        #expect(try scene.seal().1.deliveries == 1)
        // It was kept for another end of the same device, which is not here.
        scene.host.bound(scene.bob.did, reading: [.proposal], on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 0)
        scene.host.bound(scene.bob.did, reading: [.jose], on: scene.his, at: scene.now)
        #expect(scene.host.commit(at: scene.now).deliveries == 1)
    }

    @Test("what a device does not acknowledge keeps nothing else waiting for long")
    func patience() throws {
        var limits = RatchetHost.Limits()
        limits.window = 2
        var scene = try HostScene(limits)
        _ = try scene.leave(1...1)
        let at = scene.now
        #expect(try (0..<4).map { _ in try scene.seal().1.deliveries } == [1, 1, 0, 0])
        scene.now = at + 61
        #expect(try scene.seal().1.deliveries == 2)
        scene.now = at + 122
        #expect(try scene.seal().1.deliveries == 2)
    }

    @Test("one sender and one device have bounds, and who is gone is forgotten with all of theirs")
    func bounds() throws {
        var limits = RatchetHost.Limits()
        (limits.envelopes, limits.burst, limits.perSecond) = (3, 5, 0.5)
        var scene = try HostScene(limits)
        _ = try scene.leave(1...1)
        scene.host.unbound(scene.his)
        let said = try (0..<7).map { _ in try scene.seal().1 }
        #expect(said.map { $0.refusals(.mailboxQuotaExceeded) } == [0, 0, 0, 1, 1, 0, 0])
        #expect(said.map { $0.refusals(.policyRateLimited) } == [0, 0, 0, 0, 0, 1, 1])
        // Somebody else's revocation says nothing about this device.
        scene.host.revoked(scene.bob.did, of: scene.alice.did, at: .max)
        _ = scene.host.commit(at: scene.now)
        #expect(try scene.store.items(of: scene.bob.did, .after(0), limit: 10).count == 3)
        scene.host.revoked(scene.bob.did, of: scene.bob.did, at: .max)
        _ = scene.host.commit(at: scene.now)
        #expect(try scene.store.items(of: scene.bob.did, .after(0), limit: 10).isEmpty)
        scene.now += 60
        #expect(try scene.seal().1.refusals(.transportUnknownRecipient) == 1)
        #expect(try scene.fetch().bundles.isEmpty)
    }
}
