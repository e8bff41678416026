import DSIPIdentity
import DSIPSession
import DSIPSignaling
import Encoding
import Foundation
import NIOCore
import Testing

@testable import DSIPRelay

@Suite("Broadcasts: the relay as authority of publications (DSIP §9.3, §22)", .timeLimit(.minutes(5)))
struct RelayBroadcastTests {
    private func record(_ device: TestDevice, _ name: String = "radio", title: String? = nil) -> Publish {
        Publish(
            publisher: device.identity,
            streamID: "\(device.identity.string):\(name)",
            title: title,
            state: .live,
            variants: [
                .init(
                    id: "main",
                    media: [.audio],
                    codec: "codec:audio/aac",
                    transport: "transport:hls",
                    uri: "https://live.example/main.m3u8"
                )
            ]
        )
    }

    @discardableResult
    private func publish(_ body: some MessageBody, by device: TestDevice, lifetime: Int64 = 600) async throws -> ULID {
        let message = Message(
            device.stamp(lifetime: lifetime, version: VersionBlock(profiles: [.verifiedBroadcast])),
            body
        )
        return try await device.send(message)
    }

    private func subscribe(_ device: TestDevice, to target: String, at relay: DID) async throws -> ULID {
        try await device.say(Subscribe(target: target, events: [Subscribe.publication], expiresIn: 3_600), to: relay)
    }

    private func notice(_ device: TestDevice, of subscription: ULID, seq: Int64) async throws -> Notify {
        let message = try await device.next(.notify) { message in
            guard case .notify(let notify) = message.body else { return false }
            return notify.subscription == subscription && notify.seq == seq
        }
        guard case .notify(let notify) = message.body.body else { throw TestDevice.Failure.ended }
        return notify
    }

    private func statement(_ publication: ULID, of stream: String, by device: TestDevice, output: String = "low")
        -> Provenance
    {
        Provenance(
            originalStream: stream,
            originalPublication: publication,
            processor: device.identity,
            operation: "transcode",
            inputVariant: "main",
            outputVariant: output
        )
    }

    @Test("whoever asks has the record and the statements as they were signed, at once and at every change")
    func following() async throws {
        let harness = try await RelayHarness()
        let (station, cdn, bob) = (
            try await harness.connected("phone", of: key("station")), try await harness.connected("cdn"),
            try await harness.connected("bob")
        )
        let stream = record(station).streamID
        let first = try await publish(record(station), by: station)
        // One's own subscription is answered after one's own record.
        let own = try await subscribe(station, to: stream, at: harness.running.did)
        #expect(try await notice(station, of: own, seq: 1).content["publication"]?.string == first.description)
        let subscription = try await subscribe(bob, to: stream, at: harness.running.did)
        let opening = try await notice(bob, of: subscription, seq: 1)
        #expect(opening.content["type"]?.string == "publication" && opening.content["state"]?.string == "live")
        let enclosed = try #require(opening.content["record"].flatMap { Envelope($0.utf8) })
        #expect(try Message(decoding: JSONDocument(scanning: enclosed.decodedPayload())).id == first)
        try await publish(statement(first, of: stream, by: cdn), by: cdn)
        let attached = try await notice(bob, of: subscription, seq: 2)
        #expect(attached.content["provenance"]?.array == [.string(cdn.identity.string)])
        #expect(attached.content["statements"]?.array?.count == 1)
        // A newer record begins without statements; an older one is ignored.
        harness.clock.advance(by: 2)
        let second = try await publish(record(station, title: "Second"), by: station)
        let replaced = try await notice(bob, of: subscription, seq: 3)
        #expect(replaced.content["publication"]?.string == second.description)
        #expect(replaced.content["statements"]?.array?.isEmpty == true && replaced.content["provenance"] == nil)
        try await publish(
            Unpublish(publisher: station.identity, streamID: stream, publication: second),
            by: station
        )
        #expect(try await notice(bob, of: subscription, seq: 4).content["state"]?.string == "withdrawn")
        await harness.relay.stop()
    }

    @Test("a stream that was never there, presence, and somebody else’s stream get one answer")
    func oneAnswer() async throws {
        let harness = try await RelayHarness()
        let (station, mallory) = (try await harness.connected("station"), try await harness.connected("mallory"))
        var answers: [Reject] = []
        for (target, event) in [
            ("\(station.identity.string):nothing", Subscribe.publication),
            (station.identity.string, Subscribe.presence),
            (key("nobody").did.string, Subscribe.presence),
        ] {
            let id = try await mallory.say(
                Subscribe(target: target, events: [event], expiresIn: 600),
                to: harness.running.did
            )
            let answer = try await mallory.next(.reject) { $0.session == id }
            guard case .reject(let reject) = answer.body.body else { return }
            answers.append(reject)
        }
        #expect(answers.count == 3 && answers.allSatisfy { $0 == answers[0] && $0.reason == .policyBlocked })
        let stream = record(station).streamID
        let id = try await publish(record(station), by: station)
        let own = try await subscribe(station, to: stream, at: harness.running.did)
        _ = try await notice(station, of: own, seq: 1)
        // Another's record, another's withdrawal, and a statement about what is not there: refused alike.
        var refused = record(mallory)
        refused.publisher = station.identity
        refused.streamID = stream
        let attempts = [
            try await publish(refused, by: mallory),
            try await publish(Unpublish(publisher: station.identity, streamID: stream, publication: id), by: mallory),
            try await publish(
                Unpublish(publisher: mallory.identity, streamID: mallory.identity.string, publication: id),
                by: mallory
            ),
            try await publish(statement(ulid(harness.clock.now), of: stream, by: mallory), by: mallory),
        ]
        for attempt in attempts { _ = try await mallory.error(.transportRoutingRefused, about: attempt) }
        let again = try await subscribe(mallory, to: stream, at: harness.running.did)
        let notice = try await notice(mallory, of: again, seq: 1)
        #expect(notice.content["publication"]?.string == id.description && notice.content["state"]?.string == "live")
        await harness.relay.stop()
    }

    @Test(
        "records and statements are there again after a restart, and what was withdrawn stays so",
        .timeLimit(.minutes(2))
    )
    func restart() async throws {
        let harness = try await RelayHarness()
        var station = try await harness.connected("station")
        let cdn = try await harness.connected("cdn")
        let first = try await publish(record(station), by: station)
        let gone = try await publish(record(station, "gone"), by: station)
        try await publish(
            Unpublish(publisher: station.identity, streamID: record(station, "gone").streamID, publication: gone),
            by: station
        )
        let own = try await subscribe(station, to: record(station).streamID, at: harness.running.did)
        _ = try await notice(station, of: own, seq: 1)
        try await publish(statement(first, of: record(station).streamID, by: cdn), by: cdn)
        _ = try await notice(station, of: own, seq: 2)
        station.hangUp()
        cdn.hangUp()
        try await harness.restart()
        station = try await harness.connected("station")
        let again = try await subscribe(station, to: record(station).streamID, at: harness.running.did)
        let notice = try await notice(station, of: again, seq: 1)
        #expect(notice.content["publication"]?.string == first.description)
        #expect(notice.content["provenance"]?.array == [.string(cdn.identity.string)])
        #expect(notice.content["statements"]?.array?.count == 1)
        let withdrawn = try await subscribe(station, to: record(station, "gone").streamID, at: harness.running.did)
        #expect(try await self.notice(station, of: withdrawn, seq: 1).content["state"]?.string == "withdrawn")
        #expect(harness.metric("dsip_relay_publications") == 2)
        await harness.relay.stop()
    }

    @Test("a record that runs out is said to have, then forgotten, and makes room")
    func expiry() async throws {
        let harness = try await RelayHarness()
        let station = try await harness.connected("station")
        try await publish(record(station), by: station, lifetime: 60)
        let own = try await subscribe(station, to: record(station).streamID, at: harness.running.did)
        _ = try await notice(station, of: own, seq: 1)
        harness.clock.advance(by: 61)
        #expect(try await notice(station, of: own, seq: 2).content["state"]?.string == "expired")
        harness.clock.advance(by: BroadcastDesk.Limits.memory)
        let end = try await notice(station, of: own, seq: 3)
        #expect(end.state == .terminated)
        try await harness.until("forgotten") { harness.metric("dsip_relay_publications") == 0 }
        await harness.relay.stop()
    }

    @Test("a publisher has so many streams, a record so many statements, and either so many bytes")
    func bounds() async throws {
        let harness = try await RelayHarness()
        let station = try await harness.connected("station")
        var ids: [ULID] = []
        for number in 0..<16 { ids.append(try await publish(record(station, "s\(number)"), by: station)) }
        let beyond = try await publish(record(station, "s16"), by: station)
        _ = try await station.error(.policyRateLimited, about: beyond)
        let large = try await publish(
            record(station, "s0", title: nil).with(variants: 80),
            by: station
        )
        _ = try await station.error(.transportEnvelopeTooLarge, about: large)
        for number in 0..<8 {
            try await publish(
                statement(ids[0], of: record(station, "s0").streamID, by: station, output: "v\(number)"),
                by: station
            )
        }
        let ninth = try await publish(
            statement(ids[0], of: record(station, "s0").streamID, by: station, output: "v8"),
            by: station
        )
        _ = try await station.error(.policyRateLimited, about: ninth)
        // All of it still fits one frame.
        let own = try await subscribe(station, to: record(station, "s0").streamID, at: harness.running.did)
        #expect(try await notice(station, of: own, seq: 1).content["statements"]?.array?.count == 8)
        await harness.relay.stop()
    }
}

@Suite("The desk of broadcasts, by itself")
struct BroadcastDeskTests {
    private let now: Int64 = 1_790_000_000
    private let relay = key("relay")

    private func desk(subscriptions: Int) -> BroadcastDesk {
        let metrics = RelayMetrics()
        var limits = BroadcastDesk.Limits.authority
        limits.subscriptions = subscriptions
        return BroadcastDesk(
            .init(
                voice: RelayVoice(key: relay, clock: { [now] in now }),
                writer: StoreWriter(store: MemoryStore(), metrics: metrics),
                metrics: metrics,
                scope: .open,
                limits: limits
            ),
            restoring: []
        )
    }

    private func verified(_ body: some MessageBody, by name: String, to: DID? = nil) throws -> Verified<Message> {
        let key = key(name)
        let stamp = Message.Stamp(id: ulid(now), from: key.did, issuedAt: now, lifetime: 600)
        var verifier = EnvelopeVerifier()
        var replay = ReplayWindow()
        let verdict = verifier.verify(
            try Message(stamp, to: to, body).signed(by: key).bytes,
            at: now,
            replay: &replay,
            documents: { _ in .unresolvable }
        )
        guard case .accepted(let message) = verdict else { throw TestDevice.Failure.unsent("\(verdict)") }
        return message
    }

    private func address(_ text: String) throws -> AddressKey { AddressKey(try .init(ipAddress: text, port: 1)) }

    private func publish(_ stream: Int, by name: String) throws -> Verified<Message> {
        let publisher = key(name).did
        let variant = Publish.Variant(
            id: "v",
            media: [.audio],
            codec: "codec:audio/opus",
            transport: "transport:hls",
            uri: "https://l.example/v"
        )
        return try verified(
            Publish(publisher: publisher, streamID: "\(publisher):s\(stream)", state: .live, variants: [variant]),
            by: name
        )
    }

    private func reason(_ words: [AuthorityWord]) -> Reason? {
        guard case .error(_, let reason)? = words.first?.content else { return nil }
        return reason
    }

    @Test("when all subscriptions are taken, those of devices that are away make room, and only those")
    func room() throws {
        let desk = desk(subscriptions: 2)
        let home = try address("192.0.2.1")
        #expect(try desk.received(publish(0, by: "station"), at: home) { _ in true }.isEmpty)
        let target = "\(key("station").did):s0"
        func isTold(_ name: String, away: String? = nil) throws -> Bool {
            let subscribe = Subscribe(target: target, events: [Subscribe.publication], expiresIn: 600)
            let answer = desk.received(try verified(subscribe, by: name, to: relay.did), at: home) { device in
                away.map { key($0).did != device } ?? true
            }
            if case .notify? = answer.first?.content { return true }
            return false
        }
        #expect(try isTold("a") && isTold("b"))
        #expect(try !isTold("c"))
        #expect(try isTold("c", away: "a"))
        #expect(try !isTold("a") && isTold("b"))
    }

    @Test("one address publishes so many streams, however many identities it makes")
    func perAddress() throws {
        let desk = desk(subscriptions: 2)
        let (home, elsewhere) = (try address("192.0.2.1"), try address("192.0.2.2"))
        for number in 0..<64 {
            let message = try publish(number, by: "p\(number / 16)")
            #expect(reason(desk.received(message, at: home) { _ in true }) == nil)
        }
        let beyond = try publish(64, by: "p4")
        #expect(reason(desk.received(beyond, at: home) { _ in true }) == .policyRateLimited)
        #expect(reason(desk.received(beyond, at: elsewhere) { _ in true }) == nil)
        // What is there already is replaced all the same, by what is newer.
        let again = try publish(0, by: "p0")
        #expect(reason(desk.received(again, at: home) { _ in true }) != .policyRateLimited)
    }
}

extension Publish {
    fileprivate func with(variants count: Int) -> Publish {
        var publish = self
        publish.variants = (0..<count).map { number in
            var variant = variants[0]
            variant.id = "v\(number)"
            return variant
        }
        return publish
    }
}
