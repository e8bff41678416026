import DSIPIdentity
import Encoding
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
}
