import ArgumentParser
import Encoding

/// `dsip msg`: write and read messages.
struct MsgCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "msg",
        abstract: "Write to people, and read what they wrote.",
        discussion: """
            A conversation is named by its id, by the title of a group, or by a person: a contact’s name, a did:…, name@host or dsip: link. \
            Messages are end-to-end encrypted; they wait on this device until your relay has them, and there until the others have.
            """,
        subcommands: [
            MsgSend.self, MsgRead.self, MsgWatch.self, MsgList.self, MsgSearch.self, MsgAttach.self, MsgSave.self,
            MsgGroup.self,
        ],
        defaultSubcommand: MsgList.self
    )
}

/// A Conversation object of the agent's API (docs/agent-api.md), for people.
struct ConversationView {
    let json: JSONValue

    var id: String { json["id"]?.string ?? "" }
    var members: [JSONValue] { json["members"]?.array ?? [] }
    var isGroup: Bool { json["kind"]?.string == "group" }

    var title: String {
        if let title = json["title"]?.string, !title.isEmpty { return title }
        let names = members.compactMap { $0["name"]?.string }
        return names.isEmpty ? "(nobody else)" : names.joined(separator: ", ")
    }

    /// What somebody in it is called.
    func name(of did: String) -> String {
        members.first { $0["did"]?.string == did }?["name"]?.string ?? did
    }

    var row: [String] {
        let unread = json["unread"]?.int ?? 0
        let last = json["last"].map { MessageView(json: $0, conversation: self) }
        let condition =
            json["request"]?.bool == true
            ? "asks" : json["self_removed"]?.bool == true ? "left" : unread > 0 ? "\(unread) new" : ""
        return [title, condition, last.map { Console.time($0.time) } ?? "", last?.summary ?? "", id]
    }
}

/// A Message object of the agent's API, for people.
struct MessageView {
    let json: JSONValue
    let conversation: ConversationView

    var id: String { json["id"]?.string ?? "" }
    var time: Int64 { json["sent_at"]?.int ?? 0 }
    var order: Int64 { json["order"]?.int ?? 0 }

    var sender: String {
        json["mine"]?.bool == true ? "You" : conversation.name(of: json["sender"]?.string ?? "")
    }

    /// What it says, in one line or more.
    var summary: String {
        if json["retracted"]?.bool == true { return "(deleted)" }
        switch json["kind"]?.string {
        case "roster": return json["roster"]?["sentence"]?.string ?? ""
        case "call": return "(\(json["call"]?["outcome"]?.string ?? "missed") call)"
        case "audio", "video", "image", "file":
            let file = json["attachment"]
            let name = file?["name"]?.string ?? file?["content_type"]?.string ?? "file"
            return "[\(name), \(file?["size"]?.int ?? 0) bytes]"
        case "contact": return "[contact \(json["contact"]?.string ?? "")]"
        case "unsupported": return "[something this version cannot show]"
        default: return json["text"]?.string ?? ""
        }
    }

    var line: String {
        let state = json["mine"]?.bool == true ? " (\(json["state"]?.string ?? ""))" : ""
        return json["kind"]?.string == "roster"
            ? "\(Console.time(time))  \(summary)" : "\(Console.time(time))  \(sender): \(summary)\(state)"
    }
}

extension AgentDoor {
    func conversations() async throws -> [ConversationView] {
        (try await call("conversations.list")["conversations"]?.array ?? []).map(ConversationView.init)
    }

    /// The conversation that `wanted` names; one with a person is opened when there is none yet.
    func conversation(_ wanted: String) async throws -> ConversationView {
        let all = try await conversations()
        if let exact = all.first(where: { $0.id == wanted }) { return exact }
        let groups = all.filter { $0.isGroup && $0.title.lowercased() == wanted.lowercased() }
        guard groups.count <= 1 else {
            throw CommandFailure(.usage, "Several groups are called “\(wanted)”. Give the id of the one you mean.")
        }
        if let group = groups.first { return group }
        return ConversationView(json: try await call("conversations.open", ["with": .string(try await person(wanted))]))
    }

    /// A contact's id for a contact's name; anything else as it is.
    func person(_ wanted: String) async throws -> String {
        let isAddress = wanted.hasPrefix("did:") || wanted.hasPrefix("dsip:") || wanted.contains("@")
        return isAddress ? wanted : try await contact(wanted).id
    }

    func people(_ wanted: [String]) async throws -> JSONValue {
        var people: [JSONValue] = []
        for one in wanted { people.append(.string(try await person(one))) }
        return .array(people)
    }

    /// Waits until a message of ours is where it is safe: with the relay.
    ///
    /// - Returns: the message as it stands then.
    func waitUntilAccepted(_ message: JSONValue, seconds: Int) async throws -> JSONValue {
        guard let id = message["id"], let conversation = message["conversation"], message["order"]?.int != nil
        else {
            return message
        }
        return try await look(at: message, seconds: seconds, until: { $0["state"]?.string != "pending" }) { current in
            let page = try await call("messages.list", ["conversation": conversation, "around": id, "limit": 20])
            return page["messages"]?.array?.first { $0["id"] == id } ?? current
        }
    }

    /// Looks five times a second at what changes by and by, until it is as wanted or the time is over.
    ///
    /// - Returns: it as it stands then.
    func look<Value>(
        at value: Value,
        seconds: Int,
        until isDone: (Value) -> Bool,
        _ next: (Value) async throws -> Value
    ) async throws -> Value {
        var current = value
        for _ in 0..<(seconds * 5) where !isDone(current) {
            try await Task.sleep(for: .milliseconds(200))
            current = try await next(current)
        }
        return current
    }
}
