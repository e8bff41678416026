import Encoding

/// What became of one vector.
public struct ConformanceResult: Sendable {
    public enum Outcome: Hashable, Sendable {
        case passed
        /// With a sentence when it could not be run to the end.
        case failed(String)
        case skipped(String)
        /// It differs because a later text decides otherwise; with the clause.
        case superseded(String)
    }

    public let id: String
    public let area: String
    public let outcome: Outcome
    public var expected: JSONValue?
    public var actual: JSONValue?
    /// What the results file calls the result.
    var member = "actual"

    static func unreadable(_ path: String, _ reason: String) -> ConformanceResult {
        ConformanceResult(id: path, area: "unreadable", outcome: .failed(reason))
    }

    fileprivate var json: JSONValue {
        var object: JSONObject = ["ok": .bool(outcome == .passed)]
        if let actual { object[member] = actual }
        switch outcome {
        case .passed: break
        case .failed(let reason): if !reason.isEmpty { object["error"] = .string(reason) }
        case .skipped(let reason):
            object["skipped"] = true
            object["why"] = .string(reason)
        case .superseded(let clause): object["superseded"] = .string(clause)
        }
        return .object(object)
    }
}

/// How a folder of vectors went.
public struct ConformanceReport: Sendable {
    public struct Count: Hashable, Sendable {
        public var passed = 0
        public var failed = 0
        public var skipped = 0
        public var superseded = 0

        var text: String {
            "\(passed) passed, \(failed) failed, \(skipped) skipped"
                + (superseded > 0 ? ", \(superseded) superseded" : "")
        }

        fileprivate mutating func add(_ outcome: ConformanceResult.Outcome) {
            switch outcome {
            case .passed: passed += 1
            case .failed: failed += 1
            case .skipped: skipped += 1
            case .superseded: superseded += 1
            }
        }
    }

    public private(set) var results: [ConformanceResult] = []
    /// JSON files that are no vectors, such as schemas and fixtures.
    public private(set) var others = 0

    public init() {}

    mutating func add(_ result: ConformanceResult?) {
        if let result { results.append(result) } else { others += 1 }
    }

    public var total: Count { count { _ in true } }

    private static let known = ConformanceArea.all.map(\.name) + StandardVectors.areas + PeerToPeerVectors.areas

    public func count(area: String) -> Count { count { $0.area == area } }

    /// Areas in the order of their table, then what is unknown.
    public var areas: [String] {
        let known = Self.known
        let seen = Set(results.map(\.area))
        return known.filter(seen.contains) + seen.subtracting(known).sorted()
    }

    /// One line an area and a total.
    ///
    /// - Parameter verbose: whether what differs and what was skipped is shown too.
    public func text(verbose: Bool) -> String {
        let width = (areas.map(\.count).max() ?? 0) + 2
        func line(_ name: String, _ count: Count) -> String {
            name + String(repeating: " ", count: max(1, width - name.count)) + count.text
        }
        var lines: [String] = []
        for result in results where verbose || result.area == "unreadable" { lines += describe(result) }
        lines += areas.map { line($0, count(area: $0)) }
        for area in areas where !Self.known.contains(area) && area != "unreadable" {
            lines.append("The kind \(area) is not implemented; its vectors were skipped.")
        }
        if others > 0 { lines.append("\(others) JSON files are no vectors.") }
        lines.append(total.text)
        return lines.joined(separator: "\n")
    }

    /// Actual results by vector id, for comparing implementations.
    public var json: JSONValue { .object(JSONObject(results.map { ($0.id, $0.json) })) }

    private func describe(_ result: ConformanceResult) -> [String] {
        switch result.outcome {
        case .passed: return []
        case .skipped(let reason): return ["skipped \(result.id): \(reason)"]
        case .superseded(let clause): return ["superseded \(result.id): \(clause)"] + differences(result)
        case .failed(let reason):
            return ["FAILED \(result.id)" + (reason.isEmpty ? "" : ": \(reason)")] + differences(result)
        }
    }

    private func differences(_ result: ConformanceResult) -> [String] {
        guard let expected = result.expected, let actual = result.actual else { return [] }
        return JSONDifference.between(expected, actual).map { "    \($0)" }
    }

    private func count(_ include: (ConformanceResult) -> Bool) -> Count {
        results.reduce(into: Count()) { if include($1) { $0.add($1.outcome) } }
    }
}
