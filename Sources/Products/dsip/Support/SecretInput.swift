import DSIPIdentity
import Foundation

/// Passphrases and recovery words: from a file named in the environment, or typed without echo. Never from the command line, where
/// every process of the machine can read them.
enum SecretInput {
    static let walletVariable = "DSIP_PASSPHRASE_FILE"
    static let backupVariable = "DSIP_BACKUP_PASSPHRASE_FILE"

    /// - Parameters:
    ///   - variable: names the file whose first line is the passphrase.
    ///   - isNew: asks twice when typed.
    static func passphrase(_ question: String, variable: String, isNew: Bool = false) throws -> String {
        if let path = ProcessInfo.processInfo.environment[variable], !path.isEmpty {
            return try firstLine(of: path, variable)
        }
        guard let first = typed(question) else {
            throw CommandFailure(
                .locked,
                "A passphrase is needed and there is no terminal to ask at. Put it in a file and name the file in \(variable)."
            )
        }
        guard !first.isEmpty else { throw CommandFailure(.locked, "The passphrase must not be empty.") }
        if isNew, typed("The same again:") != first {
            throw CommandFailure(.locked, "The two were not the same; nothing was changed. Try again.")
        }
        return first
    }

    /// The recovery words: the whole of standard input when it is not a terminal, else typed without echo.
    static func words() throws -> [String] {
        let text: String
        if Console.inputIsTerminal {
            text = typed("The 24 words, separated by spaces (they are not shown):") ?? ""
        } else {
            let data = try FileHandle.standardInput.read(upToCount: 4096) ?? Data()
            text = String(decoding: data, as: UTF8.self)
        }
        let words = text.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == RecoveryPhrase.wordCount else {
            throw CommandFailure(
                .usage,
                "A recovery phrase has \(RecoveryPhrase.wordCount) words; \(words.count) were given. Nothing was changed."
            )
        }
        return words
    }

    private static func firstLine(of path: String, _ variable: String) throws -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 4096 else {
            throw CommandFailure(.notFound, "The file \(path) that \(variable) names cannot be read.")
        }
        let line = String(decoding: data.prefix { $0 != 0x0a && $0 != 0x0d }, as: UTF8.self)
        guard !line.isEmpty else {
            throw CommandFailure(.locked, "The first line of \(path) is empty; it should be the passphrase.")
        }
        return line
    }

    /// One line from the terminal itself, whatever standard input is, without echo.
    ///
    /// - Returns: nil when there is no terminal.
    private static func typed(_ question: String) -> String? {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else { return nil }
        defer { close(terminal) }
        var shown = termios()
        guard tcgetattr(terminal, &shown) == 0 else { return nil }
        var hidden = shown
        hidden.c_lflag &= ~tcflag_t(ECHO)
        guard tcsetattr(terminal, TCSAFLUSH, &hidden) == 0 else { return nil }
        defer { tcsetattr(terminal, TCSAFLUSH, &shown) }
        let prompt = Array((Console.clean(question) + " ").utf8)
        _ = Foundation.write(terminal, prompt, prompt.count)
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while line.count < 4096, read(terminal, &byte, 1) == 1, byte != 0x0a { line.append(byte) }
        _ = Foundation.write(terminal, "\n", 1)
        return String(decoding: line, as: UTF8.self)
    }
}

/// Yes or no.
enum Confirmation {
    /// - Throws: when the answer is not yes, or nobody can be asked.
    static func require(_ question: String, given: Bool) throws {
        if given { return }
        guard Console.inputIsTerminal else {
            throw CommandFailure(.failed, "\(question) Nobody can be asked here: confirm with --yes.")
        }
        Console.ask("\(question) Type yes to go on:")
        guard readLine()?.trimmingCharacters(in: .whitespaces).lowercased() == "yes" else {
            throw CommandFailure(.failed, "Not confirmed; nothing was done.")
        }
    }
}
