/// The entries of a CBOR map, each key once, in the order they were added or read.
public struct CBORMap: Sendable {
    public private(set) var entries: [(key: CBORValue, value: CBORValue)]

    /// - Parameter entries: when a key comes twice, the later value stands.
    public init(_ entries: [(CBORValue, CBORValue)] = []) {
        self.entries = []
        self.entries.reserveCapacity(entries.count)
        for (key, value) in entries { self[key] = value }
    }

    /// - Parameter entries: no key comes twice; the caller has seen to it.
    init(distinct entries: [(key: CBORValue, value: CBORValue)]) { self.entries = entries }

    public var count: Int { entries.count }
    public var isEmpty: Bool { entries.isEmpty }

    public subscript(_ key: CBORValue) -> CBORValue? {
        get { entries.first { $0.key == key }?.value }
        set {
            if let i = entries.firstIndex(where: { $0.key == key }) {
                if let newValue { entries[i].value = newValue } else { entries.remove(at: i) }
            } else if let newValue {
                entries.append((key: key, value: newValue))
            }
        }
    }
}

extension CBORMap: Hashable {
    public static func == (a: CBORMap, b: CBORMap) -> Bool {
        guard a.count == b.count else { return false }
        // The usual case, and the only cheap one: the same entries in the same order.
        if a.entries.elementsEqual(b.entries, by: { $0.key == $1.key && $0.value == $1.value }) { return true }
        let index = Dictionary(b.entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        return a.entries.allSatisfy { index[$0.key] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        hasher.combine(entries.reduce(0) { $0 ^ $1.key.hashValue })
    }
}

extension CBORMap: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (CBORValue, CBORValue)...) { self.init(elements) }
}
