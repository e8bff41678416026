import DSIPIdentity
import Encoding

/// Documents and mailboxes of other identities.
extension Messenger {
    /// Seconds between two looks for one identity.
    static var documentInterval: Int64 { 60 }

    /// Asks the owner to look an identity up, not oftener than ``documentInterval`` says.
    mutating func resolve(_ did: DID) {
        guard resolving[did].map({ $0 <= now }) ?? true, resolving.count < Self.maximumDocuments else { return }
        resolving[did] = now + Self.documentInterval
        outgoing.append(.resolve(did))
    }

    /// What is kept waits for this identity: it is looked up until it is found, restarts included.
    mutating func awaitDocument(of did: DID) {
        if awaited.count < Self.maximumDocuments, awaited.insert(did).inserted {
            ledger.set(.setting, "awaited", did.string, [1])
        }
        resolve(did)
    }

    /// When the next of those that are waited for is looked up again.
    var documentDeadline: Int64? { awaited.map { resolving[$0] ?? now }.min() }

    mutating func resolveAwaited() {
        for did in awaited.sorted() { resolve(did) }
    }

    /// An identity was looked up.
    public mutating func resolved(
        _ did: DID,
        _ found: ResolvedIdentity,
        at now: Int64
    ) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            try messenger.learn(did, found)
            // Whoever is waited for is looked up again, but not at once.
            if try messenger.choice(for: did) == .none { messenger.resolving[did] = now + Self.documentInterval }
            if messenger.awaited.remove(did) != nil { messenger.ledger.set(.setting, "awaited", did.string, nil) }
            let peer = try messenger.peer(did)
            if peer.mailboxes.isEmpty { messenger.postpone(did) } else { messenger.hurry() }
            if peer.isHinted, peer.hinted == .absent { try messenger.askForMailbox(of: did) }
            // What needs more than was found waits on.
            try messenger.sendStatements(to: did)
            try messenger.unstall(did)
            try messenger.retryContacts()
            try messenger.retryJoins()
            messenger.retryRejoins(with: did)
        }.1
    }

    private mutating func learn(_ did: DID, _ found: ResolvedIdentity) throws(MessagingError) {
        // An answer without a document is no reason to ask again at once.
        resolving[did] = found.document == nil ? now + Self.documentInterval : nil
        if let document = found.document {
            if documents.count >= Self.maximumDocuments { documents = [:] }
            documents[did] = document
        }
        if lookedUp.count >= Self.maximumDocuments { lookedUp = [:] }
        lookedUp[did] = now
        var peer = try peer(did)
        if peer.preKeys != found.preKeys {
            peer.preKeys = found.preKeys
            set(peer, for: did)
        }
        guard let source = found.mailboxes.source else { return }
        let isHint = source == .hint
        // M§4.2: a hint does not move an established conversation.
        guard !isHint || peer.usableMailboxes.isEmpty else { return }
        if peer.mailboxes != found.mailboxes.order { peer.hinted = .unasked }
        peer.mailboxes = found.mailboxes.order
        peer.isHinted = isHint
        set(peer, for: did)
    }

    /// It could not be; it is tried again when it is needed again.
    public mutating func unresolved(_ did: DID, at now: Int64) throws(MessagingError) -> [MessengerAction] {
        try turn(at: now) { messenger throws(MessagingError) in
            messenger.resolving[did] = now + Self.documentInterval
            messenger.postpone(did)
        }.1
    }

    public mutating func mailboxService(of did: DID) -> MailboxService? { (try? peer(did))?.usableMailboxes.first }
}
