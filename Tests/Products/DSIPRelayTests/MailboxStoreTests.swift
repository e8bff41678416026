import DSIPIdentity
import DSIPMessaging
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPRelay

@Suite("The mailboxes' database")
struct MailboxStoreTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ maximumBytes: Int = 0) throws -> SQLiteMailboxStore {
        try SQLiteMailboxStore(path: folder.path + "/mailboxes.sqlite", maximumBytes: maximumBytes)
    }

    private func item(_ position: UInt64, group: GroupID? = nil, at time: Int64 = 1000) -> MailboxItem {
        MailboxItem(
            position: position,
            itemClass: .application,
            group: group,
            seq: Int64(position),
            storedAt: time,
            size: 10
        )
    }

    @Test("it does what every store of mailboxes does")
    func suite() throws {
        var paths: [ObjectIdentifier: String] = [:]
        var stores: [SQLiteMailboxStore] = []
        func open(_ path: String) throws -> SQLiteMailboxStore {
            let store = try SQLiteMailboxStore(path: path)
            paths[ObjectIdentifier(store)] = path
            stores.append(store)
            return store
        }
        let broken = try MailboxStoreSuite.violations(
            of: { try open("\(folder.path)/suite-\(stores.count).sqlite") },
            reopening: { store in
                // As after kill -9: the old connection goes without a word.
                store.rollback()
                return try open(paths[ObjectIdentifier(store)]!)
            }
        )
        #expect(broken.isEmpty)
    }

    @Test("what was committed is there after the process has gone, what was not is not")
    func durable() throws {
        let group = GroupID(ulid())
        let owner = did("owner")
        var store = try open()
        try store.apply(.put(MailboxRecord(.init("s", "a"), [1])))
        try store.apply(.insertItem(item(1, group: group), content: [9], owner: owner))
        try store.commit()
        try store.apply(.put(MailboxRecord(.init("s", "b"), [2])))
        #expect(try store.record(.init("s", "b")) == [2])
        // Not closed: as after kill -9.
        store = try open()
        #expect(try store.record(.init("s", "a")) == [1])
        #expect(try store.record(.init("s", "b")) == nil)
        #expect(try store.content(at: 1, of: owner) == [9])
        #expect(try store.highestSeq(of: group, for: owner) == 1)
    }

    @Test("an owner made in a transaction that was taken back is made again")
    func ownersRollBack() throws {
        let store = try open()
        try store.apply(.insertItem(item(1), content: [1], owner: did("a")))
        store.rollback()
        try store.apply(.insertItem(item(1), content: [2], owner: did("b")))
        try store.apply(.insertItem(item(1), content: [3], owner: did("a")))
        try store.commit()
        #expect(try store.content(at: 1, of: did("a")) == [3])
        #expect(try store.content(at: 1, of: did("b")) == [2])
    }

    @Test("a file that has reached its bound takes nothing, says that it is full, and takes again once there is room")
    func full() throws {
        let store = try open(80 * 4096)
        let big = [UInt8](repeating: 7, count: 20_000)
        var position: UInt64 = 0
        var failure: StoreFailure?
        while failure == nil, position < 100 {
            position += 1
            do throws(StoreFailure) {
                try store.apply(.insertItem(item(position), content: big, owner: did("a")))
                try store.commit()
            } catch {
                failure = error
            }
        }
        #expect(failure == .full)
        store.rollback()
        #expect(try store.items(of: did("a"), .after(0), limit: 200).count == Int(position) - 1)
        for gone in 1...3 { try store.apply(.removeItem(UInt64(gone), owner: did("a"))) }
        try store.commit()
        try store.apply(.insertItem(item(position), content: big, owner: did("a")))
        try store.commit()
        #expect(try store.content(at: position, of: did("a")) == big)
    }

    @Test("a change after one that failed cannot become durable alone")
    func broken() throws {
        let store = try open()
        try store.apply(.insertItem(item(1), content: [1], owner: did("a")))
        #expect(throws: StoreFailure.self) { try store.apply(.insertItem(item(1), content: [2], owner: did("a"))) }
        #expect(throws: StoreFailure.self) { try store.apply(.put(MailboxRecord(.init("s", "a"), [1]))) }
        #expect(throws: StoreFailure.self) { try store.commit() }
        #expect(try store.items(of: did("a"), .after(0), limit: 10).isEmpty)
        try store.apply(.put(MailboxRecord(.init("s", "a"), [1])))
        try store.commit()
    }

    @Test("every question about a mailbox of 100,000 items is a seek, not a scan")
    func seeks() throws {
        let store = try open()
        let owner = did("a")
        let groups = (0..<50).map { _ in GroupID(ulid()) }
        for position in 1...100_000 as ClosedRange<UInt64> {
            let item = MailboxItem(
                position: position,
                itemClass: position % 3 == 0 ? .archive : .application,
                group: groups[Int(position) % groups.count],
                seq: Int64(position),
                storedAt: Int64(position),
                size: 100
            )
            try store.apply(.insertItem(item, content: [1, 2, 3], owner: owner))
        }
        try store.commit()
        let group = groups[7]
        let start = ContinuousClock.now
        for _ in 0..<200 {
            #expect(try store.items(of: owner, .after(99_900), limit: 50).count == 50)
            #expect(try store.items(of: owner, .sequenced(group, 57), limit: 1).isEmpty)
            #expect(try store.items(of: owner, .archived(group, 57), limit: 1).count == 1)
            #expect(try store.items(of: owner, .groupInfo(group), limit: 1).isEmpty)
            #expect(try store.highestSeq(of: group, for: owner) == 99_907)
            let ended = ItemSelection.ended(now: 5, messages: 5, archive: nil)
            #expect(try store.items(of: owner, ended, limit: 100).map(\.position) == [1, 2, 4])
        }
        // 1200 questions; a scan of all rows for each would take minutes.
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
