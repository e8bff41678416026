import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import NIOConcurrencyHelpers
import Testing

@testable import DSIPAgent

@Suite("Groups over two relays", .serialized, .timeLimit(.minutes(15)))
struct GroupTests {
    /// The group conversation that somebody is in, as they keep it; nil before they are.
    func group(_ person: Person) async -> ConversationRecord? {
        (try? await person.agent.conversations())?.map(\.record).first { $0.kind == .group }
    }

    func texts(_ person: Person) async -> [String] {
        guard let group = await group(person) else { return [] }
        return await person.texts(in: group.id.description)
    }

    @discardableResult
    func say(_ text: String, _ person: Person) async throws -> ChatMessage {
        try await person.say(text, in: try #require(await group(person)).id.description)
    }

    func found(_ title: String, by founder: Person, with others: [Person]) async throws {
        for other in others { try await befriend(founder, other) }
        _ = try await founder.agent.createGroup(title: title, members: await others.asyncMap { await $0.did.string })
        // Whoever is slow to come in does not read what was said before: so nothing is, until all are there.
        for person in others {
            try await until("\(person.name) is in, with all others", within: .seconds(180)) {
                await group(person)?.members.count == others.count
            }
        }
        try await say("welcome", founder)
        for person in others {
            try await until("\(person.name) is welcomed", within: .seconds(60)) { await texts(person) == ["welcome"] }
        }
    }

    @Test("a group whose hub is gone for good goes on in a successor, with what was said meanwhile, in the same thread")
    func successor() async throws {
        let (gone, stays) = try await TestRelay.pair()
        let alice = try await Person("Alice", at: gone, trusting: [stays])
        let bob = try await Person("Bob", at: stays, trusting: [gone], adjusting: { $0.hubTimeout = 4 })
        let carol = try await Person("Carol", at: stays, trusting: [gone], adjusting: { $0.hubTimeout = 60 })
        try await found("Garden", by: alice, with: [bob, carol])
        try await say("before", carol)
        try await until("all have it", within: .seconds(60)) {
            await [alice, bob].asyncMap { await texts($0) } == [["welcome", "before"], ["welcome", "before"]]
        }
        let thread = try #require(await group(bob)).id
        await gone.stop()
        let unsent = try await say("is anybody there?", bob)
        #expect(await bob.state(of: unsent) == .pending)
        let hers = try await say("I am", carol)
        try await until("Carol has what Bob said", within: .seconds(120)) {
            await texts(carol).contains("is anybody there?")
        }
        try await until("Bob has what Carol said", within: .seconds(120)) { await texts(bob).contains("I am") }
        for (person, message) in [(bob, unsent), (carol, hers)] {
            try await until("\(person.name) knows that it is out", within: .seconds(60)) {
                await person.state(of: message) != .pending
            }
        }
        try await say("on we go", bob)
        try await until("Carol has that too", within: .seconds(60)) { await texts(carol).last == "on we go" }
        let (all, hersToo) = (await texts(bob), await texts(carol))
        #expect(all.count == 5 && all == hersToo)
        try await until("Bob sees nothing amiss", within: .seconds(60)) { await group(bob)?.notice == nil }
        try await until("nor does Carol", within: .seconds(60)) { await group(carol)?.notice == nil }
        for person in [bob, carol] {
            let groups = try await person.agent.conversations().map(\.record).filter { $0.kind == .group }
            #expect(groups.map(\.id) == [thread])
        }
        for person in [alice, bob, carol] { await person.agent.stop() }
        await stays.stop()
    }

    @Test(
        "a group of ten, whose tree is too large for a message, comes together over two relays, and takes one more in"
    )
    func large() async throws {
        let (first, second) = try await TestRelay.pair()
        let alice = try await Person("Alice", at: first, trusting: [second])
        var others: [Person] = []
        for n in 0..<9 {
            let (here, there) = n.isMultiple(of: 2) ? (first, second) : (second, first)
            others.append(try await Person("Person \(n)", at: here, trusting: [there]))
        }
        try await found("Many", by: alice, with: others)
        #expect(first.metric("dsip_relay_blobs_total{outcome=\"stored\"}") > 0)
        try await say("here I am", others[8])
        for person in [alice] + others {
            try await until("\(person.name) has it", within: .seconds(60)) { await texts(person).last == "here I am" }
        }
        let late = try await Person("Late", at: second, trusting: [first])
        try await befriend(others[1], late)
        let record = try #require(await group(others[1]))
        _ = try await others[1].agent.addMembers([await late.did.string], to: record.id.description)
        try await until("who came late is in", within: .seconds(120)) { await group(late)?.members.count == 10 }
        try await say("good evening", late)
        for person in [alice] + others {
            try await until("\(person.name) has it", within: .seconds(60)) {
                await texts(person).last == "good evening"
            }
        }
        for person in [alice, late] + others { await person.agent.stop() }
        for relay in [first, second] { await relay.stop() }
    }

    @Test("leaves are renewed over a relay before their delegations end, and both are read long after")
    func renewal() async throws {
        let ahead = NIOLockedValueBox<Int64>(0)
        let clock: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) + ahead.withLockedValue { $0 } }
        let relay = try await TestRelay(clock: clock)
        let alice = try await Person("Alice", at: relay, clock: clock)
        let bob = try await Person("Bob", at: relay, clock: clock)
        try await befriend(alice, bob)
        let there = try await alice.conversation(with: bob)
        try await alice.say("before", in: there)
        try await until("Bob has it") { await bob.texts(with: [alice]) == ["before"] }
        let here = try await bob.conversation(with: alice)
        let end = try #require(await alice.agent.delegations()).mail
        var said = ["before"]
        // Weeks pass at a time, and then the end, over which both are away, but not for so long that they are taken out; after each
        // something is said.
        let (day, week): (Int64, Int64) = (86_400, 604_800)
        while clock() < end + week {
            let left = end - 3 * day - clock()
            ahead.withLockedValue { $0 += left > 60 ? min(left, 4 * week) : 5 * day }
            for person in [alice, bob] {
                await person.agent.advance()
                try await person.connected()
            }
            for (person, conversation) in [(alice, there), (bob, here)] {
                said.append("\(person.name), \((end - clock()) / day) days before the end")
                try await person.say(said[said.count - 1], in: conversation)
            }
            let all = Set(said)
            for (person, conversation) in [(alice, there), (bob, here)] {
                try await until("\(person.name) has all of it", within: .seconds(90)) {
                    Set(await person.texts(in: conversation)) == all
                }
            }
        }
        for person in [alice, bob] {
            #expect(try #require(await person.agent.delegations()).mail > end)
            #expect(try await person.agent.conversations().count == 1)
        }
        for person in [alice, bob] { await person.agent.stop() }
        await relay.stop()
    }
}
