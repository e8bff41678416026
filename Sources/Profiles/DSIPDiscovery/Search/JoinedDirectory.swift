import DSIPIdentity

/// Several directories asked at once: the first that has a record which holds is enough, and what does not hold counts for nothing.
public struct JoinedDirectory: RecordDirectory {
    private typealias Answer = Result<[[UInt8]], IdentityError>

    private let places: [any RecordDirectory]
    private let rules: DirectoryValidator
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - documents: what is known of a DID now; not asked for did:keys.
    ///   - clock: Unix seconds.
    public init(
        _ places: [any RecordDirectory],
        documents: @escaping @Sendable (DID) -> DocumentLookup,
        clock: @escaping @Sendable () -> Int64
    ) {
        self.places = places
        self.rules = DirectoryValidator(documents: documents)
        self.clock = clock
    }

    public func values(_ key: [UInt8]) async throws(IdentityError) -> [[UInt8]] {
        let answers = await withTaskGroup(of: Answer.self, returning: [Answer].self) { group in
            for place in places { group.addTask { await JoinedDirectory.ask(place, key) } }
            var answers: [Answer] = []
            for await answer in group {
                if let values = try? answer.get() {
                    let valid = values.prefix(HintSearch.maximumRecords).filter { holds(key, $0) }
                    guard valid.isEmpty else {
                        group.cancelAll()
                        return [.success(valid)]
                    }
                }
                answers.append(answer.map { _ in [] })
            }
            return answers
        }
        // Where one place says that there is nothing, the others' failures are not the reason.
        for answer in answers { if let values = try? answer.get() { return values } }
        return try answers.first?.get() ?? []
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
