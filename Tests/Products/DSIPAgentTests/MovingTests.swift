import DSIPIdentity
import Encoding
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

@Suite("Moving to another identity, over a real relay", .serialized, .timeLimit(.minutes(10)))
struct MovingTests {
    private func contact(_ did: DID, of person: Person) async -> Contact? {
        (try? await person.agent.contacts())?.first { $0.did == did }
    }

    @Test(
        "both identities say so; the contact hears it in the conversation and when it calls, and follows only when asked"
    )
    func moving() async throws {
        let relay = try await TestRelay(isNamed: true)
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let old = await alice.did
        let there = try await alice.conversation(with: bob)
        try await alice.say("hello", in: there)
        try await until("Bob has it", within: .seconds(60)) { await bob.texts(with: [alice]) == ["hello"] }

        let new = try await alice.agent.createIdentity(name: "Alice", hostedAs: "alice").did
        let moved = try await alice.agent.moveIdentity(to: new.string)
        #expect(moved.movedTo == new)
        try await until("Bob hears it in the conversation", within: .seconds(60)) {
            await contact(old, of: bob)?.move?.did == new
        }
        // Nothing has changed by itself.
        #expect(await contact(new, of: bob) == nil)
        let session = try await bob.agent.place(to: old.string, sdp: SDP.offer).session
        #expect(try await bob.ended(session).reason == "identity.moved")
        #expect(alice.ringing == nil)

        let known = try #require(await contact(old, of: bob))
        let accepted = try await bob.agent.acceptMove(of: known.id)
        #expect(accepted.did == new && accepted.name == "Alice" && accepted.allowed)
        #expect(await contact(old, of: bob) == nil)
        try await alice.agent.selectIdentity(new.string)
        try await alice.connected()
        _ = try await alice.agent.addContact(await bob.uri, name: "Bob")
        for (caller, callee) in [(alice, bob), (bob, alice)] {
            let session = try await connect(caller, callee)
            _ = try await caller.agent.hangUp(session)
            _ = try await callee.ended(session)
        }
        await relay.stop()
    }

    @Test("who only calls hears it, too; a stranger does not; and it can be taken back")
    func withdrawn() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let carol = try await Person("Carol", at: relay)
        try await befriend(alice, bob)
        let old = await alice.did
        _ = try await carol.agent.addContact(await alice.uri, name: "Alice")
        let new = try await alice.agent.createIdentity(name: "Alice anew").did
        _ = try await alice.agent.moveIdentity(to: new.string)
        await #expect(throws: AgentError(.notAllowed, "")) {
            try await alice.agent.moveIdentity(new.string, to: old.string)
        }
        let session = try await bob.agent.place(to: old.string, sdp: SDP.offer).session
        #expect(try await bob.ended(session).reason == "identity.moved")
        try await until("Bob knows where to") { await contact(old, of: bob)?.move?.did == new }
        let refused = try await carol.agent.place(to: old.string, sdp: SDP.offer).session
        #expect(try await carol.ended(refused).reason == "policy.first-contact-required")
        #expect(await contact(old, of: carol)?.move == nil)

        // Bob has read it and leaves things as they are.
        let known = try #require(await contact(old, of: bob))
        try await bob.agent.ignoreMove(of: known.id)
        #expect(await contact(old, of: bob)?.move == nil)
        #expect(try await alice.agent.withdrawMove(of: old.string).movedTo == nil)
        let answered = try await connect(bob, alice)
        _ = try await bob.agent.hangUp(answered)
        await relay.stop()
    }

    private func phone(of person: Person, at relay: TestRelay) async throws -> Person {
        let phone = try await Person(person.name, at: relay, createsIdentity: false, kind: .phone)
        let code = try await phone.agent.beginPairing().code
        _ = try await person.agent.approvePairing(code, name: "Phone")
        try await until("\(person.name)’s phone is paired, and has the contacts", within: .seconds(60)) {
            let isPaired = (try? await phone.agent.messaging().isEnabled) == true
            let contacts = (try? await phone.agent.contacts()) ?? []
            return isPaired && !contacts.isEmpty
        }
        return phone
    }

    private func moved(_ old: DID, of person: Person) async -> DID? {
        await person.agent.ownIdentities().first { $0.did == old }?.movedTo
    }

    @Test(
        "the other devices of who moves answer for it, those of who hears of it hear it too, and what one decides holds on all"
    )
    func devices() async throws {
        let relay = try await TestRelay(isNamed: true)
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let (hers, his) = (try await phone(of: alice, at: relay), try await phone(of: bob, at: relay))
        let old = await alice.did
        let new = try await alice.agent.createIdentity(name: "Alice", hostedAs: "alice").did
        _ = try await alice.agent.moveIdentity(old.string, to: new.string)
        try await until("Alice’s phone knows", within: .seconds(60)) { await moved(old, of: hers) == new }
        await #expect(throws: AgentError(.notAllowed, "")) { try await hers.agent.withdrawMove(of: old.string) }
        await alice.agent.stop()

        // With nothing said before, it is heard by calling, on one device.
        let session = try await bob.agent.place(to: old.string, sdp: SDP.offer).session
        #expect(try await bob.ended(session).reason == "identity.moved")
        #expect(hers.ringing == nil)
        for device in [bob, his] {
            try await until("Bob’s device knows where to", within: .seconds(60)) {
                await contact(old, of: device)?.move?.did == new
            }
        }
        try await his.agent.ignoreMove(of: try #require(await contact(old, of: his)).id)
        try await until("Bob’s computer leaves it, too", within: .seconds(60)) {
            await contact(old, of: bob).map { $0.move == nil } == true
        }
        // After all.
        _ = try await his.agent.acceptMove(of: try #require(await contact(old, of: his)).id)
        for device in [bob, his] {
            try await until("Bob’s device has the new identity, and not the old one", within: .seconds(60)) {
                let (known, gone) = (await contact(new, of: device), await contact(old, of: device))
                return known?.name == "Alice" && known?.allowed == true && gone == nil
            }
        }
        let desk = await bob.did
        #expect(await bob.agent.sharedMoves(of: desk).isEmpty)
        for person in [hers, bob, his] { await person.agent.stop() }
        await relay.stop()
    }

    @Test("a device that was away hears in the conversations that its identity has moved")
    func away() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        try await befriend(alice, bob)
        let hers = try await phone(of: alice, at: relay)
        let old = await alice.did
        try await alice.say("hello", in: try await alice.conversation(with: bob))
        try await until("the phone shows it", within: .seconds(120)) { await hers.texts(with: [bob]) == ["hello"] }
        await hers.agent.stop()
        let new = try await alice.agent.createIdentity(name: "Alice anew").did
        _ = try await alice.agent.moveIdentity(old.string, to: new.string)
        try await until("Bob hears it", within: .seconds(60)) { await contact(old, of: bob)?.move?.did == new }
        await alice.agent.stop()
        let back = try await Person("Alice", at: relay, folder: hers.folder, createsIdentity: false, kind: .phone)
        try await until("the phone knows", within: .seconds(60)) { await moved(old, of: back) == new }
        for person in [back, bob] { await person.agent.stop() }
        await relay.stop()
    }

    @Test("a statement is made anew before it ends, and stays the move about which the other has decided")
    func renewal() async throws {
        let offset = NIOLockedValueBox<Int64>(0)
        let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + offset.withLockedValue { $0 } }
        let relay = try await TestRelay(clock: clock)
        var (alice, bob) = (
            try await Person("Alice", at: relay, clock: clock), try await Person("Bob", at: relay, clock: clock)
        )
        try await befriend(alice, bob)
        let (old, his) = (await alice.did, await bob.did)
        let new = try await alice.agent.createIdentity(name: "Alice anew").did
        _ = try await alice.agent.moveIdentity(old.string, to: new.string)
        func isAnswered(by bob: Person) async throws {
            let session = try await bob.agent.place(to: old.string, sdp: SDP.offer).session
            #expect(try await bob.ended(session).reason == "identity.moved")
        }
        try await isAnswered(by: bob)
        try await until("Bob knows where to") { await contact(old, of: bob)?.move?.did == new }
        try await bob.agent.ignoreMove(of: try #require(await contact(old, of: bob)).id)

        var ends = try #require(await bob.agent.move(of: old, owner: his)).expiresAt
        for _ in 1...2 {
            for person in [alice, bob] { await person.agent.stop() }
            offset.withLockedValue { $0 += 200 * 86_400 }
            alice = try await Person("Alice", at: relay, folder: alice.folder, clock: clock)
            bob = try await Person("Bob", at: relay, folder: bob.folder, clock: clock)
            try await until("Alice says it anew") {
                await alice.agent.ownMove(of: old).map { $0.move.expiresAt > ends } == true
            }
            try await isAnswered(by: bob)
            try await until("Bob knows it for longer") {
                await bob.agent.move(of: old, owner: his).map { $0.expiresAt > ends } == true
            }
            ends = try #require(await bob.agent.move(of: old, owner: his)).expiresAt
            #expect(await contact(old, of: bob).map { $0.move == nil } == true)
            #expect(!bob.now.notices.contains { $0.contains("another identity") })
        }
        for person in [alice, bob] { await person.agent.stop() }
        await relay.stop()
    }
}
