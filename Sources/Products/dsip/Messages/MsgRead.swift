import ArgumentParser
import Encoding

/// `dsip msg list`.
struct MsgList: Subcommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List your conversations.")

    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let all = try await state.withAgent { try await $0.conversations() }
        if output.json { return Console.write(.array(all.map(\.json))) }
        guard !all.isEmpty else { return Console.note("There are no conversations yet. Begin one with dsip msg send.") }
        Console.write(Console.table(all.map(\.row)))
    }
}

/// `dsip msg read`.
struct MsgRead: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "read",
        abstract: "Show what was said in a conversation, and mark it read."
    )

    @Argument(help: "The conversation: a person, a group’s title, or an id.") var conversation: String
    @Option(help: "How many messages, 1 to 200.") var last = 20
    @Option(help: "Seconds to wait for what the relay has kept, when no agent runs.") var wait = 3
    @Flag(help: "Leave them unread.") var keepUnread = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (found, messages) = try await state.withAgent(wait > 0 ? .relay : .files) { agent in
            if agent is OwnAgentDoor, wait > 0, try await agent.waitForRelay(seconds: wait) == nil {
                try await Task.sleep(for: .seconds(wait))
            }
            let found = try await agent.conversation(conversation)
            let page = try await agent.call(
                "messages.list",
                ["conversation": .string(found.id), "limit": .int(Int64(min(200, max(1, last))))]
            )
            let messages = page["messages"]?.array ?? []
            if !keepUnread, let newest = messages.last(where: { $0["mine"]?.bool == false })?["id"] {
                _ = try await agent.call("messages.read", ["conversation": .string(found.id), "through": newest])
            }
            return (found, messages)
        }
        if output.json { return Console.write(.array(messages)) }
        guard !messages.isEmpty else { return Console.note("Nothing has been said there yet.") }
        for message in messages { Console.write(MessageView(json: message, conversation: found).line) }
    }
}

/// `dsip msg watch`.
struct MsgWatch: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show what is said as it comes; Ctrl-C ends."
    )

    @Argument(help: "The conversation; all of them without one.") var conversation: String?
    @Option(help: "End after so many messages.") var count: Int?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        try await state.withAgent(.relay) { agent in
            let wanted = try await conversation.async { try await agent.conversation($0).id }
            var places: [String: Int64] = [:]
            var left = count ?? .max
            var isFirst = true
            while left > 0 {
                for found in try await agent.conversations() where wanted == nil || wanted == found.id {
                    let place = places[found.id] ?? (isFirst ? found.json["last"]?["order"]?.int : nil) ?? 0
                    let page = try await agent.call(
                        "messages.list",
                        ["conversation": .string(found.id), "after": .int(place), "limit": 200]
                    )
                    places[found.id] = place
                    for message in page["messages"]?.array ?? [] where left > 0 {
                        let view = MessageView(json: message, conversation: found)
                        places[found.id] = max(place, view.order)
                        // Our own are shown where they were written.
                        guard message["mine"]?.bool == false else { continue }
                        output.json ? Console.write(message) : Console.write("\(found.title): \(view.line)")
                        left -= 1
                    }
                }
                isFirst = false
                if left > 0 { try await Task.sleep(for: .milliseconds(500)) }
            }
        }
    }
}

/// `dsip msg search`.
struct MsgSearch: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "search",
        abstract: "Find messages by words, or by how words begin."
    )

    @Argument(help: "The words.") var words: [String]
    @Option(name: .customLong("in"), help: "Only in this conversation.") var conversation: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (all, results) = try await state.withAgent { agent in
            var parameters: JSONObject = ["query": .string(words.joined(separator: " "))]
            if let conversation { parameters["conversation"] = .string(try await agent.conversation(conversation).id) }
            let found = try await agent.call("messages.search", .object(parameters))
            return (try await agent.conversations(), found["results"]?.array ?? [])
        }
        if output.json { return Console.write(.array(results)) }
        guard !results.isEmpty else { throw CommandFailure(.notFound, "Nothing was found.") }
        for result in results {
            guard let message = result["message"],
                let home = all.first(where: { $0.id == message["conversation"]?.string })
            else { continue }
            let view = MessageView(json: message, conversation: home)
            let snippet = (result["snippet"]?.string ?? "").replacing("\u{02}", with: "").replacing("\u{03}", with: "")
            Console.write("\(Console.time(view.time))  \(home.title), \(view.sender): \(snippet)  \(view.id)")
        }
    }
}

extension Optional {
    fileprivate func async<R>(_ body: (Wrapped) async throws -> R) async rethrows -> R? {
        guard let self else { return nil }
        return try await body(self)
    }
}
