import ArgumentParser
import Encoding
import Foundation

/// `dsip id rotate`.
struct IDRotate: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace the key of an identity that your relay publishes.",
        discussion: """
            The old key vouches for the new one, so those who know you follow without being asked. Your devices go on as before, and what is \
            on its way arrives. The recovery phrase is another afterwards: write it down with dsip id phrase. An identity that is its own \
            key (did:key) cannot do this; make one with dsip id create --hosted-as.
            """
    )

    enum Reason: String, ExpressibleByArgument, CaseIterable { case scheduled, compromised, policy }

    @Argument(help: "Its name or did:… .") var identity: String?
    @Option(help: "Why; others are told.") var reason = Reason.scheduled
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let rotated = try await state.withAgent(.relay) { agent in
            let own = try await agent.identity(identity)
            try Confirmation.require(
                "“\(own.name)” gets a new key and a new recovery phrase; the old phrase will be of no use.",
                given: yes
            )
            return IdentityView(
                json: try await agent.call(
                    "identity.rotate",
                    ["did": .string(own.did), "reason": .string(reason.rawValue)]
                )
            )
        }
        if output.json { return Console.write(rotated.json) }
        Console.write("“\(rotated.name)” has a new key.")
        Console.note("Write down its recovery phrase now: dsip id phrase")
    }
}
