import Crypto
import DSIPIdentity
import Encoding

/// One contact as a person's devices share it: what it is, or that it was removed, and since when.
///
/// Of two versions the later wins; of two of one second the one whose canonical text is greater, so that every device decides alike.
struct SharedContact: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var name: String
        var alias: String?
        var relay: String?
        var addedAt: Int64
        var allowed: Bool
        var blocked: Bool
    }

    let did: DID
    /// Unix seconds of the last change.
    let at: Int64
    /// Nil for one that was removed.
    let entry: Entry?

    init(did: DID, at: Int64, entry: Entry?) {
        self.did = did
        self.at = at
        self.entry = entry
    }

    init(_ contact: Contact) {
        self.init(
            did: contact.did,
            at: contact.changedAt,
            entry: Entry(
                name: contact.name,
                alias: contact.alias,
                relay: contact.relay,
                addedAt: contact.addedAt,
                allowed: contact.allowed,
                blocked: contact.blocked
            )
        )
    }

    /// - Parameter now: a change that is dated after the tolerance of signaling is not believed.
    /// - Returns: nil for what cannot be read.
    init?(_ json: JSONValue, at now: Int64) {
        guard let did = json["did"]?.string.flatMap({ DID($0) }), let at = json["at"]?.int, (0...now + 300).contains(at)
        else { return nil }
        var entry: Entry?
        if json["removed"]?.bool != true {
            guard let name = json["name"]?.string, DisplayText.isValid(name, limit: 256),
                let addedAt = json["added_at"]?.int, let allowed = json["allowed"]?.bool,
                let blocked = json["blocked"]?.bool, json["relay"]?.string.map(RelayURL.isValid) ?? true,
                json["alias"]?.string.map({ $0.utf8.count <= 320 }) ?? true
            else { return nil }
            entry = Entry(
                name: name,
                alias: json["alias"]?.string,
                relay: json["relay"]?.string,
                addedAt: addedAt,
                allowed: allowed,
                blocked: blocked
            )
        }
        self.init(did: did, at: at, entry: entry)
    }

    var json: JSONValue {
        var object: JSONObject = ["did": .string(did.string), "at": .int(at)]
        if let entry {
            object["name"] = .string(entry.name)
            object["alias"] = entry.alias.map { .string($0) }
            object["relay"] = entry.relay.map { .string($0) }
            object["added_at"] = .int(entry.addedAt)
            object["allowed"] = .bool(entry.allowed)
            object["blocked"] = .bool(entry.blocked)
        } else {
            object["removed"] = true
        }
        return .object(object)
    }

    func wins(over other: SharedContact) -> Bool {
        if at != other.at { return at > other.at }
        return other.json.canonical.lexicographicallyPrecedes(json.canonical)
    }
}

/// What a device has, in brief: a digest for each of 64 parts of its contacts, so that two devices exchange what differs and little
/// more. The digests travel sealed: in the open they would let a relay test guesses.
struct ContactDigest: Hashable, Sendable {
    static let parts = 64
    private static let width = 8

    private var digests: [[UInt8]]

    init(_ contacts: [SharedContact]) {
        var texts = [[[UInt8]]](repeating: [], count: ContactDigest.parts)
        for contact in contacts { texts[ContactDigest.part(of: contact.did)].append(contact.json.canonical) }
        digests = texts.map { part in
            var hash = SHA256()
            for text in part.sorted(by: { $0.lexicographicallyPrecedes($1) }) { hash.update(data: text + [0]) }
            return Array(hash.finalize().prefix(ContactDigest.width))
        }
    }

    init?(_ json: JSONValue?) {
        guard let bytes = json?.string.flatMap({ Base64URL.decode($0) }),
            bytes.count == ContactDigest.parts * ContactDigest.width
        else { return nil }
        digests = (0..<ContactDigest.parts).map { part in
            Array(bytes[part * ContactDigest.width..<(part + 1) * ContactDigest.width])
        }
    }

    var json: JSONValue { .string(Base64URL.encode(digests.flatMap { $0 })) }

    static func part(of did: DID) -> Int {
        SHA256.hash(data: Array(did.string.utf8)).withUnsafeBytes { Int($0[0]) % parts }
    }

    /// The parts that are not the same in both.
    func differences(from other: ContactDigest) -> Set<Int> {
        Set(digests.indices.filter { digests[$0] != other.digests[$0] })
    }
}
