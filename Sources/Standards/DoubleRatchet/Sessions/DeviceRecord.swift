/// The sessions with one device, the one spoken in first, and the identity it is known by.
struct DeviceRecord: Sendable {
    var identity: IdentityKey
    private(set) var sessions: [Session] = []
    var lastReset: Int64?
    /// The ends of the messages opened last: a duplicate is told from a message nobody here can open.
    private var opened: [[UInt8]] = []

    static let mostSessions = 8
    static let mostOpened = 128
    /// So many messages in a row over another session make it the one spoken in.
    static let straysToSwitch: UInt8 = 3

    init(identity: IdentityKey) { self.identity = identity }

    /// A session begun here.
    mutating func begin(_ session: Session) {
        sessions.insert(session, at: 0)
        trim()
    }

    mutating func encrypt(
        _ plaintext: [UInt8],
        using random: inout some RandomNumberGenerator
    ) throws(RatchetError) -> [UInt8] {
        guard !sessions.isEmpty else { throw RatchetError(.noSession, "no session with the device") }
        return try sessions[0].encrypt(plaintext, using: &random)
    }

    /// Opens a message of a session that is there.
    mutating func decrypt(_ message: SessionMessage) throws(RatchetError) -> [UInt8] {
        let end = Array(message.ratcheted.suffix(16))
        guard !opened.contains(end) else { throw RatchetError(.duplicate, "opened before") }
        var failure = RatchetError(.noSession, "no session with the device")
        for index in sessions.indices where message.handshake.map({ $0.ephemeralKey == sessions[index].id }) ?? true {
            do {
                let plaintext = try sessions[index].decrypt(message.ratcheted)
                note(end)
                settle(index)
                return plaintext
            } catch {
                // Of several refusals the most telling one: a duplicate is known to be one.
                if failure.code == .noSession || error.code == .duplicate { failure = error }
            }
        }
        throw failure
    }

    /// A session the other side began, its first message opened.
    mutating func accept(_ session: Session, _ message: SessionMessage, isReset: Bool) {
        note(Array(message.ratcheted.suffix(16)))
        var session = session
        var index = 0
        if !isReset, let active = sessions.first, !active.isAnswered {
            // Both began at once: each side keeps both sessions and speaks in the one with the lesser id.
            session.rivals.append(active.id)
            if active.id.lexicographicallyPrecedes(session.id) { index = 1 }
        }
        sessions.insert(session, at: index)
        trim()
    }

    /// Chooses the session to speak in, after a message came over the one at `index`.
    private mutating func settle(_ index: Int) {
        guard index > 0 else {
            for other in sessions.indices { sessions[other].strays = 0 }
            return
        }
        let (active, other) = (sessions[0], sessions[index])
        if active.rivals.contains(other.id) || other.rivals.contains(active.id) {
            if other.id.lexicographicallyPrecedes(active.id) { promote(index) }
            return
        }
        // Late messages of a session that was replaced must not bring it back; a peer that stays with it must.
        sessions[index].strays += 1
        if sessions[index].strays >= Self.straysToSwitch { promote(index) }
    }

    private mutating func promote(_ index: Int) {
        var session = sessions.remove(at: index)
        session.strays = 0
        sessions.insert(session, at: 0)
    }

    private mutating func note(_ end: [UInt8]) {
        if opened.count == Self.mostOpened { opened.removeFirst() }
        opened.append(end)
    }

    private mutating func trim() {
        sessions.removeLast(max(0, sessions.count - Self.mostSessions))
    }

    func write(to writer: inout ByteWriter) {
        writer.append(identity.bytes)
        writer.append(optional: lastReset) { $0.append($1) }
        writer.append(count: opened.count)
        for end in opened { writer.append(counted: end) }
        writer.append(count: sessions.count)
        for session in sessions { session.write(to: &writer) }
    }

    init(from reader: inout ByteReader, _ profile: SessionProfile) throws(RatchetError) {
        identity = try IdentityKey(from: &reader)
        lastReset = try reader.optional { (reader) throws(RatchetError) in try reader.int64() }
        for _ in 0..<(try reader.count(atMost: Self.mostOpened)) { opened.append(try reader.counted(atMost: 16)) }
        for _ in 0..<(try reader.count(atMost: Self.mostSessions)) {
            sessions.append(try Session(from: &reader, profile))
        }
    }
}
