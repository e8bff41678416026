import ArgumentParser
import Encoding
import Foundation

/// One `--variant`: `id=main,media=audio,codec=audio/opus,transport=hls,uri=https://…`; the URI is the last and takes the rest.
struct VariantArgument: ExpressibleByArgument {
    let json: JSONValue

    init?(argument: String) {
        guard let uri = argument.range(of: "uri=") else { return nil }
        var fields: [Substring: Substring] = [:]
        for part in argument[..<uri.lowerBound].split(separator: ",") {
            guard let equals = part.firstIndex(of: "=") else { return nil }
            fields[part[..<equals]] = part[part.index(after: equals)...]
        }
        guard let id = fields["id"], let codec = fields["codec"], let transport = fields["transport"] else {
            return nil
        }
        let media = (fields["media"] ?? codec.prefix { $0 != "/" }).split(separator: "+")
        var json: JSONObject = [
            "id": .string(String(id)), "media": .array(media.map { .string(String($0)) }),
            "codec": .string("codec:\(codec)"), "transport": .string("transport:\(transport)"),
            "uri": .string(String(argument[uri.upperBound...])),
        ]
        json["integrity"] = fields["integrity"].map { .string(String($0)) }
        self.json = .object(json)
    }
}

/// `dsip broadcast publish`.
struct BroadcastPublish: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish a signed record of a stream of yours; a newer one takes the place of the older.",
        discussion: """
            Example: dsip broadcast publish radio:main --title "Bob Live" \
            --variant id=main-hls,codec=audio/aac,transport=hls,uri=https://live.example/main.m3u8

            The record ends with its lifetime: publish it anew before, from a timer that knows whether the station is on, or with --renew let \
            the agent that is up do so until you unpublish it. Processors then say anew what they do with it.
            """
    )

    @Argument(help: "The stream’s name, such as radio:main, or its whole id.") var stream: String
    @Option(help: "Its title.") var title: String?
    @Option(help: "live, scheduled or ended.") var now = "live"
    @Option(
        help: """
            A way to play it, the one you prefer first: id=ID,codec=audio/aac,transport=hls,uri=URI; also media=audio+video and \
            integrity=MODE.
            """
    )
    var variant: [VariantArgument]
    @Option(help: "metadata-only, or derivative-bound.") var integrity: String?
    @Option(help: "What may be done with it, such as redistribution=forbidden or transcoding=forbidden.")
    var policy: [String] = []
    @Option(help: "Seconds for which the record holds, 60 to 86400.") var lifetime = 21_600
    @Flag(help: "Publish it anew before it ends, as long as dsip up runs.") var renew = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        var parameters: JSONObject = [
            "stream": .string(stream), "state": .string(now), "variants": .array(variant.map(\.json)),
            "lifetime": .int(Int64(lifetime)), "renew": .bool(renew),
        ]
        parameters["title"] = title.map { .string($0) }
        parameters["integrity"] = integrity.map { .string($0) }
        var statements = JSONObject()
        for statement in policy {
            let parts = statement.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else {
                throw CommandFailure(.usage, "--policy wants KEY=VALUE, and not “\(statement)”.")
            }
            statements[String(parts[0])] = .string(String(parts[1]))
        }
        parameters["policy"] = .object(statements)
        let published = try await state.broadcast("broadcast.publish", parameters)
        output.json ? Console.write(published.json) : Console.write("Published.\n\(published.text)")
    }
}

/// `dsip broadcast unpublish`.
struct BroadcastUnpublish: Subcommand {
    static let configuration = CommandConfiguration(commandName: "unpublish", abstract: "Take back a record of yours.")

    @Argument(help: "The stream’s name, such as radio:main, or its whole id.") var stream: String
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let withdrawn = try await state.broadcast("broadcast.unpublish", ["stream": .string(stream)])
        output.json ? Console.write(withdrawn.json) : Console.write("Withdrawn: \(withdrawn.stream)")
    }
}

/// `dsip broadcast attest`.
struct BroadcastAttest: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "attest",
        abstract: "Say, signed, what you do with somebody’s stream: transcode, relay or repackage it."
    )

    @Argument(help: "The stream: its id.") var stream: String
    @Argument(help: "transcode, relay or repackage.") var operation: String
    @Option(help: "The publisher’s variant that goes in.") var from: String
    @Option(help: "The variant that comes out.") var to: String
    @Option(help: "Where that is played.") var uri: String?
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        var parameters: JSONObject = [
            "stream": .string(stream), "operation": .string(operation), "input_variant": .string(from),
            "output_variant": .string(to),
        ]
        parameters["output_uri"] = uri.map { .string($0) }
        let attested = try await state.broadcast("broadcast.attest", parameters)
        output.json ? Console.write(attested.json) : Console.write("Attached.\n\(attested.text)")
    }
}

extension StateOptions {
    fileprivate func broadcast(_ method: String, _ parameters: JSONObject) async throws -> BroadcastView {
        try await withAgent(.relay) { BroadcastView(json: try await $0.call(method, .object(parameters))) }
    }
}
