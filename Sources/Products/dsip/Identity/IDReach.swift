import ArgumentParser
import DSIPAgent
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

/// `dsip id visibility`.
struct IDVisibility: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "visibility",
        abstract: "Who may find you, and what they learn.",
        discussion: """
            nobody: people need a link from you. relay: whoever has your address learns your relay, and whether you are there. contacts: your \
            contacts also learn your devices' addresses and your region. everybody: everybody learns all of it. Throw-away identities \
            say nothing in any case.
            """
    )

    @Argument(help: "nobody, relay, contacts or everybody; without it, what holds now is shown.") var visibility:
        String?
    @Option(help: "Your region for those who may know it, a geohash of one to five characters; an empty text for none.")
    var region: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        if let visibility, Visibility(rawValue: visibility) == nil {
            throw CommandFailure(.usage, "“\(visibility)” is none of nobody, relay, contacts and everybody.")
        }
        let settings = try await state.withAgent { agent in
            var changes: JSONObject = [:]
            if let visibility { changes["visibility"] = .string(visibility) }
            if let region { changes["region"] = .string(region) }
            return try await agent.call("settings.update", .object(changes))
        }
        if output.json { return Console.write(settings) }
        let place = settings["region"]?.string.map { ", in \($0)" } ?? ""
        Console.write("\(settings["visibility"]?.string ?? "relay")\(place)")
    }
}
