import DSIPIdentity
import DSIPSignaling
import Encoding
import MessagingSimulation
import Testing

@testable import DSIPMessaging

/// Many who are asked into a group at once. M§5.1, M§14.2
@Suite struct AdditionTests {
    private func size(_ commit: Int, _ welcome: Int, grants: Int = 0) -> CommitSize {
        var size = CommitSize(grants: Array(repeating: String(repeating: "g", count: 1000), count: grants))
        size.set([UInt8](repeating: 0, count: commit), welcome: [UInt8](repeating: 0, count: welcome))
        return size
    }

    @Test func `Grants take room beside the commit, and once more where its welcome is handed on`() {
        #expect(size(10_000, 3000).fits)
        #expect(size(10_000, 3000, grants: 3).fits)
        #expect(!size(10_000, 3000, grants: 8).fits)
        #expect(!size(MessagingProfile.maximumMLSBytes + 1, 100).fits)
        #expect(size(2000, 1000).fits(with: [UInt8](repeating: 0, count: 4000)))
        #expect(!size(2000, 1000).fits(with: [UInt8](repeating: 0, count: 20_000)))
    }

    @Test func `Twenty people come in by several commits, and all of them read the first words`() throws {
        let world = try SimulatedWorld(seed: 31)
        let founder = world.person("founder")
        let others = (0..<20).map { world.person("person\($0)") }
        let alice = try world.device(founder)
        let devices = try others.map { try world.device($0) }
        try world.run(30)
        let group = try world.act(alice) {
            try $0.createGroup(title: "Many", members: others.map(\.did), at: world.now)
        }
        _ = try world.act(alice) { try $0.send(MessageDraft(text: "all of you"), in: group, at: world.now) }
        func isIn(_ device: SimulatedWorld.Device) -> Bool {
            guard let record = device.store.conversations().first(where: { $0.kind == .group }) else { return false }
            return record.members.count == 20 && world.texts(device, record.id) == ["all of you"]
        }
        for _ in 0..<30 where !devices.allSatisfy(isIn) { try world.run(10) }
        for device in devices { #expect(isIn(device), "\(device.name)") }
        let commits = world.messages(alice, group).filter { $0.roster?.added.isEmpty == false }
        #expect(commits.count >= 3)
        #expect(commits.allSatisfy { ($0.roster?.added.count ?? 0) <= CommitSize.people })
        #expect(Set(commits.flatMap { $0.roster?.added ?? [] }) == Set(others.map(\.did)))
    }
}
