import DSIPIdentity
import Encoding

/// Which content of a conversation was edited or retracted, and how it reads now (`docs/messaging.md`).
///
/// An update counts when its sender said what it changes; of several the one with the highest `seq` stands, and nothing comes after
/// a retraction. Updates may arrive before their content, as they do when an archive is read.
public struct ContentEdits: Hashable, Sendable {
    private struct Update: Hashable, Sendable {
        var sender: DID
        var seq: Int64
        var patch: MessageUpdate.Patch
    }

    /// Updates kept for content that has not come yet.
    public static let maximumWaiting = 4096

    private var senders: [ULID: DID] = [:]
    private var current: [ULID: Update] = [:]
    private var waiting: [ULID: [Update]] = [:]
    private var waitingCount = 0

    public init() {}

    /// How content reads now; nil when it is as it was said.
    public func patch(of content: ULID) -> MessageUpdate.Patch? { current[content]?.patch }

    /// Content came.
    ///
    /// - Returns: how it reads, when updates were waiting for it.
    public mutating func received(_ content: ULID, sender: DID, seq: Int64) -> MessageUpdate.Patch? {
        guard senders[content] == nil else { return patch(of: content) }
        senders[content] = sender
        let held = waiting.removeValue(forKey: content) ?? []
        waitingCount -= held.count
        for update in held { _ = apply(update, to: content) }
        return patch(of: content)
    }

    /// An update came.
    ///
    /// - Returns: whether content that is shown reads differently now.
    public mutating func received(_ update: MessageUpdate, seq: Int64) -> Bool {
        let entry = Update(sender: update.sender, seq: seq, patch: update.patch)
        guard senders[update.target] == nil else { return apply(entry, to: update.target) }
        guard waitingCount < Self.maximumWaiting else { return false }
        waiting[update.target, default: []].append(entry)
        waitingCount += 1
        return false
    }

    private mutating func apply(_ update: Update, to content: ULID) -> Bool {
        guard senders[content] == update.sender else { return false }
        if let standing = current[content] {
            if standing.patch == .retraction { return false }
            guard update.patch == .retraction || update.seq > standing.seq else { return false }
        }
        current[content] = update
        return true
    }
}
