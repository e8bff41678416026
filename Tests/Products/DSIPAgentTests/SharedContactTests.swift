import DSIPIdentity
import Encoding
import Support
import Testing

@testable import DSIPAgent

@Suite("Contacts that devices share")
struct SharedContactTests {
    private let now: Int64 = 1_760_000_000

    private func did(_ name: String) -> DID { DID("did:example:\(name)")! }

    private func contact(_ name: String, at: Int64, as title: String = "Name") -> SharedContact {
        SharedContact(
            did: did(name),
            at: at,
            entry: .init(name: title, alias: nil, relay: nil, addedAt: 1, allowed: true, blocked: false)
        )
    }

    @Test("the later change wins, and of two at once every device picks the same")
    func winner() {
        let (a, b) = (contact("x", at: 5, as: "A"), contact("x", at: 5, as: "B"))
        let removed = SharedContact(did: did("x"), at: 5, entry: nil)
        #expect(contact("x", at: 6, as: "A").wins(over: b) && !b.wins(over: contact("x", at: 6, as: "A")))
        for (one, other) in [(a, b), (a, removed), (removed, b)] {
            #expect(one.wins(over: other) != other.wins(over: one))
        }
        #expect(!a.wins(over: a))
    }

    @Test("what one writes the other reads; what is no contact, or of the future, is not taken")
    func reading() throws {
        let whole = SharedContact(
            did: did("x"),
            at: now,
            entry: .init(
                name: "Zoë",
                alias: "zoe@example.com",
                relay: "wss://relay.example/dsip",
                addedAt: 7,
                allowed: false,
                blocked: true
            )
        )
        for row in [whole, SharedContact(did: did("y"), at: 3, entry: nil)] {
            #expect(SharedContact(try JSONValue(parsing: row.json.utf8), at: now) == row)
        }
        #expect(SharedContact(contact("x", at: now + 301).json, at: now) == nil)
        #expect(SharedContact(contact("x", at: -1).json, at: now) == nil)
        #expect(SharedContact(contact("x", at: 1, as: "a\u{202e}b").json, at: now) == nil)
        var object = try #require(whole.json.object)
        object["relay"] = "http://relay.example"
        #expect(SharedContact(.object(object), at: now) == nil)
        for text in ["{}", "[]", "null", #"{"did": "x", "at": 1}"#, #"{"did": "did:example:x", "at": 1}"#] {
            #expect(SharedContact(try JSONValue(parsing: text), at: now) == nil)
        }
    }

    @Test("digests differ where contacts do, and only there, in whatever order these come")
    func digests() throws {
        var random = SeededRandom(seed: 11)
        var rows = (0..<300).map { contact("person-\($0)", at: Int64($0)) }
        let before = ContactDigest(rows)
        rows.shuffle(using: &random)
        #expect(ContactDigest(rows) == before)
        #expect(try #require(ContactDigest(before.json)) == before)
        rows[17] = contact("person-\(rows[17].at)", at: rows[17].at + 1)
        #expect(ContactDigest(rows).differences(from: before) == [ContactDigest.part(of: rows[17].did)])
        #expect(ContactDigest(nil) == nil && ContactDigest("AAAA") == nil && ContactDigest("*") == nil)
        #expect(ContactDigest([]).differences(from: before).count == ContactDigest.parts)
    }

    @Test("two devices that merge each other’s rows end with the same list, whatever was changed where")
    func convergence() {
        for seed in 1...50 as ClosedRange<UInt64> {
            var random = SeededRandom(seed: seed)
            func list() -> [DID: SharedContact] {
                var list: [DID: SharedContact] = [:]
                for number in 0..<40 where Bool.random(using: &random) {
                    let at = Int64.random(in: 0...3, using: &random)
                    list[did("\(number)")] =
                        Bool.random(using: &random)
                        ? contact("\(number)", at: at, as: "N\(Int.random(in: 0...3, using: &random))")
                        : SharedContact(did: did("\(number)"), at: at, entry: nil)
                }
                return list
            }
            let (a, b) = (list(), list())
            let one = a.merging(b) { $1.wins(over: $0) ? $1 : $0 }
            let other = b.merging(a) { $1.wins(over: $0) ? $1 : $0 }
            #expect(one == other, "seed \(seed)")
        }
    }
}
