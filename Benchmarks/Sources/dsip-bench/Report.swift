import Foundation

/// A line of the report: name, figure, ratio, goal, whether it is met.
enum Report {
    /// - Parameter ratio: to the peer, or to the limit, measured in the same run; more is better.
    static func line(_ name: String, _ figure: String, ratio: Double, atLeast goal: Double) {
        line(name, figure, "ratio \(two(ratio))", "goal ≥ \(two(goal))", ratio >= goal)
    }

    /// The same where less is better.
    static func line(_ name: String, _ figure: String, ratio: Double, atMost goal: Double) {
        line(name, figure, "ratio \(two(ratio))", "goal ≤ \(two(goal))", ratio <= goal)
    }

    /// Where no goal is set.
    static func line(_ name: String, _ figure: String, ratio: Double) {
        print("\(name): \(figure); ratio \(two(ratio))")
        fflush(nil)
    }

    private static func line(_ name: String, _ figure: String, _ ratio: String, _ goal: String, _ isMet: Bool) {
        print("\(name): \(figure); \(ratio), \(goal): \(isMet ? "met" : "NOT MET")")
        fflush(nil)
    }

    static func two(_ value: Double) -> String { String(format: "%.2f", value) }
    static func milliseconds(_ seconds: Double) -> String { String(format: "%.1f ms", seconds * 1000) }
    static func microseconds(_ nanoseconds: Double) -> String { String(format: "%.2f µs", nanoseconds / 1000) }
    static func mebibytes(_ bytes: Double) -> String { String(format: "%.1f MiB", bytes / 1_048_576) }
    static func kibibytes(_ bytes: Double) -> String { String(format: "%.1f KiB", bytes / 1024) }
}

extension [Double] {
    var median: Double { quantile(0.5) }

    /// The smallest value that at least `share` of all do not exceed; 0 of none.
    func quantile(_ share: Double) -> Double {
        guard !isEmpty else { return 0 }
        return sorted()[Swift.min(count - 1, Swift.max(0, Int((Double(count) * share).rounded(.up)) - 1))]
    }
}
