import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import Testing

@testable import DSIPAgent

extension GroupTests {
    private func hub(_ person: Person) async -> Conversation.Hub? {
        (try? await person.agent.conversations())?.first { $0.record.kind == .group }?.hub
    }

    @Test("a group moves to another relay, its old one is stopped, and everybody reads on, those who were away too")
    func moving() async throws {
        let (old, new) = try await TestRelay.pair()
        let alice = try await Person("Alice", at: old, trusting: [new])
        let bob = try await Person("Bob", at: new, trusting: [old])
        let carol = try await Person("Carol", at: new, trusting: [old])
        let dave = try await Person("Dave", at: new, trusting: [old])
        try await found("Choir", by: alice, with: [bob, carol, dave])
        let before = try #require(await hub(bob))
        #expect(await hub(alice)?.isOwn == true)
        #expect(!before.isOwn)
        await dave.agent.stop()
        let id = try #require(await group(bob)).id.description
        await #expect(throws: AgentError.self) { try await bob.agent.moveConversation(id, to: old.url) }
        _ = try await bob.agent.moveConversation(id)
        for person in [bob, carol, alice] {
            try await until("\(person.name) has followed", within: .seconds(90)) {
                await hub(person)?.service.did != before.service.did
            }
        }
        #expect(await hub(bob)?.isOwn == true)
        #expect(await hub(alice)?.isOwn == false)
        try await say("after the move", alice)
        for person in [bob, carol] {
            try await until("\(person.name) has it", within: .seconds(90)) {
                await texts(person) == ["welcome", "after the move"]
            }
        }
        let back = try await Person("Dave", at: new, folder: dave.folder, trusting: [old])
        try await until("Dave, who was away, has it", within: .seconds(120)) {
            await texts(back) == ["welcome", "after the move"]
        }
        await old.stop()
        try await say("without the old one", carol)
        try await say("nor do I miss it", back)
        let all = ["welcome", "after the move", "without the old one", "nor do I miss it"]
        for person in [bob, carol, back] {
            try await until("\(person.name) reads on", within: .seconds(90)) { await Set(texts(person)) == Set(all) }
            #expect(await group(person)?.notice == nil)
        }
        try await old.startAgain()
        try await until("Alice has all of it when her relay is back", within: .seconds(120)) {
            await Set(texts(alice)) == Set(all)
        }
        for person in [alice, bob, carol, back] { await person.agent.stop() }
        for relay in [old, new] { await relay.stop() }
    }
}
