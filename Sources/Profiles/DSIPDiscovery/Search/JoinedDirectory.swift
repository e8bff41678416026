import DSIPIdentity

/// Several directories asked at once: the first that has a record which holds, and is no older than what was seen, is enough. What does not
/// hold counts for nothing.
public struct JoinedDirectory: RecordDirectory {
    private typealias Answer = Result<[[UInt8]], IdentityError>

    private let places: [any RecordDirectory]
    private let rules: DirectoryValidator
    private let sequences: any SequenceMemory
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - documents: what is known of a DID now; not asked for did:keys.
    ///   - clock: Unix seconds.
    public init(
        _ places: [any RecordDirectory],
        documents: @escaping @Sendable (DID) -> DocumentLookup,
        sequences: any SequenceMemory,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.places = places
        self.rules = DirectoryValidator(documents: documents)
        self.sequences = sequences
        self.clock = clock
    }

    public func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] {
        let least = await sequences.sequence(under: key)
        let answers = await withTaskGroup(of: Answer.self, returning: [Answer].self) { group in
            for place in places { group.addTask { await JoinedDirectory.ask(place, key) } }
            var answers: [Answer] = []
            for await answer in group {
                let valid = ((try? answer.get()) ?? []).prefix(HintSearch.maximumRecords).filter { holds(key, $0) }
                answers.append(answer.map { _ in valid })
                if valid.contains(where: { isNew(key, $0, least) }) {
                    group.cancelAll()
                    return [.success(valid)]
                }
            }
            return answers
        }
        let values = answers.compactMap { try? $0.get() }
        // Where one place says that there is nothing, the others' failures are not the reason.
        if values.isEmpty, let failure = answers.first { return try failure.get() }
        return values.flatMap(\.self)
    }

    private func isNew(_ key: [UInt8], _ value: [UInt8], _ least: Int64?) -> Bool {
        guard let least, let seq = DirectoryValidator.sequence(of: value, under: key) else { return true }
        return seq >= least
    }

    private static func ask(_ place: any RecordDirectory, _ key: [UInt8]) async -> Answer {
        do throws(IdentityError) { return .success(try await place.values(key)) } catch { return .failure(error) }
    }

    private func holds(_ key: [UInt8], _ value: [UInt8]) -> Bool {
        (try? rules.validate(key: key, value: value, at: clock() * 1000)) != nil
    }

    public func put(_ key: [UInt8], _ value: [UInt8]) async {
        await withTaskGroup(of: Void.self) { group in
            for place in places { group.addTask { await place.put(key, value) } }
        }
    }
}
