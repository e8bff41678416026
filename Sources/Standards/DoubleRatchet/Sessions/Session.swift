/// One session with one device: a ratchet, and what is said of it among the others.
struct Session: Sendable {
    /// The initiator's ephemeral key: both ends know the session by it.
    let id: [UInt8]
    let associatedData: [UInt8]
    private var ratchet: RatchetState
    /// The initiator's, until it has been answered.
    private(set) var handshake: Handshake?
    /// Sessions begun by the other side at the same time: of them the least id is spoken in.
    var rivals: [[UInt8]] = []
    /// Messages that came over it while another session was spoken in.
    var strays: UInt8 = 0

    static let mostRivals = 8

    /// Whether the other side is known to have it.
    var isAnswered: Bool { handshake == nil }

    init(
        to bundle: VerifiedPreKeyBundle,
        _ identity: IdentityKeyPair,
        _ profile: SessionProfile,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) {
        let (agreed, handshake) = try KeyAgreement.initiate(identity, with: bundle, using: &random)
        id = handshake.ephemeralKey
        associatedData = agreed.associatedData
        ratchet = try RatchetState(
            initiator: agreed,
            peer: bundle.bundle.signed.key,
            own: AgreementKey(using: &random),
            profile: profile.ratchet
        )
        self.handshake = handshake
    }

    init(
        answering handshake: Handshake,
        _ preKeys: borrowing PreKeyRing,
        _ profile: SessionProfile
    ) throws(RatchetError) {
        let (agreed, own) = try preKeys.respond(to: handshake)
        id = handshake.ephemeralKey
        associatedData = agreed.associatedData
        ratchet = RatchetState(responder: agreed, own: own, profile: profile.ratchet)
    }

    mutating func encrypt(
        _ plaintext: [UInt8],
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [UInt8] {
        let (header, sealed) = try ratchet.encrypt(plaintext, authenticating: associatedData, using: &random)
        return SessionMessage(handshake: handshake, ratcheted: header + sealed).bytes
    }

    /// - Throws: and then nothing has changed.
    mutating func decrypt(_ bytes: [UInt8]) throws(RatchetError) -> [UInt8] {
        guard bytes.count >= ratchet.headerSize else { throw RatchetError(.malformed, "too short for a header") }
        let plaintext = try ratchet.decrypt(
            header: bytes[..<ratchet.headerSize],
            sealed: bytes[ratchet.headerSize...],
            authenticating: associatedData
        )
        handshake = nil
        return plaintext
    }

    func write(to writer: inout ByteWriter) {
        writer.append(id)
        writer.append(counted: associatedData)
        writer.append(optional: handshake) { $1.write(to: &$0) }
        writer.append(count: rivals.count)
        for rival in rivals { writer.append(rival) }
        writer.append(byte: strays)
        ratchet.write(to: &writer)
    }

    init(from reader: inout ByteReader, _ profile: SessionProfile) throws(RatchetError) {
        id = Array(try reader.bytes(32))
        associatedData = try reader.counted(atMost: 1 << 16)
        handshake = try reader.optional { (reader) throws(RatchetError) in try Handshake(from: &reader) }
        for _ in 0..<(try reader.count(atMost: Self.mostRivals)) { rivals.append(Array(try reader.bytes(32))) }
        strays = try reader.byte()
        ratchet = try RatchetState(from: &reader, profile.ratchet)
    }
}
