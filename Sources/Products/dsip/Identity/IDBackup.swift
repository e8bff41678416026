import ArgumentParser
import Encoding
import Foundation

/// `dsip id phrase`.
struct IDPhrase: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "phrase",
        abstract: "Show the 24 words that give the current identity back.",
        discussion: "Whoever has the words is you. Write them on paper; do not photograph or store them."
    )

    @Flag(help: "Show the words without asking.") var yes = false
    @Flag(help: "Do not show the words: ask for three of them, and note that they are written down.") var confirm =
        false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        if confirm { return try await check() }
        try Confirmation.require(
            "The words will be shown on this screen. Whoever sees them can be you, for good.",
            given: yes
        )
        let shown = try await state.withAgent { agent in
            _ = try await agent.identity(nil)
            return try await agent.call("identity.phrase")
        }
        if output.json { return Console.write(shown) }
        let words = (shown["words"]?.array ?? []).compactMap(\.string)
        let columns = 4
        let rows = stride(from: 0, to: words.count, by: columns).map { start in
            (start..<min(start + columns, words.count)).map { index in
                "\(index + 1 < 10 ? " " : "")\(index + 1). \(words[index])"
            }
        }
        Console.write(Console.table(rows))
        Console.note("When they are on paper: dsip id phrase --confirm")
    }

    private func check() async throws {
        try await state.withAgent { agent in
            let identity = try await agent.identity(nil)
            var words: JSONObject = [:]
            for place in Array((1...24).shuffled().prefix(3)).sorted() {
                Console.ask("Word \(place):")
                guard let word = readLine() else {
                    throw CommandFailure(.usage, "Three words are asked for, one a line; nothing was changed.")
                }
                words["\(place)"] = .string(word)
            }
            do {
                _ = try await agent.call("identity.phrase.confirm", ["words": .object(words)])
            } catch {
                throw CommandFailure(.failed, "That is not what the phrase says. Look at your note again.")
            }
            Console.write("The phrase of \(identity.name) is written down.")
        }
    }
}

/// `dsip id restore`.
struct IDRestore: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make an identity anew from its 24 words.",
        discussion: "The words are asked for, or read from standard input; never give them as arguments."
    )

    @Argument(help: "What you are called.") var name: String
    @Flag(help: "Lock a new wallet with a passphrase.") var passphrase = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let words = try SecretInput.words()
        let restored = try await state.withAgent(creating: true, passphrase: passphrase) { agent in
            IdentityView(
                json: try await agent.call(
                    "identity.restore",
                    ["name": .string(name), "words": .array(words.map { .string($0) })]
                )
            )
        }
        output.json ? Console.write(restored.json) : Console.write(restored.details)
    }
}

/// `dsip id export`.
struct IDExport: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write an encrypted backup of all identities to a file.",
        discussion: """
            The backup has a passphrase of its own, asked for or read from the file that \(SecretInput.backupVariable) names. It holds no \
            device key: where it is imported, a new device begins.
            """
    )

    @Argument(help: "The file to write; it must not exist.", completion: .file()) var file: String
    @Flag(help: "Write over a file that exists.") var force = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let passphrase = try SecretInput.passphrase(
            "A passphrase for the backup:",
            variable: SecretInput.backupVariable,
            isNew: true
        )
        let made = try await state.withAgent { agent in
            _ = try await agent.identity(nil)
            return try await agent.call("identity.export", ["passphrase": .string(passphrase)])
        }
        try PrivateOutput.write((made["backup"]?.string ?? "") + "\n", to: file, replacing: force, secret: true)
        output.json ? Console.write(["file": .string(file)]) : Console.write("Backup written to \(file).")
    }
}

/// `dsip id import`.
struct IDImport: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take the identities of a backup into this wallet."
    )

    @Argument(help: "The backup.", completion: .file()) var file: String
    @Flag(help: "Lock a new wallet with a passphrase.") var passphrase = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let bytes = try PrivateOutput.read(file, limit: 32 << 20, what: "The backup")
        let secret = try SecretInput.passphrase("Passphrase of the backup:", variable: SecretInput.backupVariable)
        let imported = try await state.withAgent(creating: true, passphrase: passphrase) { agent in
            IdentityView(
                json: try await agent.call(
                    "identity.import",
                    ["backup": .string(String(decoding: bytes, as: UTF8.self)), "passphrase": .string(secret)]
                )
            )
        }
        output.json ? Console.write(imported.json) : Console.write(imported.details)
    }
}
