import ArgumentParser
import Encoding

/// `dsip msg group`.
struct MsgGroup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Make groups, and say who is in them.",
        subcommands: [MsgGroupCreate.self, MsgGroupAdd.self, MsgGroupRemove.self, MsgGroupLeave.self]
    )
}

/// `dsip msg group create`.
struct MsgGroupCreate: Subcommand {
    static let configuration = CommandConfiguration(commandName: "create", abstract: "Make a group.")

    @Argument(help: "What it is called.") var title: String
    @Argument(help: "Who is in it: contacts’ names, did:…, name@host, dsip: links.") var members: [String]
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let made = try await state.withAgent(.relay) { agent in
            ConversationView(
                json: try await agent.call(
                    "conversations.create",
                    ["title": .string(title), "members": try await agent.people(members)]
                )
            )
        }
        output.json ? Console.write(made.json) : Console.write("Made \(made.title) (\(made.id)).")
    }
}

/// `dsip msg group add`.
struct MsgGroupAdd: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Bring people into a group. They read what is said from then on."
    )

    @Argument(help: "The group: its title or id.") var group: String
    @Argument(help: "Who comes in.") var members: [String]
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        try await state.change(group, by: "conversations.add", members, output)
    }
}

/// `dsip msg group remove`.
struct MsgGroupRemove: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take people out of a group. They keep what they have, and read nothing further."
    )

    @Argument(help: "The group: its title or id.") var group: String
    @Argument(help: "Who goes.") var members: [String]
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        try await state.change(group, by: "conversations.remove", members, output)
    }
}

/// `dsip msg group leave`.
struct MsgGroupLeave: Subcommand {
    static let configuration = CommandConfiguration(commandName: "leave", abstract: "Leave a group.")

    @Argument(help: "The group: its title or id.") var group: String
    @OptionGroup var state: StateOptions

    func perform() async throws {
        let left = try await state.withAgent(.relay) { agent in
            let found = try await agent.conversation(group)
            _ = try await agent.call("conversations.leave", ["id": .string(found.id)])
            return found
        }
        Console.write("You are leaving \(left.title).")
    }
}

extension StateOptions {
    /// Says who is in the group after the change.
    fileprivate func change(
        _ group: String,
        by method: String,
        _ members: [String],
        _ output: OutputOptions
    ) async throws {
        let changed = try await withAgent(.relay) { agent in
            let found = try await agent.conversation(group)
            return ConversationView(
                json: try await agent.call(
                    method,
                    ["id": .string(found.id), "members": try await agent.people(members)]
                )
            )
        }
        output.json
            ? Console.write(changed.json) : Console.write("\(changed.title): \(changed.members.count + 1) people.")
    }
}
