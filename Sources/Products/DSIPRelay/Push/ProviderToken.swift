/// A token that a provider wants with each request: made once, used by all, renewed before it ends.
actor ProviderToken {
    struct Value: Sendable {
        var text: String
        /// Unix seconds, from which on another is used.
        var renewAt: Int64
    }

    private let make: @Sendable (_ now: Int64) async throws -> Value
    /// Seconds between two renewals that were asked for because the provider refused the token.
    private let pause: Int64
    private var value: Value?
    private var madeAt: Int64 = .min
    private var making: Task<Value, any Error>?

    init(pause: Int64, make: @escaping @Sendable (_ now: Int64) async throws -> Value) {
        self.pause = pause
        self.make = make
    }

    func token(at now: Int64) async throws -> String {
        if let value, now < value.renewAt, now >= madeAt { return value.text }
        // Whoever comes while one is made waits for that one.
        let task = making ?? Task { [make] in try await make(now) }
        making = task
        do {
            let made = try await task.value
            if making == task { (value, madeAt, making) = (made, now, nil) }
            return made.text
        } catch {
            if making == task { making = nil }
            throw error
        }
    }

    /// The provider refused `token`.
    ///
    /// - Returns: whether another may be had at once.
    func refused(_ token: String, at now: Int64) -> Bool {
        guard let value, value.text == token else { return true }
        guard now - madeAt >= pause else { return false }
        self.value = nil
        return true
    }
}
