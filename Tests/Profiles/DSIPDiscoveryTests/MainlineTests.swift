import Crypto
import DSIPDiscovery
import DSIPIdentity
import Foundation
import Testing

@Suite("The BitTorrent DHT: bencoding, questions, items (BEP 3, 5, 43, 44)")
struct MainlineTests {
    private func read(_ text: String) throws -> Bencode { try Bencode(Array(text.utf8)) }

    @Test("values are read as they are written, and nothing else is")
    func bencode() throws {
        for text in ["i0e", "i-42e", "0:", "4:spam", "le", "l4:spami7ee", "de", "d1:ai1e1:bd1:cleee"] {
            #expect(try read(text).encoded == Array(text.utf8), "\(text)")
        }
        #expect(try read("d1:ai1e1:b2:xye")["b"]?.bytes == Array("xy".utf8))
        #expect(try read("d1:ai-1ee")["a"]?.integer == -1)
        for text in [
            "", "i", "ie", "i-e", "i-0e", "i01e", "i1", "i--1e", "i9999999999999999999e", "5:spam", "-1:", "01:a", "l",
            "d", "d1:a",
            "d1:bi1e1:ai1ee", "d1:ai1e1:ai1ee", "di1ei2ee", "i1ei2e", "99999999999:",
            String(repeating: "l", count: 40) + String(repeating: "e", count: 40),
        ] {
            #expect(throws: DiscoveryError.self, "\(text)") { try read(text) }
        }
    }

    // MARK: A network of nodes on no wire

    /// Nodes that keep what they are given. Each knows all that answer, and of those that do not every second.
    private final class Swarm {
        struct Node {
            var id: [UInt8]
            var item: (k: [UInt8], sig: [UInt8], seq: Int64, v: [UInt8])?
            var isSilent = false
        }

        var nodes: [MainlineNode.Place: Node] = [:]
        private(set) var asked = 0
        var forged: [UInt8]?

        init(_ count: Int, silent: Int = 0) {
            for number in 0..<count {
                let place = MainlineNode.Place(address: [10, 0, UInt8(number / 250), UInt8(number % 250)], port: 6881)
                let id = Array(Insecure.SHA1.hash(data: [UInt8(number / 256), UInt8(number % 256)]))
                nodes[place] = Node(id: id, isSilent: number < silent)
            }
        }

        var some: [MainlineNode] {
            nodes.filter { !$0.value.isSilent }.keys.sorted { $0.address.lexicographicallyPrecedes($1.address) }.prefix(
                3
            )
            .map { MainlineNode(address: $0.address, port: $0.port) }
        }

        private func near(_ target: [UInt8]) -> [(MainlineNode.Place, Node)] {
            nodes.map { (zip($0.value.id, target).map { $0 ^ $1 }, $0) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
                .map { ($0.1.key, $0.1.value) }
        }

        func keepers(_ target: [UInt8]) -> [MainlineNode.Place] { near(target).prefix(8).map(\.0) }

        func answer(_ datagram: MainlineSearch.Datagram) -> [UInt8]? {
            asked += 1
            guard var node = nodes[datagram.to], !node.isSilent, let query = try? Bencode(datagram.bytes),
                query["ro"]?.integer == 1, let arguments = query["a"]
            else { return nil }
            let t = query["t"]
            if query["q"]?.bytes == Array("get".utf8), let target = arguments["target"]?.bytes {
                let known = near(target).filter { !$0.1.isSilent || ($0.1.id[0] ^ node.id[0]) & 1 == 0 }
                let list = known.prefix(8).flatMap { place, node in
                    node.id + place.address + [UInt8(place.port >> 8), UInt8(truncatingIfNeeded: place.port)]
                }
                var members: [(String, Bencode?)] = [
                    ("id", .bytes(node.id)), ("nodes", .bytes(list)), ("token", .bytes(Array(node.id.prefix(4)))),
                ]
                if let item = node.item, Array(Insecure.SHA1.hash(data: item.k)) == target {
                    members += [
                        ("k", .bytes(item.k)), ("seq", .integer(item.seq)), ("sig", .bytes(item.sig)),
                        ("v", .bytes(forged ?? item.v)),
                    ]
                }
                return Bencode.object([("r", .object(members)), ("t", t), ("y", .text("r"))]).encoded
            }
            guard arguments["token"]?.bytes == Array(node.id.prefix(4)), let k = arguments["k"]?.bytes,
                let sig = arguments["sig"]?.bytes, let seq = arguments["seq"]?.integer, let v = arguments["v"]?.bytes
            else { return nil }
            if let held = node.item, held.seq > seq {
                let error = Bencode.list([.integer(302), .text("older")])
                return Bencode.object([("e", error), ("t", t), ("y", .text("e"))]).encoded
            }
            node.item = (k, sig, seq, v)
            nodes[datagram.to] = node
            return Bencode.object([("r", .object([("id", .bytes(node.id))])), ("t", t), ("y", .text("r"))]).encoded
        }

        /// Runs a search to its end; a round of answers takes 50 ms.
        func run(_ search: inout MainlineSearch) {
            var now: Int64 = 0
            for _ in 0..<1_000 where !search.isDone {
                let out = search.advance(to: now)
                now += 50
                for datagram in out {
                    // What comes from elsewhere is nobody's answer.
                    if let bytes = answer(datagram) {
                        search.receive(bytes, from: .init(address: [9, 9, 9, 9], port: 1))
                        search.receive(bytes, from: datagram.to)
                    }
                }
                if out.isEmpty, let deadline = search.deadline { now = max(now, deadline) }
            }
        }
    }

    private let key = Self.key(0)

    private static func key(_ number: UInt8) -> SigningKey {
        (try? Curve25519.Signing.PrivateKey(rawRepresentation: SHA256.hash(data: [number]))).map {
            SigningKey(selfIssued: $0)
        } ?? SigningKey(selfIssued: .init())
    }

    private var raw: [UInt8] { raw(key) }

    private func raw(_ key: SigningKey) -> [UInt8] {
        guard case .ed25519(let key) = key.publicKey else { return [] }
        return Array(key.rawRepresentation)
    }

    private func search(
        _ swarm: Swarm,
        publishing packet: PkarrPacket? = nil,
        of key: SigningKey? = nil
    ) throws -> MainlineSearch {
        let raw = raw(key ?? self.key)
        return try #require(
            MainlineSearch(
                for: raw,
                publishing: packet.map { MainlineItem($0, key: raw) },
                from: swarm.some,
                id: [UInt8](repeating: 7, count: 20),
                firstTransaction: .max
            )
        )
    }

    @Test(
        "what is put with the nearest is found by who knows three others, a third of the nodes silent",
        arguments: 1...12
    )
    func roundTrip(_ number: UInt8) throws {
        let swarm = Swarm(300, silent: 100)
        let key = Self.key(number)
        let packet = try PkarrPacket(signing: Array("zone".utf8), at: 1_760_000_000_000_000, by: key)
        var put = try search(swarm, publishing: packet, of: key)
        swarm.run(&put)
        #expect(put.isDone && put.taken == 8 && !put.isStale && put.found == nil)
        let before = swarm.asked
        var get = try search(swarm, of: key)
        swarm.run(&get)
        #expect(get.isDone && get.found?.payload == packet.payload)
        #expect(swarm.asked - before <= 40)
        #expect(!get.nearest.isEmpty && get.nearest.count <= 8)
        // An older one is refused by those who have a newer, and said to be.
        let older = try PkarrPacket(signing: Array("old".utf8), at: 1_759_000_000_000_000, by: key)
        var late = try search(swarm, publishing: older, of: key)
        swarm.run(&late)
        #expect(late.isStale && late.taken == 0)
    }

    @Test("of several the newest stands; what is not signed by the key is nothing")
    func newest() throws {
        let swarm = Swarm(60)
        for (value, time) in [("one", 1), ("two", 2)] as [(String, UInt64)] {
            var put = try search(
                swarm,
                publishing: PkarrPacket(signing: Array(value.utf8), at: time * 1_000_000, by: key)
            )
            swarm.run(&put)
            // The second does not reach two of those that have the first.
            if time == 1 {
                let target = Array(Insecure.SHA1.hash(data: raw))
                for place in swarm.keepers(target).prefix(2) { swarm.nodes[place]?.isSilent = true }
            }
        }
        for place in swarm.nodes.keys { swarm.nodes[place]?.isSilent = false }
        var get = try search(swarm)
        swarm.run(&get)
        #expect(get.found?.sequence == 2_000_000 && get.found?.value == Array("two".utf8))
        swarm.forged = Array("evil".utf8)
        var forged = try search(swarm)
        swarm.run(&forged)
        #expect(forged.isDone && forged.found == nil && forged.answers >= 8)
    }

    @Test("nobody there: the search ends, and asks no more than it may")
    func nobody() throws {
        let swarm = Swarm(200)
        for place in swarm.nodes.keys { swarm.nodes[place]?.isSilent = true }
        var get = try #require(
            MainlineSearch(
                for: raw,
                from: swarm.nodes.keys.map { MainlineNode(address: $0.address, port: $0.port) },
                id: [UInt8](repeating: 7, count: 20),
                firstTransaction: 0
            )
        )
        swarm.run(&get)
        #expect(get.isDone && get.answers == 0 && swarm.asked == 64)
    }
}
