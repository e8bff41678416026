import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import Support
import Testing

@Suite("dsip.msg, prekeys and their shelf")
struct RatchetMessageTests {
    private let sender = SigningKey()
    private let recipient = SigningKey()
    private let id = ULID("01J5Y0QBD8EF9GH0JK1MN2PQ3R")!
    private let now: Int64 = 1_760_000_000
    private let alice = DID("did:web:alice.example")!
    private let bob = DID("did:web:bob.example")!

    private func message() throws -> RatchetMessage {
        try RatchetMessage(
            sealing: [1, 2, 3],
            reference: id,
            id: id,
            from: sender.did,
            to: recipient.did,
            issuedAt: now
        )
    }

    @Test("a message is opened by the device it was sealed to, under its own id and sender alone")
    func seal() throws {
        let read = try RatchetMessage(message().json)
        let (reference, bytes) = try read.opened(by: recipient)
        #expect(reference == id && bytes == [1, 2, 3])
        #expect(throws: MessagingError(.sealedOpenFailed, "")) { try read.opened(by: sender) }
        var moved = read
        moved.head.from = recipient.did
        #expect(throws: MessagingError(.sealedOpenFailed, "")) { try moved.opened(by: recipient) }
        moved = read
        moved.ciphertext[40] ^= 1
        #expect(throws: MessagingError(.sealedOpenFailed, "")) { try moved.opened(by: recipient) }
        #expect(throws: MessagingError(.sealedOpenFailed, "")) {
            try RatchetMessage(sealing: [1], reference: id, id: id, from: sender.did, to: alice, issuedAt: now)
        }
    }

    @Test("what its schema does not admit is refused")
    func shape() throws {
        let good = try message().json.object ?? [:]
        func changed(_ name: String, _ value: JSONValue?) -> JSONValue {
            var object = good
            object[name] = value
            return .object(object)
        }
        for (name, value) in [
            ("type", "msg"), ("content", ["enc": "v1", "ciphertext": "AAAA"]), ("content", ["enc": "ratchet/1"]),
            ("content", ["enc": "ratchet/1", "ciphertext": "A"]), ("more", 1), ("to", nil),
            ("content", ["enc": "ratchet/1", "ciphertext": "AAAA", "aad": "AAAA"]),
        ] as [(String, JSONValue?)] {
            #expect(throws: MessagingError(.schemaInvalid, ""), "\(name)") { try RatchetMessage(changed(name, value)) }
        }
        #expect(throws: MessagingError(.lifetimeExceeded, "")) {
            try RatchetMessage(changed("expires_at", .int(now + 2_592_001)))
        }
        let large = Base64URL.encode([UInt8](repeating: 0, count: 40_961))
        #expect(throws: MessagingError(.objectTooLarge, "")) {
            try RatchetMessage(changed("content", ["enc": "ratchet/1", "ciphertext": .string(large)]))
        }
    }

    private func bundle(_ number: UInt8, _ device: DID) -> PreKeys.Bundle { .init(device: device, bytes: [number]) }

    private func upload(_ numbers: ClosedRange<UInt8>, isFresh: Bool = false, lastResort: UInt8? = nil) -> PreKeys {
        PreKeys(
            id: id,
            from: sender.did,
            to: bob,
            issuedAt: now,
            subject: alice,
            bundles: numbers.map { bundle($0, sender.did) },
            lastResort: lastResort.map { bundle($0, sender.did) },
            isFresh: isFresh
        )
    }

    @Test("bundles are read as they were written, and no more than twelve")
    func prekeys() throws {
        let keys = upload(1...12, isFresh: true, lastResort: 99)
        #expect(try PreKeys(keys.json) == keys)
        #expect(throws: MessagingError(.schemaInvalid, "")) { try PreKeys(upload(1...13).json) }
        let fetch = PreKeyFetch(id: id, from: sender.did, to: bob, issuedAt: now, target: alice, device: sender.did)
        #expect(try PreKeyFetch(fetch.json) == fetch)
    }

    @Test("a bundle is given out once, the oldest first; then the last resort, again and again")
    func once() throws {
        var shelf = PreKeyShelf()
        _ = try shelf.uploaded(upload(1...3, lastResort: 99), by: sender.did)
        var given: [UInt8] = []
        for _ in 0..<6 {
            guard case .bundles(let bundles, let changes) = shelf.fetched(by: bob, of: alice, at: now) else { break }
            given += bundles.flatMap(\.bytes)
            #expect(changes.count == (given.count <= 3 ? 1 : 0))
        }
        #expect(given == [1, 2, 3, 99, 99, 99])
    }

    @Test(
        "a shelf that was kept is the same; fresh bundles replace the old ones; a device that went takes its own along"
    )
    func kept() throws {
        var shelf = PreKeyShelf()
        var rows: [UInt64: PreKeys.Bundle] = [:]
        func apply(_ changes: [PreKeyShelf.Change]) {
            for change in changes {
                switch change {
                case .put(_, let number, let bundle): rows[number] = bundle
                case .remove(_, let number): rows[number] = nil
                }
            }
        }
        apply(try shelf.uploaded(upload(1...10, lastResort: 99), by: sender.did))
        if case .bundles(_, let changes) = shelf.fetched(by: bob, of: alice, at: now) { apply(changes) }
        var again = PreKeyShelf(rows.map { (device: sender.did, number: $0.key, bundle: $0.value) })
        #expect(again.remaining(of: sender.did) == 9)
        apply(try again.uploaded(upload(20...22, isFresh: true, lastResort: 98), by: sender.did))
        #expect(rows.values.map { $0.bytes[0] }.sorted() == [20, 21, 22, 98])
        apply(again.removed(sender.did))
        #expect(rows.isEmpty && again.remaining(of: sender.did) == 0)
    }

    @Test(
        "nobody empties a shelf: twenty fetches a day each, a hundred bundles a device, and a device uploads its own alone"
    )
    func limits() throws {
        var shelf = PreKeyShelf()
        for start: UInt8 in stride(from: 0, through: 112, by: 16) {
            _ = try shelf.uploaded(upload(start...(start + 15)), by: sender.did)
        }
        #expect(shelf.remaining(of: sender.did) == 100)
        for _ in 0..<20 { _ = shelf.fetched(by: bob, of: alice, at: now) }
        guard case .limited(let wait) = shelf.fetched(by: bob, of: alice, at: now + 10) else {
            Issue.record("a twenty-first fetch was admitted")
            return
        }
        #expect(wait == 86_390)
        #expect(shelf.remaining(of: sender.did) == 80)
        if case .limited = shelf.fetched(by: recipient.did, of: alice, at: now) {
            Issue.record("another was limited too")
        }
        if case .limited = shelf.fetched(by: alice, of: alice, at: now) { Issue.record("the owner was limited") }
        #expect(throws: MessagingError(.schemaInvalid, "")) { try shelf.uploaded(upload(1...2), by: recipient.did) }
    }

    @Test(
        "a conversation chooses groups when both have a mailbox, the ratchet when there are prekeys, and neither otherwise"
    )
    func choice() {
        let entry: JSONValue = [
            "uri": "wss://mail.example/dsip", "bindings": ["ws/1.0"], "mailbox": "did:web:mail.example",
            "profiles": ["messaging/1.0"],
        ]
        let one = MailboxSelection(document: [entry]).order
        #expect(ConversationChoice(own: one, peer: one, hasPreKeys: true) == .mls)
        #expect(ConversationChoice(own: one, peer: [], hasPreKeys: true) == .ratchet)
        #expect(ConversationChoice(own: [], peer: one, hasPreKeys: true) == .ratchet)
        #expect(ConversationChoice(own: one, peer: [], hasPreKeys: false) == .none)
        #expect(ConversationChoice(own: [], peer: one, hasPreKeys: false) == .none)
    }

    @Test("the conversation of two people is the same from either side, and no other pair's")
    func conversation() {
        let ours = RatchetConfiguration.conversation(alice, bob)
        #expect(ours == RatchetConfiguration.conversation(bob, alice))
        #expect(ours != RatchetConfiguration.conversation(alice, sender.did))
        #expect(ULID(ours.description) == ours)
    }
}
