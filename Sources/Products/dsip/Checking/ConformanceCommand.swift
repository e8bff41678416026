import ArgumentParser
import DSIPConformance
import Encoding
import Foundation

/// `dsip conformance`: published vectors, compared for deep equality.
struct ConformanceCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract: "Run the published test vectors in a folder.",
        discussion: "One line an area; exit status 1 when any vector fails."
    )

    @Argument(help: "The folder.", completion: .directory) var folder: String
    @Option(help: "Write the actual results to this file.", completion: .file()) var json: String?
    @Flag(name: .shortAndLong, help: "Show what differs, and what was skipped.") var verbose = false

    func perform() async throws {
        let path = (folder as NSString).expandingTildeInPath
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            throw CommandFailure(.notFound, "There is no folder \(folder).")
        }
        let report: ConformanceReport
        do {
            report = try ConformanceRunner().run(folder: path)
        } catch {
            throw CommandFailure(.notFound, "The folder \(folder) cannot be read.")
        }
        guard !report.results.isEmpty else {
            throw CommandFailure(.notFound, "There are no test vectors in \(folder).")
        }
        Console.write(report.text(verbose: verbose))
        if let json { try PrivateOutput.write(report.json.pretty + "\n", to: json, replacing: true, secret: false) }
        if report.total.failed > 0 { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
