import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import MessagingSimulation
import Testing

/// Many who are asked into a group at once, where mailboxes take nobody in without a grant. M§14.2
@Suite struct AdditionTests {
    @Test func `Twenty people whose grants do not fit one commit all come in, and read what is said`() throws {
        let world = try SimulatedWorld(seed: 31)
        world.admission = .grant
        let founder = world.person("founder")
        let others = (0..<20).map { world.person("person\($0)") }
        let alice = try world.device(founder)
        let devices = try others.map { try world.device($0) }
        try world.run(30)
        for other in others {
            let thread = try world.act(alice) { try $0.open(with: other.did, at: world.now) }
            _ = try world.act(alice) { try $0.send(MessageDraft(text: "hello"), in: thread, at: world.now) }
        }
        try wait(world) { devices.allSatisfy { !$0.store.conversations().isEmpty } }
        let group = try world.act(alice) {
            try $0.createGroup(title: "Many", members: others.map(\.did), at: world.now)
        }
        _ = try world.act(alice) { try $0.send(MessageDraft(text: "all of you"), in: group, at: world.now) }
        func record(_ device: SimulatedWorld.Device) -> ConversationRecord? {
            device.store.conversations().first { $0.kind == .group }
        }
        try wait(world) {
            devices.allSatisfy { device in
                record(device).map { $0.members.count == 20 && world.texts(device, $0.id) == ["all of you"] } ?? false
            }
        }
        try world.run(60)
        for device in devices { #expect(device.messenger.loose == []) }
        #expect(alice.messenger.loose == [])
    }

    private func wait(_ world: SimulatedWorld, _ isDone: () -> Bool) throws {
        for _ in 0..<60 where !isDone() { try world.run(10) }
        #expect(isDone())
    }
}
