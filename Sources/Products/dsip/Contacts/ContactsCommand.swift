import ArgumentParser
import DSIPAgent
import Encoding

/// `dsip contacts`: the people of the current identity.
struct ContactsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contacts",
        abstract: "People you know, and who of them may ring you.",
        subcommands: [
            ContactsList.self, ContactsAdd.self, ContactsRename.self, ContactsAllow.self, ContactsBlock.self,
            ContactsFollow.self, ContactsRemove.self,
        ],
        defaultSubcommand: ContactsList.self
    )
}

/// A Contact object of the agent's API (docs/agent-api.md), for people.
struct ContactView {
    let json: JSONValue

    var id: String { json["id"]?.string ?? "" }
    var did: String { json["did"]?.string ?? "" }
    var name: String { json["name"]?.string ?? "" }

    private var condition: String {
        if json["blocked"]?.bool == true { return "blocked" }
        if case .object? = json["key_changed"] { return "KEY CHANGED" }
        if let next = json["move"]?["did"]?.string { return "says to have moved to \(next)" }
        if let step = json["key_history"]?.array?.last, let at = step["at"]?.int {
            let why = step["reason"]?.string ?? "accepted by you"
            return "key of \(Console.time(at)), \(why)"
        }
        return json["allowed"]?.bool == true ? "may ring" : "must ask"
    }

    var row: [String] { [name, condition, json["alias"]?.string ?? "", did] }

    /// Whether they are there, as their relay says.
    static func word(_ isHere: Bool?) -> String { isHere.map { $0 ? "online" : "offline" } ?? "not told" }
}

extension AgentDoor {
    func contacts() async throws -> [ContactView] {
        (try await call("state.get")["contacts"]?.array ?? []).map(ContactView.init)
    }

    /// Who of `people` is there, by DID, as far as their relays say so to us within three seconds.
    func presence(of people: [String]) async throws -> [String: Bool] {
        let end = ContinuousClock.now + .seconds(3)
        while true {
            let answer = try await call("presence.look", ["dids": .array(people.map { .string($0) })])
            let told = (answer["people"]?.array ?? []).compactMap { entry in
                entry["did"]?.string.flatMap { did in entry["here"]?.bool.map { (did, $0) } }
            }
            if told.count == people.count || ContinuousClock.now >= end {
                return Dictionary(told) { first, _ in first }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// The contact with this id, DID or alias, or the only one of this name.
    func contact(_ wanted: String) async throws -> ContactView {
        let all = try await contacts()
        if let exact = all.first(where: { [$0.id, $0.did, $0.json["alias"]?.string].contains(wanted) }) {
            return exact
        }
        let named = all.filter { $0.name.lowercased() == wanted.lowercased() }
        guard let only = named.first else {
            throw CommandFailure(.notFound, "No contact is called “\(wanted)”; dsip contacts list shows them.")
        }
        guard named.count == 1 else {
            throw CommandFailure(.usage, "Several contacts are called “\(wanted)”. Give the did:… of the one you mean.")
        }
        return only
    }
}

/// `dsip contacts list`.
struct ContactsList: Subcommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List your contacts.")

    @Flag(help: "Ask their relays who is there; those who let you see it are told as online or offline.") var online =
        false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (all, here) = try await state.withAgent { agent in
            let all = try await agent.contacts()
            let asked = all.map(\.did).prefix(Agent.maximumLooked)
            return (all, online ? try await agent.presence(of: Array(asked)) : [:])
        }
        if output.json {
            return Console.write(
                .array(
                    all.map { contact in
                        guard online, case .object(var object) = contact.json else { return contact.json }
                        object["here"] = here[contact.did].map { .bool($0) } ?? .null
                        return .object(object)
                    }
                )
            )
        }
        guard !all.isEmpty else {
            return Console.note("There are no contacts yet. Add one with dsip contacts add ADDRESS NAME.")
        }
        Console.write(Console.table(all.map { online ? [ContactView.word(here[$0.did])] + $0.row : $0.row }))
    }
}

/// `dsip contacts add`.
struct ContactsAdd: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add someone by did:…, name@host, or dsip: link."
    )

    @Argument(help: "Their address.") var address: String
    @Argument(help: "What you call them.") var name: String
    @Flag(help: "They must ask before they may ring you.") var mustAsk = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let added = try await state.withAgent { agent in
            _ = try await agent.identity(nil)
            return ContactView(
                json: try await agent.call(
                    "contacts.add",
                    ["input": .string(address), "name": .string(name), "allowed": .bool(!mustAsk)]
                )
            )
        }
        output.json ? Console.write(added.json) : Console.write("Added \(added.name) (\(added.did)).")
    }
}

/// `dsip contacts rename`.
struct ContactsRename: Subcommand {
    static let configuration = CommandConfiguration(commandName: "rename", abstract: "Change what you call someone.")

    @Argument(help: "The contact: name, alias, did:… or id.") var contact: String
    @Argument(help: "The new name.") var name: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let changed = try await state.update(contact, ["name": .string(name)])
        output.json ? Console.write(changed.json) : Console.write("Now called \(changed.name).")
    }
}

/// `dsip contacts allow`.
struct ContactsAllow: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Let someone ring you; this also ends a block."
    )

    @Argument(help: "The contact: name, alias, did:… or id.") var contact: String
    @Flag(help: "The other way round: from now on they must ask first.") var mustAsk = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let changed = try await state.update(contact, ["allowed": .bool(!mustAsk), "blocked": false])
        output.json
            ? Console.write(changed.json)
            : Console.write("\(changed.name) \(mustAsk ? "must ask before they may ring you" : "may ring you").")
    }
}

/// `dsip contacts block`.
struct ContactsBlock: Subcommand {
    static let configuration = CommandConfiguration(commandName: "block", abstract: "Let nothing of someone reach you.")

    @Argument(help: "The contact: name, alias, did:… or id.") var contact: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let changed = try await state.update(contact, ["blocked": true])
        output.json ? Console.write(changed.json) : Console.write("\(changed.name) is blocked.")
    }
}

/// `dsip contacts follow`.
struct ContactsFollow: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "follow",
        abstract: "Believe a contact that says to be another identity from now on; both identities signed it."
    )

    @Argument(help: "The contact: name, alias or did:… .") var contact: String
    @Flag(help: "Leave everything as it is, and do not show it again.") var ignore = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (followed, name) = try await state.withAgent(.relay) { agent in
            let found = try await agent.contact(contact)
            let method = ignore ? "contacts.ignore_move" : "contacts.accept_move"
            return (try await agent.call(method, ["id": .string(found.id)]), found.name)
        }
        if output.json { return Console.write(followed) }
        Console.write(ignore ? "\(name) stays who they are." : "\(name) is \(followed["did"]?.string ?? "") now.")
    }
}

/// `dsip contacts remove`.
struct ContactsRemove: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Forget someone; they can then only ask."
    )

    @Argument(help: "The contact: name, alias, did:… or id.") var contact: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let removed = try await state.withAgent { agent in
            let found = try await agent.contact(contact)
            _ = try await agent.call("contacts.remove", ["id": .string(found.id)])
            return found
        }
        output.json ? Console.write(removed.json) : Console.write("Removed \(removed.name).")
    }
}

extension StateOptions {
    fileprivate func update(_ contact: String, _ changes: JSONObject) async throws -> ContactView {
        try await withAgent { agent in
            var parameters = changes
            parameters["id"] = .string(try await agent.contact(contact).id)
            return ContactView(json: try await agent.call("contacts.update", .object(parameters)))
        }
    }
}
