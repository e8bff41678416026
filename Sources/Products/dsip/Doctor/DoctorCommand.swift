import ArgumentParser

/// `dsip doctor`: each hop from the wallet to a peer.
struct DoctorCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check each hop from your wallet to a peer; name the one that fails, and what to do.",
        discussion: """
            The relay is greeted under a key made for this check, so that no call is drawn away from your devices. Exit status 1 when \
            a check fails.
            """
    )

    @Argument(help: "Whom you cannot reach: did:…, name@host or dsip: link.") var peer: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        var doctor = Doctor(state: state, report: DoctorReport(isShown: !output.json))
        try await doctor.examine(peer: peer)
        output.json ? Console.write(doctor.report.json) : Console.write(doctor.report.summary)
        if doctor.report.hasFailed { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
