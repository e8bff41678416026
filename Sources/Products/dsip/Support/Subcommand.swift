import ArgumentParser
import DSIPAgent
import DSIPIdentity

/// A command of `dsip`: what it throws becomes one sentence on standard error and an exit status.
protocol Subcommand: AsyncParsableCommand {
    func perform() async throws
}

extension Subcommand {
    func run() async throws {
        do {
            try await perform()
        } catch let failure as CommandFailure {
            try end(failure)
        } catch let error as AgentError {
            try end(CommandFailure(error))
        } catch let error as IdentityError {
            try end(CommandFailure(error, "That could not be done"))
        }
    }

    private func end(_ failure: CommandFailure) throws {
        Console.complain(failure.sentence)
        throw ExitCode(failure.status.rawValue)
    }
}

/// How results are written.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Write the result as JSON.")
    var json = false
}
