import ArgumentParser

/// The `dsip` command: a thin front to the products. Each subcommand stands in a file of its own.
@main
struct DSIPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dsip",
        abstract: "Decentralized session initiation: identities of your own, calls nobody can forge.",
        discussion: ExitStatus.explanation,
        subcommands: [
            UpCommand.self, DemoCommand.self, RelayCommand.self, IDCommand.self, ContactsCommand.self, MsgCommand.self,
            BroadcastCommand.self, ResolveCommand.self, DHTCommand.self, VerifyCommand.self, DoctorCommand.self,
            ConformanceCommand.self,
            CompletionCommand.self,
        ]
    )
}
