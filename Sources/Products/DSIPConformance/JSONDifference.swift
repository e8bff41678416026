import Encoding

/// Where two JSON values differ, one line a place.
enum JSONDifference {
    static func between(_ expected: JSONValue, _ actual: JSONValue, at path: String = "$") -> [String] {
        guard expected != actual else { return [] }
        switch (expected, actual) {
        case (.object(let a), .object(let b)):
            let extra = b.members.filter { a[$0.name] == nil }
            return a.members.flatMap { member -> [String] in
                let place = "\(path).\(member.name)"
                guard let other = b[member.name] else { return ["\(place): expected \(member.value.text), absent"] }
                return between(member.value, other, at: place)
            } + extra.map { "\(path).\($0.name): not expected, \($0.value.text)" }
        case (.array(let a), .array(let b)) where a.count == b.count:
            return a.indices.flatMap { between(a[$0], b[$0], at: "\(path)[\($0)]") }
        default: return ["\(path): expected \(expected.text), got \(actual.text)"]
        }
    }
}
