import ArgumentParser
import Encoding
import Foundation

/// `dsip id move`.
struct IDMove: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Say that you are another of your identities from now on.",
        discussion: """
            Both identities sign it. Your contacts hear of it in your conversations and when they call the old one, and each decides; \
            strangers are not told. An identity that is its own key (did:key) can thus be followed by one whose key can be replaced: \
            dsip id create NAME --hosted-as name, then dsip id move NAME. Keep the old identity for as long as people may call it.
            """
    )

    @Argument(help: "The identity that you are from now on: name or did:… .") var new: String?
    @Option(help: "The one that you were; the current one when left out.") var from: String?
    @Flag(help: "Take it back: you are the old one after all.") var withdraw = false
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard withdraw == (new == nil) else {
            throw ValidationError("Name the identity that you are from now on, or give --withdraw.")
        }
    }

    func perform() async throws {
        let moved = try await state.withAgent(.relay) { agent in
            let old = try await agent.identity(from)
            guard let new else {
                return IdentityView(json: try await agent.call("identity.move.withdraw", ["did": .string(old.did)]))
            }
            let next = try await agent.identity(new)
            try Confirmation.require(
                "Your contacts are told that “\(old.name)” (\(old.did)) is “\(next.name)” (\(next.did)) from now on.",
                given: yes
            )
            return IdentityView(
                json: try await agent.call("identity.move", ["did": .string(old.did), "to": .string(next.did)])
            )
        }
        if output.json { return Console.write(moved.json) }
        let next = moved.json["moved_to"]?.string
        Console.write(next.map { "“\(moved.name)” has moved to \($0)." } ?? "“\(moved.name)” has not moved.")
    }
}
