import ArgumentParser
import Encoding

/// `dsip msg group`.
struct MsgGroup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "Make groups, say who is in them, and which service orders them.",
        subcommands: [
            MsgGroupCreate.self, MsgGroupAdd.self, MsgGroupRemove.self, MsgGroupMove.self, MsgGroupLeave.self,
        ]
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

/// `dsip msg group move`.
struct MsgGroupMove: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Have your own relay put a group’s messages in order from now on.",
        discussion: """
            Everybody stays in, and nothing is lost: what the present relay has ordered it still delivers. Move a group while that relay \
            answers; when it is gone for good, the group goes on in a successor by itself.
            """
    )

    @Argument(help: "The group: its title or id.") var group: String
    @Option(help: "Which of your relays, wss://… or its host; the one that keeps your messages when not given.")
    var to: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let moved = try await state.withAgent(.relay) { agent in
            let found = try await agent.conversation(group)
            var parameters: JSONObject = ["id": .string(found.id)]
            if let to { parameters["relay"] = .string(to) }
            return try await agent.waitUntilMoved(
                ConversationView(json: try await agent.call("conversations.move", .object(parameters))),
                seconds: 30
            )
        }
        let hub = moved.json["hub"]?["name"]?.string ?? "your relay"
        let isDone = moved.json["hub"]?["own"]?.bool == true
        output.json
            ? Console.write(moved.json)
            : Console.write(isDone ? "\(moved.title) is ordered by \(hub)." : "\(moved.title) is moving to your relay.")
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

extension AgentDoor {
    /// Waits until one's own relay orders a group.
    ///
    /// - Returns: the group as it stands then.
    fileprivate func waitUntilMoved(_ group: ConversationView, seconds: Int) async throws -> ConversationView {
        try await look(at: group, seconds: seconds, until: { $0.json["hub"]?["own"]?.bool == true }) { current in
            try await conversations().first { $0.id == group.id } ?? current
        }
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
