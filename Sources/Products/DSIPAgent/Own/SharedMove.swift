import Crypto
import DSIPIdentity
import Encoding

/// A statement of a move as a person's devices share it, and what the person decided.
struct SharedMove: Hashable, Sendable {
    /// The identity that moves: the person's own or a contact's.
    let did: DID
    /// Not verified by whoever sends it: each device does so itself.
    let statement: MoveStatement
    /// The person has read it and leaves everything as it is.
    let isIgnored: Bool

    init(did: DID, statement: MoveStatement, isIgnored: Bool) {
        (self.did, self.statement, self.isIgnored) = (did, statement, isIgnored)
    }

    /// - Returns: nil for what cannot be read.
    init?(_ json: JSONValue) {
        guard let did = json["did"]?.string.flatMap({ DID($0) }),
            let statement = json["statement"].flatMap(MoveStatement.init(json:))
        else { return nil }
        self.init(did: did, statement: statement, isIgnored: json["ignored"]?.bool ?? false)
    }

    var json: JSONValue {
        ["did": .string(did.string), "statement": statement.json, "ignored": .bool(isIgnored)]
    }

    /// 8 bytes of a hash over all, in whatever order; of none, empty.
    static func digest(_ moves: [SharedMove]) -> String {
        guard !moves.isEmpty else { return "" }
        var hash = SHA256()
        for text in moves.map(\.json.canonical).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            hash.update(data: text + [0])
        }
        return Base64URL.encode(Array(hash.finalize().prefix(8)))
    }
}
