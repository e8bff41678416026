import DSIPDiscovery
import DSIPIdentity
import Encoding

/// Where people are: hints and home records that their devices gave to this relay, and those that the DHT has when the relay is in it.
///
/// Everything here is signed by whom it is about, and is a hint: it chooses whom to dial, and proves nothing.
actor DiscoveryDesk {
    /// Bytes of a request's body.
    static let maximumBody = HintNode.maximumBody
    /// Lookups in the DHT at a time; who asks meanwhile is answered from what is here.
    private static let maximumLookups = 64

    private var node: HintNode
    private var homes = HomeShelf()
    private let overlay: Overlay?
    private let clock: @Sendable () -> Int64
    private var lookups = 0

    init(
        overlay: Overlay?,
        documents: @escaping @Sendable (DID) -> DocumentLookup,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.node = HintNode(verifier: HintVerifier(documents: documents))
        self.overlay = overlay
        self.clock = clock
    }

    // MARK: Hints profile §10

    /// Answers a request of the hints profile.
    func answer(_ request: HintNode.Request) async -> HintNode.Response {
        if request.method == "GET", let subject = HintNode.subject(ofHints: request.path) { await look(for: subject) }
        let response = node.answer(request, at: clock())
        if case .record(let record)? = response.accepted, let overlay { Task { await overlay.publish(record) } }
        return response
    }

    /// Asks the DHT for a hint when none is here.
    private func look(for subject: DID) async {
        guard node.shelf.record(subject, at: clock()) == nil,
            let bytes = await found({ await $0.hint(of: subject) })
        else { return }
        node.learn(bytes, at: clock())
    }

    // MARK: Home records

    /// The home record of `subject`, from here or the DHT; nil for none.
    func home(of subject: DID) async -> HomeRecord? {
        if let held = homes.record(subject, at: clock()) { return held }
        guard let bytes = await found({ await $0.home(of: subject) }),
            let record = try? HomeRecord(verifying: bytes, at: clock()), record.subject == subject
        else { return nil }
        homes.offer(record, at: clock())
        return record
    }

    /// Keeps a home record, and announces it for as long as it holds.
    ///
    /// - Returns: false when a newer one is held.
    /// - Throws: what is wrong with it.
    func keep(home bytes: [UInt8]) throws(DiscoveryError) -> Bool {
        let record = try HomeRecord(verifying: bytes, at: clock())
        guard homes.offer(record, at: clock()) else {
            return homes.record(record.subject, at: clock())?.seq == record.seq
        }
        if let overlay { Task { await overlay.publish(record) } }
        return true
    }

    private func found(_ look: (Overlay) async -> [UInt8]?) async -> [UInt8]? {
        guard let overlay, lookups < DiscoveryDesk.maximumLookups else { return nil }
        lookups += 1
        defer { lookups -= 1 }
        return await look(overlay)
    }
}
