import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding

/// One of our identities as a writer of messages: its messenger, its store, and what is under way for it.
///
/// Confined to the agent actor.
final class MessagingDesk {
    typealias Mail = Messenger<IdentityMessages>
    typealias Ratchet = RatchetConversations<IdentityMessages>

    let identity: DID
    let store: IdentityMessages
    let dataKey: SymmetricKey
    var mail: Mail
    /// Carries the conversations that no group does.
    var ratchet: Ratchet
    /// Whether the relay hands out this identity's prekeys.
    var hasShelf = false
    /// The mailbox this identity reads, once its relay has said that it is one.
    var mailbox: MailboxService?
    /// Where blobs are put: of the mailbox's signed `hello`.
    var blobEndpoint: String?
    var isBound = false
    /// Signs stored envelopes' connections for a while; no relay learns whose it is.
    var mask: Mask?
    /// The messages in stored envelopes that are under way, by what a relay calls those.
    var stored: [ULID: ULID] = [:]
    /// Relays that links named for people who are no contacts (yet).
    var hints: [DID: String] = [:]
    /// Messages sent and not answered yet, by what the answer will name: refusals come as core errors.
    var progress: [ULID: Double] = [:]
    var transfers = TransferQueue()
    /// Pages that wait for an attachment.
    var waiting: [ULID: [CheckedContinuation<Void, Never>]] = [:]
    /// Identities and mailboxes that are being asked for.
    var resolving: Set<DID> = []
    var knocking: [DID: [Knock]] = [:]

    static let maximumHints = 256

    init(identity: DID, store: IdentityMessages, dataKey: SymmetricKey, mail: Mail, ratchet: Ratchet) {
        self.identity = identity
        self.store = store
        self.dataKey = dataKey
        self.mail = mail
        self.ratchet = ratchet
    }

    struct Mask {
        var key: SigningKey
        /// Unix seconds.
        var until: Int64
    }

    static let maximumStored = 256

    func note(stored envelope: ULID, of message: ULID) {
        if stored.count >= MessagingDesk.maximumStored { stored = [:] }
        stored[envelope] = message
    }

    func note(hint: String, for did: DID) {
        if hints.count >= MessagingDesk.maximumHints { hints = [:] }
        hints[did] = hint
    }

    /// An attachment has come, or will not: whoever waits for it looks again.
    func settled(_ message: ULID) {
        progress[message] = nil
        for waiter in waiting.removeValue(forKey: message) ?? [] { waiter.resume() }
    }
}

/// Transfers of files, a few at a time, the rest in order.
///
/// Each runs in a task of its own and holds a file in memory; so no more than `width` do.
struct TransferQueue {
    static let width = 2
    static let maximumWaiting = 1024

    var isBusy: Bool { !running.isEmpty }

    private var running: Set<ULID> = []
    private var queue: [(id: ULID, start: @Sendable () -> Void)] = []

    /// - Returns: false when it is there already, or too many wait.
    mutating func add(_ id: ULID, _ start: @escaping @Sendable () -> Void) -> Bool {
        guard !running.contains(id), !queue.contains(where: { $0.id == id }),
            queue.count < TransferQueue.maximumWaiting
        else { return false }
        queue.append((id, start))
        advance()
        return true
    }

    mutating func finished(_ id: ULID) {
        running.remove(id)
        advance()
    }

    private mutating func advance() {
        while running.count < TransferQueue.width, !queue.isEmpty {
            let next = queue.removeFirst()
            running.insert(next.id)
            next.start()
        }
    }
}
