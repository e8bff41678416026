import ArgumentParser
import DSIPIdentity
import Encoding
import Foundation

/// `dsip id qr`.
struct IDQR: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "qr",
        abstract: "Show the dsip: link of an identity as a QR code."
    )

    @Argument(help: "Its name or did:… .") var identity: String?
    @Option(help: "Write an SVG image to this file; - is standard output.") var svg: String?
    @Flag(help: "The terminal is dark on light.") var light = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let drawn = try await state.withAgent { agent in
            let did = try await agent.identity(identity).did
            return try await agent.call("identity.qr", ["did": .string(did)])
        }
        let uri = drawn["uri"]?.string ?? ""
        if let svg {
            let image = drawn["svg"]?.string ?? ""
            if svg == "-" { return Console.write(image) }
            try PrivateOutput.write(image + "\n", to: svg, replacing: true, secret: false)
            return Console.note("Written to \(svg).")
        }
        if output.json { return Console.write(drawn) }
        Console.write(try QRCode(uri, correction: .low).terminal(onDark: !light))
        Console.write(uri)
    }
}

/// `dsip id register`.
struct IDRegister: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Claim a name at the relay, so that people find you as name@relay."
    )

    @Argument(help: "The part before the @.") var name: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let result = try await state.withAgent { agent in
            _ = try await agent.identity(nil)
            return try await agent.call("identity.register", ["name": .string(name)])
        }
        output.json ? Console.write(result) : Console.write("You can be found as \(result["alias"]?.string ?? name).")
    }
}
