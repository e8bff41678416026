import DSIPIdentity
import DSIPMessaging
import Encoding

/// What every `MailboxStore` must do. Run it over each implementation; an empty list of violations passes.
package enum MailboxStoreSuite {
    /// - Parameters:
    ///   - make: an empty store.
    ///   - reopen: what the store has after a crash at this moment: all that was committed, and nothing else.
    /// - Returns: the promises that were broken, in words.
    package static func violations(
        of make: () throws -> any MailboxStore,
        reopening reopen: (any MailboxStore) throws -> any MailboxStore
    ) throws -> [String] {
        var broken: [String] = []
        try records(make(), &broken)
        try items(make(), &broken)
        try ordered(make(), &broken)
        try transactions(make(), reopen, &broken)
        return broken
    }

    private static let alice = DID("did:web:alice.example")!
    private static let bob = DID("did:web:bob.example")!
    private static let groups = (1...3).map { number in
        GroupID(ULID("01K742SG0000000000000000\(number)0")!)
    }

    private static func check(_ holds: Bool, _ promise: String, _ broken: inout [String]) {
        if !holds { broken.append(promise) }
    }

    private static func put(_ scope: String, _ name: String, _ value: [UInt8]) -> MailboxChange {
        .put(MailboxRecord(.init(scope, name), value))
    }

    // MARK: Records

    private static func records(_ store: any MailboxStore, _ broken: inout [String]) throws {
        check(try store.record(.init("a", "x")) == nil, "an empty store holds no record", &broken)
        for name in ["b", "a/2", "a/10", "é", "Z"] { try store.apply(put("one", name, Array(name.utf8))) }
        try store.apply(put("two", "b", []))
        try store.apply(put("one", "b", [1, 2]))
        check(try store.record(.init("one", "b")) == [1, 2], "a record takes another's place under its key", &broken)
        check(try store.record(.init("two", "b")) == [], "an empty value is a value, and scopes are apart", &broken)
        let names = try store.records(in: "one", after: nil, limit: 10).map(\.key.name)
        check(names == ["Z", "a/10", "a/2", "b", "é"], "records come by their names, bytewise: \(names)", &broken)
        let page = try store.records(in: "one", after: "a/10", limit: 2)
        check(page.map(\.key.name) == ["a/2", "b"], "records are paged from behind a name", &broken)
        check(page.last?.value == [1, 2], "records come with their values", &broken)
        for scope in ["mailbox/b", "mailbox/a", "mailbox", "hub/a"] { try store.apply(put(scope, "head", [0])) }
        let scopes = try store.scopes(withPrefix: "mailbox/", after: nil, limit: 10)
        check(scopes == ["mailbox/a", "mailbox/b"], "scopes are found by what they begin with", &broken)
        let rest = try store.scopes(withPrefix: "mailbox/", after: "mailbox/a", limit: 1)
        check(rest == ["mailbox/b"], "scopes are paged", &broken)
        try store.apply(.remove(.init("one", "b")))
        try store.apply(.remove(.init("one", "never there")))
        check(try store.record(.init("one", "b")) == nil, "a removed record is gone", &broken)
        check(try store.record(.init("two", "b")) != nil, "another scope's record stays", &broken)
    }

    // MARK: Items

    private static func item(
        _ position: UInt64,
        _ itemClass: DepositClass,
        _ group: Int? = 0,
        seq: Int64? = nil,
        at storedAt: Int64 = 100,
        digest: String? = nil,
        until end: Int64? = nil
    ) -> MailboxItem {
        MailboxItem(
            position: position,
            itemClass: itemClass,
            group: group.map { groups[$0] },
            seq: seq,
            storedAt: storedAt,
            size: Int64(position) * 10,
            digest: digest,
            expiresAt: end
        )
    }

    private static func items(_ store: any MailboxStore, _ broken: inout [String]) throws {
        let all = [
            item(1, .welcome, digest: "w1"), item(2, .handshake, seq: 1), item(3, .application, seq: 2, at: 200),
            item(4, .archive, seq: 2, at: 50), item(5, .groupInfo), item(6, .application, 1, seq: 2),
            item(7, .introduction, nil, until: 500), item(8, .grant, nil, until: 90), item(9, .application, seq: 7),
            item(10, .welcome, 1, digest: "w1"), item(300, .archive, 1, seq: 1, at: 300),
        ]
        for item in all {
            try store.apply(.insertItem(item, content: Array("content \(item.position)".utf8), owner: alice))
        }
        let others = item(2, .application, seq: 1)
        try store.apply(.insertItem(others, content: [9], owner: bob))
        let selections: [ItemSelection] = [
            .after(0), .after(5), .after(300), .through(0), .through(4), .sequenced(groups[0], 1),
            .sequenced(groups[0], 2), .sequenced(groups[0], 3), .sequenced(groups[2], 1), .archived(groups[0], 2),
            .archived(groups[0], 1), .archived(groups[1], 1), .welcome(groups[0], digest: "w1"),
            .welcome(groups[1], digest: "w1"), .welcome(groups[0], digest: "w2"), .groupInfo(groups[0]),
            .groupInfo(groups[1]), .registration(groups[0], from: 3), .registration(groups[1], from: 0),
            .ended(now: 100, messages: 0, archive: nil), .ended(now: 100, messages: 150, archive: nil),
            .ended(now: 501, messages: 0, archive: 51), .ended(now: 90, messages: 100, archive: 50),
        ]
        for selection in selections {
            let found = try store.items(of: alice, selection, limit: 100)
            check(found == all.filter(selection.includes), "items \(selection) are \(found.map(\.position))", &broken)
            let first = try store.items(of: alice, selection, limit: 1)
            check(first == Array(found.prefix(1)), "items \(selection) are limited from the front", &broken)
        }
        check(try store.items(of: bob, .after(0), limit: 9) == [others], "mailboxes are apart", &broken)
        let content = try store.content(at: 300, of: alice)
        check(content == Array("content 300".utf8), "an item has its content", &broken)
        check(try store.content(at: 11, of: alice) == nil, "an item that is not there has none", &broken)
        check(try store.highestSeq(of: groups[0], for: alice) == 7, "the highest seq is of hub's items", &broken)
        check(try store.highestSeq(of: groups[1], for: alice) == 2, "an archive record's seq does not count", &broken)
        check(try store.highestSeq(of: groups[2], for: alice) == nil, "no items, no highest seq", &broken)
        try store.apply(.removeItem(9, owner: alice))
        try store.apply(.removeItem(9, owner: bob))
        check(try store.highestSeq(of: groups[0], for: alice) == 2, "a removed item does not count", &broken)
        check(try store.content(at: 9, of: alice) == nil, "a removed item's content is gone", &broken)
        check(try store.content(at: 2, of: bob) == [9], "another mailbox's item stays", &broken)
    }

    // MARK: Ordered

    private static func ordered(_ store: any MailboxStore, _ broken: inout [String]) throws {
        func item(_ group: Int, _ seq: Int64, _ content: [UInt8]? = [1]) -> OrderedItem {
            OrderedItem(
                group: groups[group],
                seq: seq,
                itemClass: seq == 1 ? .handshake : .application,
                digest: "digest \(seq)",
                orderedAt: 1000 + seq,
                content: content
            )
        }
        for seq in Int64(1)...5 { try store.apply(.insertOrdered(item(0, seq, seq == 5 ? nil : [UInt8(seq)]))) }
        try store.apply(.insertOrdered(item(1, 1)))
        check(try store.ordered(1, in: groups[0]) == item(0, 1, [1]), "an ordered item is as it was put", &broken)
        check(try store.ordered(5, in: groups[0]) == item(0, 5, nil), "one without content is too", &broken)
        check(try store.ordered(6, in: groups[0]) == nil, "what was not ordered is not there", &broken)
        check(try store.orderedSeq(of: "digest 3", in: groups[0]) == 3, "an item is found by digest", &broken)
        check(try store.orderedSeq(of: "digest 3", in: groups[1]) == nil, "groups are apart", &broken)
        try store.apply(.releaseOrdered(groups[0], below: 3))
        check(try store.ordered(2, in: groups[0]) == item(0, 2, nil), "a released item keeps all but content", &broken)
        check(try store.ordered(3, in: groups[0])?.content == [3], "what is not below stays", &broken)
        check(try store.ordered(1, in: groups[1])?.content == [1], "another group's stays", &broken)
        check(try store.orderedSeq(of: "digest 2", in: groups[0]) == 2, "a released item keeps its digest", &broken)
        try store.apply(.removeOrdered(groups[0], below: 4))
        check(try store.ordered(3, in: groups[0]) == nil, "a removed item is gone", &broken)
        check(try store.orderedSeq(of: "digest 3", in: groups[0]) == nil, "so is its digest", &broken)
        check(try store.ordered(4, in: groups[0]) != nil, "later ones stay", &broken)
        check(try store.ordered(1, in: groups[1]) != nil, "other groups' stay", &broken)
    }

    // MARK: Transactions

    private static func transactions(
        _ store: any MailboxStore,
        _ reopen: (any MailboxStore) throws -> any MailboxStore,
        _ broken: inout [String]
    ) throws {
        try store.apply(put("s", "kept", [1]))
        try store.apply(.insertItem(item(1, .application, seq: 1), content: [1], owner: alice))
        try store.commit()
        try store.apply(put("s", "kept", [2]))
        try store.apply(put("s", "new", [2]))
        try store.apply(.removeItem(1, owner: alice))
        check(try store.record(.init("s", "kept")) == [2], "a change is seen before it is committed", &broken)
        store.rollback()
        check(try store.record(.init("s", "kept")) == [1], "a rollback takes changes back", &broken)
        check(try store.record(.init("s", "new")) == nil, "a rollback takes new records back", &broken)
        check(try store.content(at: 1, of: alice) == [1], "a rollback brings removed items back", &broken)
        store.rollback()
        try store.commit()
        try store.apply(put("s", "second", [3]))
        try store.commit()
        try store.apply(put("s", "lost", [4]))
        let again = try reopen(store)
        check(try again.record(.init("s", "kept")) == [1], "what was committed is there after a crash", &broken)
        check(try again.record(.init("s", "second")) == [3], "later commits too", &broken)
        check(try again.content(at: 1, of: alice) == [1], "items too", &broken)
        check(try again.record(.init("s", "lost")) == nil, "what was not committed is not", &broken)
        try again.apply(put("s", "third", [5]))
        try again.commit()
        check(try again.record(.init("s", "third")) == [5], "a reopened store goes on", &broken)
    }
}
