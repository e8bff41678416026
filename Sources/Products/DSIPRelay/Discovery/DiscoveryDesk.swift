import DSIPDiscovery
import DSIPIdentity

/// Where people are: hints and records of the directory that their devices gave to this relay, and those that the DHT has when the relay
/// is in it.
///
/// Everything here is signed by whom it is about, and is a hint: it chooses whom to dial, and proves nothing.
actor DiscoveryDesk {
    /// Bytes of a request's body.
    static let maximumBody = HintNode.maximumBody
    /// Lookups in the DHT at a time; who asks meanwhile is answered from what is here.
    private static let maximumLookups = 64

    private var node: HintNode
    private var records: RecordShelf
    private let overlay: Overlay?
    private let clock: @Sendable () -> Int64
    private var lookups = 0

    /// - Parameter clock: Unix seconds.
    init(
        overlay: Overlay?,
        documents: @escaping @Sendable (DID) -> DocumentLookup,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.node = HintNode(verifier: HintVerifier(documents: documents))
        self.records = RecordShelf(rules: DirectoryValidator(documents: documents))
        self.overlay = overlay
        self.clock = clock
    }

    /// Answers a request of the hints profile (§10).
    func answer(_ request: HintNode.Request) async -> HintNode.Response {
        if request.method == "GET", let subject = HintNode.subject(ofHints: request.path),
            node.shelf.record(subject, at: clock()) == nil
        {
            for bytes in await look(HintKey.path(of: subject)) { node.learn(bytes, at: clock()) }
        }
        let response = node.answer(request, at: clock())
        if case .record(let record)? = response.accepted, let overlay {
            Task { await overlay.put(HintKey.path(of: record.subject), record.bytes) }
        }
        return response
    }

    /// The record of the directory under `key`, from here or the DHT.
    func record(_ key: [UInt8]) async -> [UInt8]? {
        if let held = records.record(key, at: clock() * 1000) { return held }
        for bytes in await look(key) { _ = try? records.offer(key, bytes, at: clock() * 1000) }
        return records.record(key, at: clock() * 1000)
    }

    /// Keeps a record, and has it in the DHT for as long as it holds.
    ///
    /// - Throws: what is wrong with it.
    func keep(_ key: [UInt8], _ value: [UInt8]) throws -> RecordShelf.Outcome {
        let outcome = try records.offer(key, value, at: clock() * 1000)
        if outcome == .stored, let overlay { Task { await overlay.put(key, value) } }
        return outcome
    }

    private func look(_ key: [UInt8]) async -> [[UInt8]] {
        guard let overlay, lookups < DiscoveryDesk.maximumLookups else { return [] }
        lookups += 1
        defer { lookups -= 1 }
        return (try? await overlay.values(key)) ?? []
    }
}
