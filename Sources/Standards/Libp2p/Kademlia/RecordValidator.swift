/// The rules of one namespace of records: what may be stored under a key, and which of several is the one.
///
/// Called with whatever peers send: it must be total, and it must not wait.
public protocol RecordValidator: Sendable {
    /// - Parameters:
    ///   - key: as on the wire, `/namespace/…`.
    ///   - now: milliseconds.
    /// - Returns: until when the record holds, in milliseconds; nil when it does not say.
    /// - Throws: when the record is not valid under the key, or not any more.
    func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64?

    /// Which of several valid values is the one.
    ///
    /// - Returns: an index into `values`, which holds at least one.
    func select(key: [UInt8], values: [[UInt8]]) -> Int
}

/// Validators by namespace: the text between the first two slashes of a key. A key of no registered namespace is refused.
public struct RecordRules: Sendable {
    private var validators: [String: any RecordValidator] = [:]

    public init() {}

    public mutating func register(_ namespace: String, _ validator: any RecordValidator) {
        validators[namespace] = validator
    }

    /// - Returns: nil when the record is refused; else until when it holds at most.
    func validity(key: [UInt8], value: [UInt8], at now: Int64, lifetime: Int64) -> Int64? {
        guard let validator = validator(key), value.count <= KademliaMessage.maximumValue else { return nil }
        do {
            let until = min(try validator.validate(key: key, value: value, at: now) ?? .max, now + lifetime)
            return until > now ? until : nil
        } catch {
            return nil
        }
    }

    /// Whether `new` is to be preferred over `old`; equal values are not.
    func prefers(_ new: [UInt8], over old: [UInt8], key: [UInt8]) -> Bool {
        guard new != old, let validator = validator(key) else { return false }
        return validator.select(key: key, values: [old, new]) == 1
    }

    private func validator(_ key: [UInt8]) -> (any RecordValidator)? {
        guard key.first == UInt8(ascii: "/"), key.count <= KademliaMessage.maximumKey else { return nil }
        let name = key.dropFirst().prefix { $0 != UInt8(ascii: "/") }
        guard name.endIndex < key.endIndex else { return nil }
        return validators[String(decoding: name, as: UTF8.self)]
    }
}
