import ArgumentParser
import Encoding

/// `dsip id show`.
struct IDShow: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one of your identities, or the current one."
    )

    @Argument(help: "Its name or did:… .") var identity: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let shown = try await state.withAgent { try await $0.identity(identity) }
        output.json ? Console.write(shown.json) : Console.write(shown.details)
    }
}

/// `dsip id list`.
struct IDList: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List your identities; * marks the current one."
    )

    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let all = try await state.withAgent { try await $0.identities() }
        if output.json { return Console.write(.array(all.map(\.json))) }
        guard !all.isEmpty else {
            return Console.note("There is no identity here yet. Make one with dsip id create NAME.")
        }
        Console.write(Console.table(all.map(\.row)))
    }
}

/// `dsip id create`.
struct IDCreate: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make an identity, and on the first run the wallet that holds it.",
        discussion: """
            The wallet is locked with a key file beside it, or with --passphrase by a passphrase that is asked for (or read from the file \
            that \(SecretInput.walletVariable) names). The identity is its own key: write down its recovery phrase with dsip id phrase. With \
            --hosted-as the relay publishes its document under a name instead: the key can then be replaced (dsip id rotate), and the relay \
            must be there for others to find it.
            """
    )

    @Argument(help: "What you are called.") var name: String
    @Flag(help: "Lock a new wallet with a passphrase.") var passphrase = false
    @Option(help: "The name under which the relay publishes the identity, such as alice.") var hostedAs: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let made = try await state.withAgent(creating: true, passphrase: passphrase) { agent in
            let isFirst = try await agent.identities().isEmpty
            var wanted: JSONObject = ["name": .string(name)]
            wanted["hosted_as"] = hostedAs.map { .string($0) }
            let made = try await agent.call("identity.create", .object(wanted))
            if isFirst { _ = try await agent.call("identity.select", ["did": made["did"] ?? .null]) }
            return try await agent.identity(made["did"]?.string)
        }
        if output.json { return Console.write(made.json) }
        Console.write(made.details)
        Console.note("Write down its recovery phrase now: dsip id phrase")
    }
}

/// `dsip id rename`.
struct IDRename: Subcommand {
    static let configuration = CommandConfiguration(commandName: "rename", abstract: "Change the name of an identity.")

    @Argument(help: "Its name or did:… .") var identity: String
    @Argument(help: "The new name.") var name: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let renamed = try await state.withAgent { agent in
            let did = try await agent.identity(identity).did
            return IdentityView(
                json: try await agent.call("identity.rename", ["did": .string(did), "name": .string(name)])
            )
        }
        output.json ? Console.write(renamed.json) : Console.write("Now called \(renamed.name).")
    }
}

/// `dsip id use`.
struct IDUse: Subcommand {
    static let configuration = CommandConfiguration(commandName: "use", abstract: "Make an identity the current one.")

    @Argument(help: "Its name or did:… .") var identity: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let used = try await state.withAgent { agent in
            let did = try await agent.identity(identity).did
            _ = try await agent.call("identity.select", ["did": .string(did)])
            return try await agent.identity(did)
        }
        output.json ? Console.write(used.json) : Console.write("\(used.name) is the current identity.")
    }
}

/// `dsip id throwaway`.
struct IDThrowaway: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "throwaway",
        abstract: "Make an identity for one contact alone, with no key in common with any other."
    )

    @Argument(help: "The contact: name, did:… or id.") var contact: String
    @Option(help: "What this contact shall call you. (default: as the current identity)") var name: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let made = try await state.withAgent { agent in
            let contact = try await agent.contact(contact)
            let name = if let name { name } else { try await agent.identity(nil).name }
            return IdentityView(
                json: try await agent.call(
                    "identity.create",
                    ["name": .string(name), "throwaway_for": .string(contact.id)]
                )
            )
        }
        output.json ? Console.write(made.json) : Console.write(made.details)
    }
}
