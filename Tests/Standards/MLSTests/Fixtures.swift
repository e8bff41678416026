import MLS
import Support

/// Unix seconds of every test.
let now: UInt64 = 1_760_000_000

/// A person with a key of the suite and a generator of its own, so that every run is the same.
struct Person {
    let name: String
    let suite: CipherSuite
    var signer: SignaturePrivateKey
    var random: SeededRandom
    var capabilities = Capabilities()

    init(_ name: String, _ suite: CipherSuite = .x25519AES128) throws {
        self.name = name
        self.suite = suite
        random = SeededRandom(seed: name.utf8.reduce(17) { $0 &* 31 &+ UInt64($1) })
        signer = try SignaturePrivateKey(suite, using: &random)
    }

    var credential: Credential { .basic(identity: Array(name.utf8)) }
    var contents: LeafNode.Contents { LeafNode.Contents(credential: credential, capabilities: capabilities) }

    mutating func bundle(lifetime: Lifetime = Lifetime(from: now)) throws -> KeyPackageBundle {
        try KeyPackageBundle(suite, contents, signer: signer, lifetime: lifetime, using: &random)
    }

    mutating func create(_ id: [UInt8] = Array("group".utf8), extensions: Extensions = []) throws -> Group {
        try Group(
            creating: id,
            suite,
            contents,
            signer: signer,
            extensions: extensions,
            validator: UncheckedCredentials(),
            at: now,
            using: &random
        )
    }
}

/// A group seen by all its members, who receive every message.
struct Room {
    var people: [String: Person] = [:]
    var groups: [String: Group] = [:]
    var random = SeededRandom(seed: 99)

    init(_ names: [String], _ suite: CipherSuite = .x25519AES128, extensions: Extensions = []) throws {
        for name in names { people[name] = try Person(name, suite) }
        groups[names[0]] = try people[names[0]]!.create(extensions: extensions)
        for name in names.dropFirst() { try add(name, by: names[0]) }
    }

    mutating func add(_ name: String, by adder: String) throws {
        if people[name] == nil { people[name] = try Person(name, groups[adder]!.cipherSuite) }
        let bundle = try people[name]!.bundle()
        let made = try commit(CommitOptions([.add(bundle.keyPackage)]), by: adder)
        groups[name] = try Group(joining: made.welcome!, with: bundle, validator: UncheckedCredentials())
    }

    @discardableResult
    mutating func commit(_ options: CommitOptions = CommitOptions(), by committer: String) throws -> CommitBundle {
        let made = try groups[committer]!.commit(options, at: now, using: &random)
        try deliver(made.commit, from: committer)
        try groups[committer]!.mergePendingCommit()
        return made
    }

    @discardableResult
    mutating func propose(_ proposal: Proposal, by proposer: String) throws -> MLSMessage {
        let message = try groups[proposer]!.propose(proposal, at: now, using: &random)
        try deliver(message, from: proposer)
        return message
    }

    /// As bytes, to everybody who is an active member and did not send it.
    mutating func deliver(_ message: MLSMessage, from sender: String) throws {
        let bytes = message.encoded
        for name in groups.keys.sorted() where name != sender && groups[name]!.status == .active {
            try groups[name]!.process(try MLSMessage(decoding: bytes), at: now)
        }
    }

    /// Every active member is saved, stopped and restored.
    mutating func restart() throws {
        for name in groups.keys where groups[name]!.status == .active {
            groups[name] = try Group(restoring: groups[name]!.saved, validator: UncheckedCredentials())
        }
    }

    /// Whether all active members are in one epoch with one exporter, and can read each other.
    mutating func agree() throws -> Bool {
        let active = groups.filter { $0.value.status == .active }
        let secrets = Set(try active.values.map { try $0.export(label: "test", count: 32).bytes })
        guard secrets.count == 1, Set(active.values.map(\.epoch)).count == 1 else { return false }
        for sender in active.keys.sorted() {
            let message = try groups[sender]!.protect(Array("hello from \(sender)".utf8), using: &random)
            for name in active.keys.sorted() where name != sender {
                guard case .application(let received) = try groups[name]!.process(message, at: now),
                    received.data == Array("hello from \(sender)".utf8),
                    received.sender == groups[sender]!.ownLeaf
                else { return false }
            }
        }
        return true
    }
}

/// Runs `body` and gives the code of the error that it throws.
func code<Value>(_ body: () throws -> Value) -> MLSError.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? MLSError)?.code
    }
}
