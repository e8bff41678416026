import ArgumentParser
import Encoding

/// `dsip broadcast`: streams, whoever publishes them.
struct BroadcastCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broadcast",
        abstract: "Publish live streams, and follow those of others.",
        discussion: """
            A stream is named by its id: its publisher’s did:…, or that with a colon and a name behind it. What is signed is the record of \
            a stream (who publishes it, where it is played, what may be done with it) and not its sound or picture.
            """,
        subcommands: [
            BroadcastList.self, BroadcastShow.self, BroadcastWatch.self, BroadcastForget.self, BroadcastPublish.self,
            BroadcastUnpublish.self, BroadcastAttest.self,
        ],
        defaultSubcommand: BroadcastList.self
    )
}

/// A Broadcast object of the agent's API (docs/agent-api.md), for people.
struct BroadcastView {
    let json: JSONValue

    var stream: String { json["stream"]?.string ?? "" }
    var state: String { json["state"]?.string ?? "" }
    private var record: JSONValue? { json["record"] }

    var row: [String] { [state, record?["title"]?.string ?? "", json["publisher"]?["name"]?.string ?? "", stream] }

    private func list(_ name: String) -> [String] { (json[name]?.array ?? []).compactMap(\.string) }

    /// What a listener may know of it.
    var text: String {
        var lines = [
            "Stream: \(stream)", "State: \(state)\(json["current"]?.bool == true ? "" : " (as last heard)")",
        ]
        if let fault = json["fault"]?.string { lines.append("The record that came was not believed: \(fault)") }
        guard let record, case .object = record else { return lines.joined(separator: "\n") }
        if let title = record["title"]?.string { lines.append("Title: \(title)") }
        let publisher = json["publisher"]
        let basis = (publisher?["basis"]?.array ?? []).compactMap(\.string).joined(separator: "; ")
        lines.append("Original publisher: \(publisher?["did"]?.string ?? "") (\(basis))")
        for (words, name) in [("Delivered by", "delivered_by"), ("Transcoded by", "transcoded_by")] {
            for processor in list(name) { lines.append("\(words): \(processor)") }
        }
        lines.append("Integrity mode: \(json["integrity"]?.string ?? "")")
        for statement in json["provenance"]?.array ?? [] {
            if let violation = statement["policy_violation"]?.string {
                let processor = statement["processor"]?.string ?? ""
                lines.append("Against the publisher’s policy: \(violation) by \(processor)")
            }
        }
        let refused = list("refused_statements")
        if !refused.isEmpty { lines.append("Statements not believed: \(refused.joined(separator: ", "))") }
        for (key, value) in record["policy"]?.object?.members ?? [] {
            lines.append("Policy: \(key) \(value.string ?? "")")
        }
        for variant in record["variants"]?.array ?? [] {
            let fields = ["id", "codec", "transport", "uri"].map { variant[$0]?.string ?? "" }
            lines.append("Variant: \(fields.joined(separator: "  "))")
        }
        if let until = record["expires_at"]?.int { lines.append("Valid until: \(Console.time(until))") }
        return lines.joined(separator: "\n")
    }
}

/// `dsip broadcast list`.
struct BroadcastList: Subcommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the streams you follow.")

    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let all = try await state.withAgent(.relay) { agent -> [BroadcastView] in
            if agent is OwnAgentDoor { _ = try await agent.waitForRelay(seconds: 8) }
            var all = try await agent.call("broadcast.list")["broadcasts"]?.array ?? []
            for _ in 0..<40 where all.contains(where: { $0["state"]?.string == "waiting" }) {
                try await Task.sleep(for: .milliseconds(100))
                all = try await agent.call("broadcast.list")["broadcasts"]?.array ?? []
            }
            return all.map(BroadcastView.init)
        }
        if output.json { return Console.write(.array(all.map(\.json))) }
        guard !all.isEmpty else {
            return Console.note("You follow no streams. Follow one with dsip broadcast show STREAM.")
        }
        Console.write(Console.table(all.map(\.row)))
    }
}

/// `dsip broadcast show`.
struct BroadcastShow: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Follow a stream, and show what is known of it now."
    )

    @OptionGroup var which: StreamArgument
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let found = try await state.withAgent(.relay) { try await which.watch($0) }
        output.json ? Console.write(found.json) : Console.write(found.text)
        guard found.state != "unavailable", found.state != "waiting" else {
            throw CommandFailure(.notFound, "There is no such stream there, or the relay does not answer.")
        }
    }
}

struct StreamArgument: ParsableArguments {
    @Argument(help: "The stream: its id, or the address of its publisher where that is the stream.") var stream: String
    @Option(help: "The wss URL of the relay that answers for it, where nothing else says so.") var at: String?

    func watch(_ agent: any AgentDoor) async throws -> BroadcastView {
        var parameters: JSONObject = ["stream": .string(stream)]
        parameters["relay"] = at.map { .string($0) }
        return BroadcastView(json: try await agent.call("broadcast.watch", .object(parameters)))
    }
}

/// `dsip broadcast watch`.
struct BroadcastWatch: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Follow a stream, and show every change as it comes; Ctrl-C ends."
    )

    @OptionGroup var which: StreamArgument
    @Option(help: "End after so many seconds; 0 for never.") var seconds = 0
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        try await state.withAgent(.relay) { agent in
            var last = try await which.watch(agent)
            report(last)
            let end = ContinuousClock.now + .seconds(seconds)
            while seconds == 0 || ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(500))
                let all = try await agent.call("broadcast.list")["broadcasts"]?.array ?? []
                guard let json = all.first(where: { $0["stream"]?.string == last.stream }) else { return }
                if json != last.json {
                    last = BroadcastView(json: json)
                    report(last)
                }
            }
        }
    }

    private func report(_ view: BroadcastView) {
        if output.json { return Console.write(String(decoding: view.json.utf8, as: UTF8.self)) }
        Console.write("\(Console.time(Console.now()))\n\(view.text)\n")
    }
}

/// `dsip broadcast forget`.
struct BroadcastForget: Subcommand {
    static let configuration = CommandConfiguration(commandName: "forget", abstract: "Stop following a stream.")

    @Argument(help: "The stream.") var stream: String
    @OptionGroup var state: StateOptions

    func perform() async throws {
        try await state.withAgent(.relay) { agent in
            _ = try await agent.call("broadcast.unwatch", ["stream": .string(stream)])
        }
        Console.write("You do not follow \(stream) any more.")
    }
}
