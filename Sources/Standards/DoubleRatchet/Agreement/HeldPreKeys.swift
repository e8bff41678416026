/// What a ring holds.
struct HeldPreKeys: Sendable {
    struct Signed: Sendable {
        let id: UInt32
        let key: AgreementKey
        let signature: [UInt8]
        /// When it was replaced.
        var replaced: Int64?
    }

    struct SignedKEM: Sendable {
        let id: UInt32
        let key: KEMKeyPair
        let signature: [UInt8]
        var replaced: Int64?

        func preKey(lastResort: Bool) -> PreKeyBundle.KEMPreKey {
            .init(id: id, kem: key.kem, isLastResort: lastResort, key: key.publicKey, signature: signature)
        }
    }

    var nextID: UInt32 = 1
    /// The newest is last.
    var signed: [Signed] = []
    var lastResort: [SignedKEM] = []
    var oneTime: [UInt32: Secret] = [:]
    var oneTimeKEM: [UInt32: SignedKEM] = [:]
    /// One-time prekeys not yet given out, oldest first.
    var fresh: [UInt32] = []
    var freshKEM: [UInt32] = []
    /// Ephemeral keys by the signed prekey they used.
    var remembered: [UInt32: Set<[UInt8]>] = [:]

    init() {}

    func write(to writer: inout ByteWriter) {
        writer.append(nextID)
        writer.append(count: signed.count)
        for signed in signed {
            writer.append(signed.id)
            writer.append(signed.key.secret)
            writer.append(signed.signature)
            writer.append(optional: signed.replaced) { $0.append($1) }
        }
        func write(_ keys: [SignedKEM]) {
            writer.append(count: keys.count)
            for key in keys {
                writer.append(key.id)
                writer.append(byte: key.key.kem.rawValue)
                writer.append(key.key.seed.d)
                writer.append(key.key.seed.z)
                writer.append(key.signature)
                writer.append(optional: key.replaced) { $0.append($1) }
            }
        }
        write(lastResort)
        write(oneTimeKEM.values.sorted { $0.id < $1.id })
        writer.append(count: oneTime.count)
        for (id, key) in oneTime.sorted(by: { $0.key < $1.key }) {
            writer.append(id)
            writer.append(key)
        }
        for ids in [fresh, freshKEM] {
            writer.append(count: ids.count)
            for id in ids { writer.append(id) }
        }
        writer.append(count: remembered.count)
        for (id, keys) in remembered.sorted(by: { $0.key < $1.key }) {
            writer.append(id)
            writer.append(count: keys.count)
            for key in keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) { writer.append(key) }
        }
    }

    init(
        from reader: inout ByteReader,
        _ profile: AgreementProfile,
        _ limits: PreKeyRing.Limits
    ) throws(RatchetError) {
        nextID = try reader.uint32()
        for _ in 0..<(try reader.count(atMost: PreKeyRing.mostSigned)) {
            signed.append(
                Signed(
                    id: try reader.uint32(),
                    key: AgreementKey(try reader.secret()),
                    signature: Array(try reader.bytes(64)),
                    replaced: try reader.optional { (reader) throws(RatchetError) in try reader.int64() }
                )
            )
        }
        guard !signed.isEmpty else { throw RatchetError(.malformed, "no signed prekey") }
        func readKEM(_ reader: inout ByteReader, atMost limit: Int) throws(RatchetError) -> [SignedKEM] {
            var keys: [SignedKEM] = []
            for _ in 0..<(try reader.count(atMost: limit)) {
                let id = try reader.uint32()
                guard let kem = KEMAlgorithm(rawValue: try reader.byte()), kem == profile.kem else {
                    throw RatchetError(.profileMismatch, "prekeys of another KEM")
                }
                keys.append(
                    SignedKEM(
                        id: id,
                        key: KEMKeyPair(saved: kem, d: try reader.secret(), z: try reader.secret()),
                        signature: Array(try reader.bytes(64)),
                        replaced: try reader.optional { (reader) throws(RatchetError) in try reader.int64() }
                    )
                )
            }
            return keys
        }
        lastResort = try readKEM(&reader, atMost: PreKeyRing.mostSigned)
        guard profile.kem == nil || !lastResort.isEmpty else { throw RatchetError(.profileMismatch, "no KEM prekey") }
        let most = 3 * limits.oneTime
        for key in try readKEM(&reader, atMost: most) { oneTimeKEM[key.id] = key }
        for _ in 0..<(try reader.count(atMost: most)) {
            let id = try reader.uint32()
            oneTime[id] = try reader.secret()
        }
        for _ in 0..<(try reader.count(atMost: most)) { fresh.append(try reader.uint32()) }
        for _ in 0..<(try reader.count(atMost: most)) { freshKEM.append(try reader.uint32()) }
        for _ in 0..<(try reader.count(atMost: PreKeyRing.mostSigned)) {
            let id = try reader.uint32()
            for _ in 0..<(try reader.count(atMost: limits.remembered)) {
                remembered[id, default: []].insert(Array(try reader.bytes(32)))
            }
        }
    }
}
