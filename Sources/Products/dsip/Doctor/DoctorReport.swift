import Encoding

/// What a check came to.
struct DoctorCheck: Sendable {
    enum Outcome: String, Sendable {
        case ok
        /// Works, and deserves a look.
        case warning
        case failed
        /// Meaningless after an earlier failure.
        case skipped
    }

    let name: String
    let outcome: Outcome
    let detail: String
    /// What to do about it.
    var next: String?

    static func ok(_ name: String, _ detail: String) -> DoctorCheck {
        DoctorCheck(name: name, outcome: .ok, detail: detail)
    }

    static func warning(_ name: String, _ detail: String, next: String) -> DoctorCheck {
        DoctorCheck(name: name, outcome: .warning, detail: detail, next: next)
    }

    static func failed(_ name: String, _ detail: String, next: String) -> DoctorCheck {
        DoctorCheck(name: name, outcome: .failed, detail: detail, next: next)
    }

    static func skipped(_ name: String, because cause: String) -> DoctorCheck {
        DoctorCheck(name: name, outcome: .skipped, detail: "not checked: \(cause)")
    }

    var json: JSONValue {
        [
            "check": .string(name), "outcome": .string(outcome.rawValue), "detail": .string(detail),
            "next": next.map { .string($0) } ?? .null,
        ]
    }

    /// One line, and one more when there is something to do.
    var text: String {
        let word = outcome.rawValue.padding(to: 7)
        let painted =
            switch outcome {
            case .ok: Console.good(word)
            case .failed: Console.bad(word)
            case .warning, .skipped: word
            }
        return "\(painted)  \(name.padding(to: 11))  \(detail)"
            + (next.map { "\n" + "".padding(to: 22) + "→ \($0)" } ?? "")
    }
}

/// The checks so far; each is shown as it is made.
struct DoctorReport {
    private(set) var checks: [DoctorCheck] = []
    private let isShown: Bool

    init(isShown: Bool) { self.isShown = isShown }

    mutating func add(_ check: DoctorCheck) {
        checks.append(check)
        if isShown { Console.write(check.text) }
    }

    var firstFailure: DoctorCheck? { checks.first { $0.outcome == .failed } }
    var hasFailed: Bool { firstFailure != nil }

    var summary: String {
        guard let failure = firstFailure else { return "Everything checked works." }
        let skipped = checks.filter { $0.outcome == .skipped }.count
        let rest = skipped == 0 ? "" : " \(skipped) later checks were left out because they would mean nothing."
        return "The first thing to mend: \(failure.name).\(rest)"
    }

    var json: JSONValue {
        [
            "ok": .bool(!hasFailed), "failed": firstFailure.map { .string($0.name) } ?? .null,
            "checks": .array(checks.map(\.json)),
        ]
    }
}
