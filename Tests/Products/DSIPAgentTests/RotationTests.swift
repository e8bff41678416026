import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

@Suite("Identities whose key is replaced, over a real relay", .serialized, .timeLimit(.minutes(10)))
struct RotationTests {
    /// Somebody whose document the relay publishes.
    private func hosted(
        _ name: String,
        at relay: TestRelay,
        clock: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }
    ) async throws -> Person {
        let person = try await Person(name, at: relay, clock: clock)
        let identity = try await person.agent.createIdentity(name: name, hostedAs: name.lowercased())
        try await person.agent.selectIdentity(identity.did.string)
        try await person.connected()
        return person
    }

    private func contact(_ other: Person, of person: Person) async throws -> Contact {
        let did = await other.did
        return try #require(try await person.agent.contacts().first { $0.did == did })
    }

    @Test("an identity is published by its relay under a name, once")
    func publication() async throws {
        let relay = try await TestRelay(isNamed: true)
        let alice = try await hosted("Alice", at: relay)
        let own = try #require(await alice.agent.ownIdentities().first { $0.current })
        #expect(own.did.string.hasPrefix("did:web:localhost%3A") && own.did.string.hasSuffix(":users:alice"))
        #expect(own.canRotate && !own.phraseConfirmed && own.alias?.hasPrefix("alice@") == true)
        let bob = try await Person("Bob", at: relay)
        await #expect(throws: AgentError(.notAllowed, "")) {
            try await bob.agent.createIdentity(name: "Alice", hostedAs: "alice")
        }
        // Nothing is left of what was refused.
        #expect(await bob.agent.ownIdentities().count == 1)
        await #expect(throws: AgentError(.notAllowed, "")) { try await bob.agent.rotateKey() }
        await relay.stop()
    }

    @Test(
        "calls and messages arrive before, during and after a rotation, and the contact's pin follows with its history"
    )
    func rotation() async throws {
        let relay = try await TestRelay(isNamed: true)
        let alice = try await hosted("Alice", at: relay)
        let bob = try await Person("Bob", at: relay)
        try await befriend(alice, bob)
        let there = try await alice.conversation(with: bob)
        try await alice.say("before", in: there)
        try await until("Bob has the first", within: .seconds(60)) { await bob.texts(with: [alice]) == ["before"] }
        let first = try await connect(alice, bob)
        _ = try await alice.agent.hangUp(first)
        _ = try await bob.ended(first)

        // Signed under the old key, on its way while the key is replaced.
        let folder = bob.folder
        await bob.agent.stop()
        let kept = try await alice.say("during", in: there)
        try await until("the relay has it") { await alice.state(of: kept) == .accepted }
        let words = try await alice.agent.recoveryPhrase()
        let rotated = try await alice.agent.rotateKey()
        #expect(!rotated.phraseConfirmed && rotated.canRotate)
        #expect(try await alice.agent.recoveryPhrase() != words)
        let again = try await Person("Bob", at: relay, folder: folder)
        try await until("Bob has what was said meanwhile", within: .seconds(60)) {
            await again.texts(with: [alice]) == ["before", "during"]
        }

        // Under the new key, both ways.
        try await alice.say("after", in: there)
        try await until("Bob has the last", within: .seconds(60)) {
            await again.texts(with: [alice]) == ["before", "during", "after"]
        }
        let here = try await again.conversation(with: alice)
        try await again.say("and back", in: here)
        try await until("Alice has the answer", within: .seconds(60)) {
            await alice.texts(in: there) == ["before", "during", "after", "and back"]
        }
        for (caller, callee) in [(alice, again), (again, alice)] {
            let session = try await connect(caller, callee)
            _ = try await caller.agent.hangUp(session)
            _ = try await callee.ended(session)
        }
        try await until("Bob sees how the key came", within: .seconds(90)) {
            (try? await contact(alice, of: again))?.keyHistory.map(\.reason) == ["scheduled"]
        }
        #expect(try await contact(alice, of: again).keyChanged == nil)
        await relay.stop()
    }

    @Test(
        "an invite that waited while the key was replaced rings and is answered: its device signed it, for which the document speaks anew"
    )
    func waitingInvite() async throws {
        let relay = try await TestRelay(isNamed: true)
        let alice = try await hosted("Alice", at: relay)
        let bob = try await Person("Bob", at: relay)
        try await befriend(alice, bob)
        let there = try await alice.conversation(with: bob)
        try await alice.say("Hello", in: there)
        try await until("Bob has the first", within: .seconds(60)) { await bob.texts(with: [alice]) == ["Hello"] }
        let his = await bob.did.string
        await bob.agent.stop()
        let session = try await alice.agent.place(to: his, sdp: SDP.offer).session
        // Behind the invite, on the same connection: when this is kept, that is.
        let kept = try await alice.say("I am calling", in: there)
        try await until("the relay has both", within: .seconds(60)) { await alice.state(of: kept) == .accepted }
        _ = try await alice.agent.rotateKey()
        let again = try await Person("Bob", at: relay, folder: bob.folder)
        try await until("Bob has what waited beside it", within: .seconds(60)) {
            await again.texts(with: [alice]) == ["Hello", "I am calling"]
        }
        #expect(try await again.incoming(from: "Alice") == session)
        _ = try await again.agent.open(session)
        _ = try await again.agent.answer(session, sdp: SDP.answer)
        for person in [alice, again] {
            try await until("\(person.name) is in the call", within: .seconds(60)) {
                person.call(session)?.state == .active
            }
        }
        _ = try await alice.agent.hangUp(session)
        _ = try await again.ended(session)
        for person in [alice, again] { await person.agent.stop() }
        await relay.stop()
    }

    @Test("a rotation that the old key does not vouch for is shown as a changed identity")
    func notVouched() async throws {
        let relay = try await TestRelay(isNamed: true)
        let alice = try await hosted("Alice", at: relay)
        let bob = try await Person("Bob", at: relay)
        try await befriend(alice, bob)
        await bob.agent.stop()
        try await alice.agent.replaceKeySilently()
        let again = try await Person("Bob", at: relay, folder: bob.folder)
        try await until("Bob is told", within: .seconds(90)) {
            (try? await contact(alice, of: again))?.keyChanged != nil
        }
        let known = try await contact(alice, of: again)
        #expect(known.keyHistory.isEmpty)
        #expect(again.now.notices.contains { $0.contains("has changed") })
        let accepted = try await again.agent.acceptKey(of: known.id)
        #expect(accepted.keyChanged == nil)
        #expect(try await contact(alice, of: again).keyHistory.map(\.reason) == [nil])
        await relay.stop()
    }

    @Test("a rotation whose answer was lost, or that a crash broke off, is ended at the next start")
    func brokenOff() async throws {
        let relay = try await TestRelay(isNamed: true)
        let alice = try await hosted("Alice", at: relay)
        let (folder, did) = (alice.folder, await alice.did)
        try await alice.agent.rotateAndCrash()
        let again = try await Person("Alice", at: relay, folder: folder)
        try await until("the rotation has ended", within: .seconds(60)) { await !again.agent.isRotating(did) }
        let bob = try await Person("Bob", at: relay)
        try await befriend(again, bob)
        let session = try await connect(again, bob)
        _ = try await again.agent.hangUp(session)
        _ = try await again.agent.rotateKey(reason: "compromised")
        await relay.stop()
    }

    @Test("the person's other devices follow, the one that was away as well; a revoked one does not")
    func devices() async throws {
        let offset = NIOLockedValueBox<Int64>(0)
        let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + offset.withLockedValue { $0 } }
        let relay = try await TestRelay(isNamed: true, clock: clock)
        let alice = try await hosted("Alice", at: relay, clock: clock)
        func second(_ name: String) async throws -> Person {
            let other = try await Person(name, at: relay, createsIdentity: false, clock: clock)
            let offer = try await other.agent.beginPairing()
            _ = try await alice.agent.approvePairing(offer.code, name: name)
            try await until("\(name) is paired", within: .seconds(60)) { await !other.agent.ownIdentities().isEmpty }
            try await other.connected()
            return other
        }
        let (phone, away, lost) = (try await second("phone"), try await second("tablet"), try await second("lost"))
        let bob = try await Person("Bob", at: relay, clock: clock)
        try await befriend(alice, bob)
        _ = try await phone.agent.addContact(await bob.uri, name: "Bob")
        await away.agent.stop()
        let revoked = try #require(try await alice.agent.devices().first { $0.name == "lost" })
        _ = try await alice.agent.revokeDevice(revoked.did.string, reason: "lost")
        let old = try #require(await phone.agent.delegation())
        _ = try await alice.agent.rotateKey()
        try await until("the phone has its delegation of the new key", within: .seconds(60)) {
            await phone.agent.delegation() != old
        }
        // Beside it the former one, for whoever has the old document.
        #expect(await phone.agent.presented()?.count == 2)
        let back = try await Person("Alice", at: relay, folder: away.folder, clock: clock)
        try await until("so has the tablet", within: .seconds(60)) { await back.agent.presented()?.count == 2 }
        for device in [phone, back] {
            let session = try await connect(device, bob)
            _ = try await device.agent.hangUp(session)
            _ = try await bob.ended(session)
        }
        offset.withLockedValue { $0 += 3700 }
        for device in [alice, phone, back] {
            await device.agent.renewDelegations()
            #expect(await device.agent.presented()?.count == 1)
        }
        let session = try await connect(phone, bob)
        _ = try await phone.agent.hangUp(session)
        #expect(await lost.agent.presented()?.count == 1)
        await relay.stop()
    }
}

extension Agent {
    fileprivate func isRotating(_ did: DID) -> Bool { keyring.isRotating(did) }

    fileprivate func presented() -> [Envelope]? { desks[current]?.delegations }

    fileprivate func delegation() -> Envelope? { desks[current]?.delegations.last }

    private func rotation() throws -> (NameRegistration, Keyring.Rotation) {
        let record = try record(nil)
        guard let found = registration(of: record) else { throw NotInTime(what: "a published identity") }
        return (found, try keyring.prepareRotation(of: record.did, reason: "scheduled", at: now()))
    }

    /// Publishes a new key, as the host of a document could: no record says that the old one agrees.
    fileprivate func replaceKeySilently() async throws {
        try await publish { NameRegistration.Document(nextKey: $0.next) }
    }

    private func publish(_ document: (Keyring.Rotation) -> NameRegistration.Document) async throws {
        let (registration, rotation) = try rotation()
        try await registration.claim(
            as: current,
            by: rotation.old,
            publishing: document(rotation),
            through: fetcher,
            id: makeID(),
            at: now()
        )
    }

    /// Publishes the new key, and is gone before it heard so.
    fileprivate func rotateAndCrash() async throws {
        try await publish { rotation in
            NameRegistration.Document(
                nextKey: rotation.next,
                delegations: Array(rotation.signed.delegations.values),
                rotation: rotation.signed.record
            )
        }
        await vanish()
    }
}
