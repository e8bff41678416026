import Support

@testable import MLS

/// A client of the simulation: a group's state, and what a client does about lost and reordered messages.
struct SimulatedClient {
    let id: Int
    let signer: SignaturePrivateKey
    /// Offered to those who add; used once.
    var bundle: KeyPackageBundle
    var group: Group?
    /// An external commit that the service has not shown yet to have taken.
    var joining: (group: Group, commit: [UInt8])?
    /// Messages of later epochs that came too soon.
    var early: [[UInt8]] = []
    /// Since when it knows that it misses something; milliseconds.
    var behindSince: Int64?
    /// Application data that came.
    var heard: Set<[UInt8]> = []

    static func contents(_ id: Int) -> LeafNode.Contents {
        LeafNode.Contents(credential: .basic(identity: Array("client \(id)".utf8)))
    }

    static func id(of credential: Credential) -> Int? {
        guard case .basic(let identity) = credential else { return nil }
        return Int(String(decoding: identity.dropFirst(7), as: UTF8.self))
    }

    init(_ id: Int, _ suite: CipherSuite, using random: inout SeededRandom) throws {
        self.id = id
        signer = try SignaturePrivateKey(suite, using: &random)
        bundle = try Self.offer(id, suite, signer, using: &random)
    }

    static func offer(
        _ id: Int,
        _ suite: CipherSuite,
        _ signer: SignaturePrivateKey,
        using random: inout SeededRandom
    ) throws -> KeyPackageBundle {
        try KeyPackageBundle(suite, contents(id), signer: signer, lifetime: Lifetime(from: now), using: &random)
    }

    /// Of the messages that came too soon, those that are due now.
    mutating func due() -> [[UInt8]] {
        guard let epoch = group?.epoch else { return [] }
        let due = early.filter { (try? MLSMessage(decoding: $0).claimedEpoch) ?? 0 <= epoch }
        early.removeAll { (try? MLSMessage(decoding: $0).claimedEpoch) ?? 0 <= epoch }
        return due
    }

    mutating func keep(_ bytes: [UInt8], at time: Int64) {
        if early.count < 64 { early.append(bytes) }
        if behindSince == nil { behindSince = time }
    }
}
