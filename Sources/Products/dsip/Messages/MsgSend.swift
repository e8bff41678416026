import ArgumentParser
import Encoding
import Foundation

/// How long a command waits for the relay.
struct WaitOptions: ParsableArguments {
    @Option(help: "Seconds to wait until the relay has it; it is sent later otherwise, once an agent runs.")
    var wait = 20
}

/// `dsip msg send`.
struct MsgSend: Subcommand {
    static let configuration = CommandConfiguration(commandName: "send", abstract: "Write to someone, or into a group.")

    @Argument(help: "The conversation: a person, a group’s title, or an id.") var conversation: String
    @Argument(help: "What to say; - reads it from standard input.") var text: String
    @Option(help: "Answer the message with this id.") var replyTo: String?
    @OptionGroup var wait: WaitOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let words = text == "-" ? String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self) : text
        let sent = try await state.withAgent(.relay) { agent in
            let found = try await agent.conversation(conversation)
            var parameters: JSONObject = ["conversation": .string(found.id), "text": .string(words)]
            parameters["reply_to"] = replyTo.map { .string($0) }
            return try await agent.waitUntilAccepted(
                try await agent.call("messages.send", .object(parameters)),
                seconds: wait.wait
            )
        }
        MsgSend.report(sent, output)
    }

    static func report(_ sent: JSONValue, _ output: OutputOptions) {
        if output.json { return Console.write(sent) }
        Console.write(sent["state_sentence"]?.string ?? "")
    }
}

/// `dsip msg attach`.
struct MsgAttach: Subcommand {
    static let configuration = CommandConfiguration(commandName: "attach", abstract: "Send a file.")

    @Argument(help: "The conversation: a person, a group’s title, or an id.") var conversation: String
    @Argument(help: "The file.", completion: .file()) var file: String
    @Option(help: "Its media type, when the name does not tell.") var type: String?
    @Option(help: "Words to go with it.") var text: String?
    @OptionGroup var wait: WaitOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let url = URL(fileURLWithPath: file)
        guard let bytes = try? Data(contentsOf: url, options: .mappedIfSafe) else {
            throw CommandFailure(.notFound, "The file \(file) cannot be read.")
        }
        let contentType = type ?? MediaTypes.type(of: url.pathExtension)
        let sent = try await state.withAgent(.relay) { agent in
            let found = try await agent.conversation(conversation)
            let upload = try await agent.upload(Array(bytes), contentType: contentType)
            var parameters: JSONObject = [
                "conversation": .string(found.id), "upload": .string(upload), "name": .string(url.lastPathComponent),
                "content_type": .string(contentType), "kind": .string(MediaTypes.kind(of: contentType)),
                "purpose": "attachment",
            ]
            parameters["text"] = text.map { .string($0) }
            return try await agent.waitUntilAccepted(
                try await agent.call("messages.attach", .object(parameters)),
                seconds: wait.wait
            )
        }
        MsgSend.report(sent, output)
    }
}

/// `dsip msg save`.
struct MsgSave: Subcommand {
    static let configuration = CommandConfiguration(commandName: "save", abstract: "Save a file somebody sent.")

    @Argument(help: "The conversation: a person, a group’s title, or an id.") var conversation: String
    @Argument(help: "The message with the file: its id.") var message: String
    @Argument(help: "Where to; there must be no such file.", completion: .file()) var path: String
    @OptionGroup var state: StateOptions

    func perform() async throws {
        let bytes = try await state.withAgent(.relay) { agent in
            try await agent.attachment(conversation: agent.conversation(conversation).id, message: message)
        }
        guard
            FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
                && (try? Data(bytes).write(to: URL(fileURLWithPath: path))) != nil
        else { throw CommandFailure(.failed, "The file \(path) cannot be written.") }
        Console.write("Saved \(bytes.count) bytes to \(path).")
    }
}

/// What a file is, by the end of its name.
enum MediaTypes {
    private static let known = [
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
        "ogg": "audio/ogg", "opus": "audio/ogg; codecs=opus", "mp3": "audio/mpeg", "m4a": "audio/mp4",
        "wav": "audio/wav",
        "mp4": "video/mp4", "webm": "video/webm", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    ]

    static func type(of suffix: String) -> String { known[suffix.lowercased()] ?? "application/octet-stream" }

    /// Recordings need a length that only a player knows, so that from here they are files.
    static func kind(of type: String) -> String { type.hasPrefix("image/") ? "image" : "file" }
}
