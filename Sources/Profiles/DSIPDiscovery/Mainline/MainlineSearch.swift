import Crypto
import DSIPIdentity
import Encoding

/// One search for the item of a key in the BitTorrent DHT, and its publication: a pure machine of datagrams.
///
/// It asks the nearest known for the item, ``atOnce`` at a time, until the nearest ``wanted`` that answer have, or nobody is left. Items that
/// do not verify are dropped; of the others the one with the highest sequence stands. A publication then goes to the nearest that gave a
/// token.
public struct MainlineSearch: Sendable {
    /// Nodes that keep an item, and that are asked to.
    static let wanted = 8
    static let atOnce = 4
    /// Nodes heard of in one search, and asked in one.
    static let maximumKnown = 256
    static let maximumAsked = 64
    /// Milliseconds in which a node answers.
    static let patience: Int64 = 1_500

    public struct Datagram: Hashable, Sendable {
        public var to: MainlineNode.Place
        public var bytes: [UInt8]
    }

    private struct Known: Sendable {
        var place: MainlineNode.Place
        /// Between its id and the target; that of a node known by its address alone is not known and the nearest.
        var distance: [UInt8]
        var state = State.heard
        var token: [UInt8]?
    }

    private enum State: Sendable { case heard, asked, answered, silent }

    private enum Question: Sendable {
        case get
        case put
    }

    public let key: [UInt8]
    private let publicKey: PublicKey
    private let publishing: MainlineItem?
    private let target: [UInt8]
    private let id: [UInt8]
    private var known: [Known] = []
    private var places: Set<MainlineNode.Place> = []
    private var open: [[UInt8]: (place: MainlineNode.Place, question: Question, until: Int64)] = [:]
    private var nextTransaction: UInt16
    private var asked = 0
    private var isPutting = false
    /// The newest item that verifies.
    public private(set) var found: MainlineItem?
    /// Nodes that took the publication, and whether one refused it as not newer than what it has.
    public private(set) var taken = 0
    public private(set) var isStale = false
    /// Nodes that answered.
    public private(set) var answers = 0

    /// - Parameters:
    ///   - key: Ed25519, 32 bytes.
    ///   - publishing: what is to be kept under it; its signature is the caller's care.
    ///   - id: 20 bytes of chance, and so is the first transaction.
    public init?(
        for key: [UInt8],
        publishing: MainlineItem? = nil,
        from nodes: [MainlineNode],
        id: [UInt8],
        firstTransaction: UInt16
    ) {
        guard let publicKey = PublicKey(ed25519: key) else { return nil }
        self.key = key
        self.publicKey = publicKey
        self.publishing = publishing
        self.id = id
        target = Array(Insecure.SHA1.hash(data: key))
        nextTransaction = firstTransaction
        for node in nodes { hear(of: node) }
    }

    /// The nearest that answered, to begin with another time.
    public var nearest: [MainlineNode] {
        known.filter { $0.state == .answered }.prefix(Self.wanted).map {
            MainlineNode(address: $0.place.address, port: $0.place.port)
        }
    }

    public var isDone: Bool { open.isEmpty && (publishing == nil || isPutting) && next() == nil }

    /// Milliseconds at which `advance(to:)` has something to do.
    public var deadline: Int64? { open.values.map(\.until).min() }

    /// What to send now.
    public mutating func advance(to now: Int64) -> [Datagram] {
        for (transaction, question) in open where question.until <= now {
            open[transaction] = nil
            mark(question.place, .silent)
        }
        var out: [Datagram] = []
        while !isPutting, open.count < Self.atOnce, let index = next() {
            known[index].state = .asked
            asked += 1
            let transaction = begin(.get, known[index].place, now)
            out.append(
                Datagram(
                    to: known[index].place,
                    bytes: MainlineMessage.get(target, id: id, transaction: transaction)
                )
            )
        }
        if let publishing, !isPutting, open.isEmpty {
            isPutting = true
            for node in known.lazy.filter({ $0.state == .answered && $0.token != nil }).prefix(Self.wanted) {
                let transaction = begin(.put, node.place, now)
                let bytes = MainlineMessage.put(
                    publishing,
                    token: node.token ?? [],
                    id: id,
                    transaction: transaction
                )
                out.append(Datagram(to: node.place, bytes: bytes))
            }
        }
        return out
    }

    /// A datagram came from `place`; what nobody there was asked for is passed over.
    public mutating func receive(_ bytes: [UInt8], from place: MainlineNode.Place) {
        switch MainlineMessage.read(bytes) {
        case .answer(let answer):
            guard let question = open[answer.transaction], question.place == place else { return }
            open[answer.transaction] = nil
            guard question.question == .get else {
                taken += 1
                return
            }
            answers += 1
            mark(place, .answered, id: answer.id, token: answer.token)
            for node in answer.nodes.prefix(2 * Self.wanted) { hear(of: node) }
            take(answer.item)
        case .refusal(let transaction, let code):
            guard let question = open[transaction], question.place == place else { return }
            open[transaction] = nil
            if question.question == .put { isStale = isStale || code == 302 } else { mark(place, .silent) }
        case nil: return
        }
    }

    private mutating func take(_ item: (signature: [UInt8], sequence: UInt64, value: [UInt8])?) {
        guard let item, item.value.count <= 1_000, item.sequence > found?.sequence ?? 0 || found == nil,
            BEP44.isValid(item.signature, sequence: item.sequence, value: item.value, under: publicKey)
        else { return }
        found = MainlineItem(key: key, signature: item.signature, sequence: item.sequence, value: item.value)
    }

    // MARK: Nodes

    /// The nearest that has not been asked, unless the nearest that are not silent have answered already.
    private func next() -> Int? {
        guard asked < Self.maximumAsked else { return nil }
        var answered = 0
        for index in known.indices where known[index].state != .silent {
            switch known[index].state {
            case .heard: return index
            case .answered: answered += 1
            default: break
            }
            if answered == Self.wanted { return nil }
        }
        return nil
    }

    private mutating func hear(of node: MainlineNode) {
        guard node.port > 0, known.count < Self.maximumKnown, places.insert(node.place).inserted else { return }
        insert(Known(place: node.place, distance: node.id.map(distance) ?? []))
    }

    private mutating func insert(_ node: Known) {
        let index = known.firstIndex { node.distance.lexicographicallyPrecedes($0.distance) } ?? known.count
        known.insert(node, at: index)
    }

    private mutating func mark(
        _ place: MainlineNode.Place,
        _ state: State,
        id: [UInt8]? = nil,
        token: [UInt8]? = nil
    ) {
        guard let index = known.firstIndex(where: { $0.place == place }) else { return }
        known[index].state = state
        known[index].token = token
        // Who it says to be decides how near it is, also where somebody else said otherwise.
        guard let id, distance(id) != known[index].distance else { return }
        var node = known.remove(at: index)
        node.distance = distance(id)
        insert(node)
    }

    private func distance(_ id: [UInt8]) -> [UInt8] { zip(id, target).map { $0 ^ $1 } }

    private mutating func begin(_ question: Question, _ place: MainlineNode.Place, _ now: Int64) -> [UInt8] {
        let transaction = [UInt8(nextTransaction >> 8), UInt8(truncatingIfNeeded: nextTransaction)]
        nextTransaction &+= 1
        open[transaction] = (place, question, now + Self.patience)
        return transaction
    }
}
