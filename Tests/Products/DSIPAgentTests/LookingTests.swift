import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation
import Testing

@testable import DSIPAgent

@Suite("Who is there: presence by subscription between agents (DSIP §9.3)", .serialized, .timeLimit(.minutes(10)))
struct LookingTests {
    private func here(_ person: Person, _ did: DID) -> Bool? { person.now.presence[did] }

    private func look(_ person: Person, _ did: DID) async -> Bool? {
        (try? await person.agent.look(at: [did]))?.first?.isHere
    }

    @Test("contacts see each other on two relays; who is blocked, and who is nobody’s contact, does not")
    func contacts() async throws {
        let (first, second) = (try await TestRelay(), try await TestRelay())
        let alice = try await Person("Alice", at: first, trusting: [second])
        let bob = try await Person("Bob", at: second, trusting: [first])
        let carol = try await Person("Carol", at: first, trusting: [second])
        let (aliceDID, bobDID) = (await alice.did, await bob.did)
        let link = "dsip:\(bobDID)?relay=\(second.url)"
        _ = try await alice.agent.addContact(link, name: "Bob")
        _ = try await carol.agent.addContact(link, name: "Bob")
        // Nobody looks, nobody is asked.
        #expect(alice.now.presence.isEmpty)
        #expect(try await alice.agent.look(at: [bobDID]).first?.isHere == nil)
        _ = try await carol.agent.look(at: [bobDID])
        let contact = try await bob.agent.addContact("dsip:\(aliceDID)?relay=\(first.url)", name: "Alice")
        // Declined before, and asked for again in a few seconds.
        try await until("Alice sees Bob") { here(alice, bobDID) == true }
        #expect(here(carol, bobDID) == nil)
        _ = try await bob.agent.updateContact(contact.id, blocked: true)
        try await until("Alice does not see Bob any more") { here(alice, bobDID) == nil }
        _ = try await bob.agent.updateContact(contact.id, allowed: true, blocked: false)
        // Whoever looks anew need not wait for that.
        try await until("Alice sees Bob again") { await look(alice, bobDID) == true }
        try await bob.agent.setVisibility(.nobody, region: nil)
        try await until("Nobody does") { here(alice, bobDID) == nil }
        try await bob.agent.setVisibility(.everybody, region: nil)
        try await until("Everybody does") { await look(carol, bobDID) == true }
        // The relay comes back without what it was told, and is told again.
        try await second.restart()
        try await until("Carol sees Bob at the relay that is back") { await look(carol, bobDID) == true }
        await first.stop()
        await second.stop()
    }

    @Test("somebody who goes is away after a moment")
    func leaving() async throws {
        let relay = try await TestRelay()
        let (alice, bob) = (try await Person("Alice", at: relay), try await Person("Bob", at: relay))
        let bobDID = await bob.did
        _ = try await bob.agent.addContact(alice.did.string, name: "Alice")
        _ = try await alice.agent.look(at: [bobDID])
        try await until("Alice sees Bob") { here(alice, bobDID) == true }
        await bob.agent.stop()
        try await until("Bob is away") { here(alice, bobDID) == false }
        await relay.stop()
    }
}
