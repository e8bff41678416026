import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation
import Testing

import struct DSIPSession.KnownRecipient

@testable import DSIPRelay

/// What every store does, run over each of them.
enum StoreKind: String, CaseIterable, Sendable {
    case memory, sqlite

    func make(in folder: TemporaryFolder, bytes: Int = 0) throws -> any RelayStore {
        switch self {
        case .memory: bytes == 0 ? MemoryStore() : MemoryStore(capacity: bytes)
        case .sqlite: try SQLiteStore(path: folder.path + "/relay.sqlite", maximumBytes: bytes)
        }
    }
}

@Suite("Stores")
struct StoreConformanceTests {
    private func row(_ handle: UInt64, to: String = "bob", type: MessageType = .bye, deadline: Int64 = 200)
        -> HeldEnvelope
    {
        HeldEnvelope(
            handle: handle,
            recipient: did(to),
            type: type,
            id: ulid(),
            from: did("alice-phone"),
            identity: did("alice"),
            deadline: deadline,
            expiresAt: 300,
            wantsDeliveryReport: true,
            size: 5
        )
    }

    private func fault(_ body: () throws(RelayError) -> Void) -> RelayError? {
        do throws(RelayError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("what is held comes back in order of arrival, fields and bytes unchanged", arguments: StoreKind.allCases)
    func held(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let rows = (1...3).map { row($0) }
        try store.commit(rows.map { .hold($0, Array("env-\($0.handle)".utf8).prefix(5) + []) })
        let state = try store.restore(at: 100)
        #expect(state.held == rows)
        #expect(state.nextHandle == 4)
        let bytes = try store.envelopes([3, 1, 99])
        #expect(bytes.map(\.handle) == [3, 1])
        #expect(bytes[0].bytes == Array("env-3".utf8))
    }

    @Test("released and expired envelopes are gone, and no handle in use is given again", arguments: StoreKind.allCases)
    func releases(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try store.commit([.hold(row(1), [1]), .hold(row(2, deadline: 90), [2]), .hold(row(3), [3])])
        try store.commit([.release(3), .release(77)])
        let state = try store.restore(at: 100)
        #expect(state.held.map(\.handle) == [1])
        #expect(state.nextHandle > 1)
        #expect(try store.envelopes([2, 3]).isEmpty)
    }

    @Test("a held invite can become a missed call", arguments: StoreKind.allCases)
    func missed(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        try store.commit([.hold(row(1, type: .invite, deadline: 50), [1]), .markMissed(1, deadline: 500)])
        let state = try store.restore(at: 100)
        #expect(state.held.first?.isMissed == true)
        #expect(state.held.first?.deadline == 500)
    }

    @Test("a ringing call is kept as last written, until it ends or its time is over", arguments: StoreKind.allCases)
    func attempts(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func attempt(_ session: ULID, until: Int64) -> StoredAttempt {
            StoredAttempt(
                session: session,
                initiator: did("alice-phone"),
                initiatorIdentity: did("alice"),
                recipient: did("bob"),
                expiresAt: 130,
                wantsDeliveryReport: true,
                reports: 2,
                legs: [.init(device: did("bob-phone"), state: .delivered, acknowledged: true, deadline: until)],
                best: nil,
                until: until,
                invite: [1, 2, 3]
            )
        }
        var kept = attempt(ulid(1), until: 400)
        let (ended, over) = (attempt(ulid(2), until: 400), attempt(ulid(3), until: 100))
        try store.commit([.attempt(kept), .attempt(ended), .attempt(over)])
        kept.legs.append(.init(device: did("bob-laptop"), state: .rejected, acknowledged: false, deadline: 132))
        kept.reports = 3
        kept.best = StoredAttempt.Rejected(
            from: did("bob-laptop"),
            id: ulid(4),
            reason: .endpointBusy,
            expiresAt: 250,
            envelope: [9]
        )
        try store.commit([.attempt(kept), .endAttempt(ended.session), .endAttempt(ulid(5))])
        #expect(try store.restore(at: 100).attempts == [kept])
        #expect(try store.restore(at: 400).attempts.isEmpty)
    }

    @Test("a commit is all or nothing when there is no room", arguments: StoreKind.allCases)
    func full(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder, bytes: kind == .sqlite ? 40 * 4096 : 100_000)
        var accepted: [UInt64] = []
        let big = [UInt8](repeating: 7, count: 10_000)
        var refusal: RelayError?
        for handle in (1...40).map({ UInt64($0) }) where refusal == nil {
            refusal = fault { () throws(RelayError) in
                try store.commit([.hold(row(handle * 2), big), .hold(row(handle * 2 + 1), big)])
            }
            if refusal == nil { accepted += [handle * 2, handle * 2 + 1] }
        }
        #expect(refusal?.code == .full)
        #expect(!accepted.isEmpty)
        #expect(try store.restore(at: 100).held.map(\.handle) == accepted)
        #expect(try store.envelopes(accepted).allSatisfy { $0.bytes == big })
        // Giving back makes room again.
        try store.commit(accepted.map { .release($0) })
        try store.commit([.hold(row(1000), big)])
        #expect(try store.restore(at: 100).held.map(\.handle) == [1000])
    }

    @Test("the known and the revoked are kept, the latest word of each", arguments: StoreKind.allCases)
    func known(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let early = KnownRecipient(recipient: did("phone"), identity: did("bob"), until: 150)
        var late = early
        late.until = 250
        let other = KnownRecipient(recipient: did("old"), identity: did("old"), until: 120)
        let revocation = StoredRevocation(subject: did("bob"), device: did("phone"), revokedAt: 10, envelope: [1])
        var older = revocation
        older.revokedAt = 5
        try store.commit([
            .known(early), .known(late), .known(other), .forget(before: 130), .revoke(revocation), .revoke(older),
        ])
        let state = try store.restore(at: 100)
        #expect(state.known == [late])
        #expect(state.revocations == [revocation])
    }

    @Test("a record of a stream takes the place of all that was kept of it", arguments: StoreKind.allCases)
    func broadcasts(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let ids = (0..<5).map { ulid(Int64($0 + 1)) }
        func row(_ number: Int, _ stream: String, replaces: Bool = false, until: Int64 = 200) -> StoredBroadcast {
            StoredBroadcast(
                id: ids[number],
                stream: stream,
                identity: did("alice"),
                replaces: replaces,
                until: until,
                envelope: [UInt8(number)]
            )
        }
        func kept(at now: Int64 = 100) throws -> [[UInt8]] { try store.restore(at: now).broadcasts.map(\.envelope) }
        try store.commit([.broadcast(row(0, "a", replaces: true)), .broadcast(row(1, "a")), .broadcast(row(2, "b"))])
        #expect(try kept() == [[0], [1], [2]])
        try store.commit([.broadcast(row(3, "a", replaces: true, until: 300))])
        #expect(try kept() == [[2], [3]])
        #expect(try kept(at: 200) == [[3]])
        try store.commit([.dropBroadcast("a"), .dropBroadcast("c")])
        #expect(try kept() == [[2]])
        try store.commit([.forget(before: 201)])
        #expect(try kept().isEmpty)
    }

    @Test("records are kept by key, the latest of each, until their time", arguments: StoreKind.allCases)
    func records(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func record(_ key: UInt8, _ value: UInt8, until: Int64) -> StoredRecord {
            StoredRecord(key: [key], value: [value], until: until)
        }
        try store.commit([
            .record(record(1, 1, until: 200)), .record(record(1, 2, until: 300)), .record(record(2, 3, until: 100)),
            .record(record(3, 4, until: 400)), .dropRecord([3]), .dropRecord([9]),
        ])
        #expect(try store.restore(at: 100).records == [record(1, 2, until: 300)])
        try store.commit([.forget(before: 301)])
        #expect(try store.restore(at: 100).records.isEmpty)
    }

    @Test("names are changed in a transaction that sees the owner's other names", arguments: StoreKind.allCases)
    func names(_ kind: StoreKind) throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        func record(_ name: String) -> NameRecord {
            NameRecord(name: name, did: did("a"), owner: did("owner"), document: [1, 2], createdAt: 1, updatedAt: 2)
        }
        try store.changeName("alice") { current, held in
            #expect(current == nil)
            #expect(held(did("owner")) == 0)
            return record("alice")
        }
        try store.changeName("al") { _, held in
            #expect(held(did("owner")) == 1)
            return record("al")
        }
        #expect(try store.name("alice") == record("alice"))
        #expect(try store.nameCount() == 2)
        #expect(throws: RelayError(.taken, "")) {
            try store.changeName("alice") { (_, _) throws(RelayError) in throw RelayError(.taken, "taken") }
        }
        #expect(try store.name("alice") != nil)
        try store.changeName("alice") { _, _ in nil }
        #expect(try store.name("alice") == nil)
    }

    @Test("SQLite keeps everything over a reopening, and refuses a later version's file")
    func reopening() throws {
        let folder = try TemporaryFolder()
        let first = try StoreKind.sqlite.make(in: folder)
        try first.commit([.hold(row(9), [4, 5])])
        first.close()
        let second = try StoreKind.sqlite.make(in: folder)
        #expect(try second.restore(at: 100).held.map(\.handle) == [9])
        #expect(try second.envelopes([9]).first?.bytes == [4, 5])
        second.close()
        // The user version stands at byte 60 of the file, big-endian (SQLite file format §1.3.13).
        let url = URL(filePath: folder.path + "/relay.sqlite")
        var file = try Data(contentsOf: url)
        file.replaceSubrange(60..<64, with: [0, 0, 0, 99])
        try file.write(to: url)
        #expect(throws: RelayError(.storage, "")) { try StoreKind.sqlite.make(in: folder) }
    }
}
