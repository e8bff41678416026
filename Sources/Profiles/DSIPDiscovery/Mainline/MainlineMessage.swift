import Encoding

/// A node of the BitTorrent DHT (BEP 5, BEP 32).
public struct MainlineNode: Hashable, Sendable {
    /// 20 bytes; nil for one of which the address alone is known.
    public var id: [UInt8]?
    /// 4 or 16 bytes.
    public var address: [UInt8]
    public var port: UInt16

    public init(id: [UInt8]? = nil, address: [UInt8], port: UInt16) {
        (self.id, self.address, self.port) = (id, address, port)
    }

    /// Where it is asked, whoever it says to be.
    public struct Place: Hashable, Sendable {
        public var address: [UInt8]
        public var port: UInt16

        public init(address: [UInt8], port: UInt16) { (self.address, self.port) = (address, port) }
    }

    public var place: Place { Place(address: address, port: port) }

    /// `nodes` of an answer: 20 bytes of id, address, port, one after the other.
    static func list(_ bytes: [UInt8], addressSize: Int) -> [MainlineNode] {
        let size = 22 + addressSize
        guard bytes.count.isMultiple(of: size) else { return [] }
        return stride(from: 0, to: bytes.count, by: size).map { start in
            MainlineNode(
                id: Array(bytes[start..<start + 20]),
                address: Array(bytes[start + 20..<start + 20 + addressSize]),
                port: UInt16(bytes[start + size - 2]) << 8 | UInt16(bytes[start + size - 1])
            )
        }
    }
}

/// A mutable item without salt (BEP 44).
public struct MainlineItem: Hashable, Sendable {
    public var key: [UInt8]
    public var signature: [UInt8]
    public var sequence: UInt64
    public var value: [UInt8]

    init(key: [UInt8], signature: [UInt8], sequence: UInt64, value: [UInt8]) {
        (self.key, self.signature, self.sequence, self.value) = (key, signature, sequence, value)
    }

    /// What a Pkarr packet carries.
    ///
    /// - Parameter key: 32 bytes.
    public init(_ packet: PkarrPacket, key: [UInt8]) {
        self.key = key
        (signature, sequence, value) = (Array(packet.signature), packet.timestamp, Array(packet.message))
    }

    /// The payload that a Pkarr relay would give.
    public var payload: [UInt8] {
        signature + (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * UInt64($0))) } + value
    }
}

/// What is asked of a node and what it answers (KRPC: BEP 5, BEP 43, BEP 44).
enum MainlineMessage {
    struct Answer {
        var transaction: [UInt8]
        var id: [UInt8]
        var nodes: [MainlineNode]
        var token: [UInt8]?
        /// Signature, sequence and value as they came, under the key that is asked for.
        var item: (signature: [UInt8], sequence: UInt64, value: [UInt8])?
    }

    enum Received {
        case answer(Answer)
        /// The node refuses; its code, such as 302 for a sequence that is not newer (BEP 44).
        case refusal(transaction: [UInt8], code: Int64)
    }

    /// - Parameter id: ours of this search, 20 bytes. We answer nobody, and say so (`ro`).
    static func get(_ target: [UInt8], id: [UInt8], transaction: [UInt8]) -> [UInt8] {
        query("get", [("id", .bytes(id)), ("target", .bytes(target))], transaction)
    }

    static func put(_ item: MainlineItem, token: [UInt8], id: [UInt8], transaction: [UInt8]) -> [UInt8] {
        query(
            "put",
            [
                ("id", .bytes(id)), ("k", .bytes(item.key)), ("seq", .integer(Int64(clamping: item.sequence))),
                ("sig", .bytes(item.signature)), ("token", .bytes(token)), ("v", .bytes(item.value)),
            ],
            transaction
        )
    }

    private static func query(_ name: String, _ arguments: [(String, Bencode?)], _ transaction: [UInt8]) -> [UInt8] {
        Bencode.object([
            ("a", .object(arguments)), ("q", .text(name)), ("ro", .integer(1)), ("t", .bytes(transaction)),
            ("v", .text("DS01")), ("y", .text("q")),
        ]).encoded
    }

    /// - Returns: nil for what is no answer: questions of others, and whatever cannot be read.
    static func read(_ bytes: [UInt8]) -> Received? {
        guard let message = try? Bencode(bytes), let transaction = message["t"]?.bytes else { return nil }
        switch message["y"]?.bytes {
        case Array("r".utf8):
            guard let values = message["r"], let id = values["id"]?.bytes, id.count == 20 else { return nil }
            var item: (signature: [UInt8], sequence: UInt64, value: [UInt8])?
            if let signature = values["sig"]?.bytes, signature.count == 64, let value = values["v"]?.bytes,
                let sequence = values["seq"]?.integer, sequence >= 0
            {
                item = (signature, UInt64(sequence), value)
            }
            let nodes =
                MainlineNode.list(values["nodes"]?.bytes ?? [], addressSize: 4)
                + MainlineNode.list(values["nodes6"]?.bytes ?? [], addressSize: 16)
            return .answer(
                Answer(transaction: transaction, id: id, nodes: nodes, token: values["token"]?.bytes, item: item)
            )
        case Array("e".utf8):
            guard case .list(let values)? = message["e"], let code = values.first?.integer else { return nil }
            return .refusal(transaction: transaction, code: code)
        default: return nil
        }
    }
}
