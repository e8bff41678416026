/// The Double Ratchet alone: one session whose secret was agreed elsewhere.
///
/// It cannot be copied, since a chain that is used twice seals two messages with one key. `decrypt` changes nothing when it
/// throws. After each `encrypt`, save before the message leaves.
public struct Ratchet: ~Copyable, Sendable {
    /// A message: its header as on the wire, and the rest.
    public struct Message: Hashable, Sendable {
        public var header: [UInt8]
        public var sealed: [UInt8]

        public init(header: [UInt8], sealed: [UInt8]) {
            self.header = header
            self.sealed = sealed
        }
    }

    private(set) var state: RatchetState
    private let associatedData: [UInt8]

    /// The side that speaks first.
    ///
    /// - Parameter peer: the responder's ratchet key, 32 bytes; of X3DH, the signed prekey.
    public init(
        initiator agreed: AgreedSecret,
        peer: [UInt8],
        profile: RatchetProfile,
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) {
        let own = AgreementKey(using: &random)
        let state = try RatchetState(initiator: agreed, peer: peer, own: own, profile: profile)
        self.init(state, associatedData: agreed.associatedData)
    }

    /// The side that is spoken to.
    ///
    /// - Parameter ownKey: the private key of the initiator's `peer`, 32 bytes.
    public init(responder agreed: AgreedSecret, ownKey: [UInt8], profile: RatchetProfile) throws(RatchetError) {
        guard let secret = Secret(ownKey) else { throw RatchetError(.malformed, "a private key of 32 bytes") }
        self.init(
            RatchetState(responder: agreed, own: AgreementKey(secret), profile: profile),
            associatedData: agreed.associatedData
        )
    }

    package init(_ state: RatchetState, associatedData: [UInt8]) {
        self.state = state
        self.associatedData = associatedData
    }

    public mutating func encrypt(
        _ plaintext: [UInt8],
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> Message {
        let (header, sealed) = try state.encrypt(plaintext, authenticating: associatedData, using: &random)
        return Message(header: header, sealed: sealed)
    }

    public mutating func decrypt(_ message: Message) throws(RatchetError) -> [UInt8] {
        try state.decrypt(header: message.header[...], sealed: message.sealed[...], authenticating: associatedData)
    }

    /// How many keys of messages still to come are kept.
    public var skippedCount: Int { state.skipped.count }

    /// The whole state, secrets included: encrypt it before it is stored.
    public func save() -> [UInt8] {
        var writer = ByteWriter()
        writer.append(byte: 1)
        writer.append(counted: associatedData)
        state.write(to: &writer)
        return writer.bytes
    }

    /// - Throws: `malformed` unless `saved` is what `save` gave under the same profile.
    public init(restoring saved: [UInt8], profile: RatchetProfile) throws(RatchetError) {
        var reader = ByteReader(saved)
        guard try reader.byte() == 1 else { throw RatchetError(.malformed, "another version") }
        let data = try reader.counted(atMost: 1 << 16)
        let state = try RatchetState(from: &reader, profile)
        try reader.end()
        self.init(state, associatedData: data)
    }
}
