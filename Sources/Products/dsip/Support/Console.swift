import Encoding
import Foundation

/// Standard output and standard error, for people.
///
/// Text that came from elsewhere is cleaned: a name from the network cannot move the cursor or change the title of the terminal.
enum Console {
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    static let inputIsTerminal = isatty(STDIN_FILENO) == 1

    /// Colour is for terminals only, and not where `NO_COLOR` is set (https://no-color.org).
    static let usesColour: Bool = {
        let environment = ProcessInfo.processInfo.environment
        return outputIsTerminal && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }()

    static func write(_ text: String) { emit(clean(text) + "\n", to: .standardOutput) }

    static func write(_ json: JSONValue) { emit(json.pretty + "\n", to: .standardOutput) }

    static func complain(_ sentence: String) { emit("dsip: \(clean(sentence))\n", to: .standardError) }

    static func note(_ sentence: String) { emit(clean(sentence) + "\n", to: .standardError) }

    /// Asks a question on standard error, where it does not mix with results.
    static func ask(_ question: String) { emit(clean(question) + " ", to: .standardError) }

    static func good(_ text: String) -> String { usesColour ? "\u{1b}[32m\(text)\u{1b}[0m" : text }
    static func bad(_ text: String) -> String { usesColour ? "\u{1b}[31m\(text)\u{1b}[0m" : text }

    /// Lines of aligned columns, two spaces apart; the last column is not padded.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            row.enumerated().map { index, cell in
                index == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[index] - cell.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    /// `2026-11-21 04:00 UTC`.
    static func time(_ seconds: Int64) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "UTC")
        formatter.dateFormat = "yyyy-MM-dd HH:mm 'UTC'"
        return formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds)))
    }

    static func now() -> Int64 { Int64(Date().timeIntervalSince1970) }

    /// Without control characters, but for line feeds and the colours put there by `good` and `bad`.
    static func clean(_ text: String) -> String {
        let paint: Set<String> = ["\u{1b}[32m", "\u{1b}[31m", "\u{1b}[0m"]
        var result = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while let scalar = rest.first {
            if scalar == "\u{1b}", usesColour, let code = paint.first(where: { rest.starts(with: $0.unicodeScalars) }) {
                result.append(contentsOf: code.unicodeScalars)
                rest = rest.dropFirst(code.unicodeScalars.count)
                continue
            }
            let isControl = scalar.properties.generalCategory == .control && scalar != "\n"
            result.append(isControl ? "\u{fffd}" : scalar)
            rest = rest.dropFirst()
        }
        return String(result)
    }

    /// Pipes are written whole, and read by programs line by line.
    private static func emit(_ text: String, to handle: FileHandle) {
        try? handle.write(contentsOf: Data(text.utf8))
    }
}
