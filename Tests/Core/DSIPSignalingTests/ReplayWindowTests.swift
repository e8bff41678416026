import DSIPSignaling
import Encoding
import Testing

@Suite("The replay window")
struct ReplayWindowTests {
    private let now = Fixture.now

    @Test("an id is remembered until its time has passed, then forgotten")
    func forgetting() {
        var window = ReplayWindow()
        #expect(window.remember(Fixture.ulid(1), until: now + 60, at: now))
        #expect(!window.remember(Fixture.ulid(1), until: now + 60, at: now + 60))
        #expect(window.remember(Fixture.ulid(2), until: now + 400, at: now + 200))
        #expect(window.count == 1 && !window.contains(Fixture.ulid(1)))
    }

    @Test("it stays within its bound and lets go first of what expires first")
    func bounded() {
        var window = ReplayWindow(capacity: 100)
        for i in 0..<1000 {
            _ = window.remember(Fixture.ulid(UInt64(i)), until: now + Int64(i % 10) * 60, at: now)
            #expect(window.count <= 101)
        }
        #expect(window.contains(Fixture.ulid(999)))
    }

    @Test("a flood of introductions cannot push out the ids of calls")
    func lanes() {
        var window = ReplayWindow(capacity: 1000, lastingCapacity: 10)
        #expect(window.remember(Fixture.ulid(0), until: now + 300, at: now))
        for i in 1...500 { _ = window.remember(Fixture.ulid(UInt64(i)), until: now + 500_000, at: now) }
        #expect(window.contains(Fixture.ulid(0)))
        #expect(window.count <= 12)
    }

    @Test("of two threads that verify the same message one is first")
    func shared() async {
        let window = SharedReplayWindow()
        let id = Fixture.ulid(1)
        let firsts = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<64 { group.addTask { window.remember(id, until: 1_760_000_300, at: 1_760_000_000) } }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(firsts == 1)
    }
}
