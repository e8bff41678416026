import ArgumentParser
import DSIPIdentity
import Encoding
import Foundation

/// `dsip id pair`: the new device's side of adding a device.
struct IDPair: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "pair",
        abstract: "On a new device: show a code that one of your other devices admits this one with.",
        discussion: """
            Shows the code and two words, then waits for the answer through the relay. Without a relay in common, carry the answer over \
            by hand: dsip id pair --answer dsip-grant:… (or - for standard input).
            """
    )

    @Option(help: "The answer that the other device gave.") var answer: String?
    @Option(help: "What this device is called.") var deviceName: String?
    @Option(help: "Seconds to wait for the answer; 0 shows the code and ends.") var wait = 600
    @Flag(help: "Lock a new wallet with a passphrase.") var passphrase = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (0...86_400).contains(wait) else { throw ValidationError("--wait takes 0 to 86400 seconds.") }
    }

    func perform() async throws {
        if let answer { return try await complete(answer) }
        let joined = try await state.withAgent(
            wait > 0 ? .relay : .files,
            creating: true,
            passphrase: passphrase,
            deviceName: deviceName
        ) { agent -> IdentityView? in
            let before = Set(try await agent.identities().map(\.did))
            let request = try await agent.call("devices.pair.begin")
            try show(request)
            let end = Console.now() + Int64(wait)
            while Console.now() < end {
                try await Task.sleep(for: .milliseconds(300))
                if let new = try await agent.identities().first(where: { !before.contains($0.did) }) { return new }
            }
            return nil
        }
        if let joined { return report(joined) }
        guard wait == 0 else {
            throw CommandFailure(
                .notFound,
                "No answer has come. Try again, or carry it over with dsip id pair --answer."
            )
        }
    }

    private func complete(_ answer: String) async throws {
        let text =
            answer == "-"
            ? String(decoding: try PrivateOutput.read("-", limit: 64 << 10, what: "The answer"), as: UTF8.self) : answer
        report(
            IdentityView(
                json: try await state.withAgent { agent in
                    try await agent.call("devices.pair.complete", ["answer": .string(text)])
                }
            )
        )
    }

    private func show(_ request: JSONValue) throws {
        if output.json, wait == 0 { return Console.write(request) }
        let code = request["code"]?.string ?? ""
        Console.note(try QRCode(code, correction: .low).terminal())
        Console.write(code)
        Console.note("Words to compare: \(request["words"]?.string ?? "")")
        Console.note("On your other device: dsip id add-device CODE, or “Add a device” on its page.")
    }

    private func report(_ identity: IdentityView) {
        output.json
            ? Console.write(identity.json)
            : Console.write("This device now belongs to \(identity.name) (\(identity.did)).")
    }
}

/// `dsip id add-device`: the old device's side.
struct IDAddDevice: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "add-device",
        abstract: "Admit a new device to the current identity, by the code it shows."
    )

    @Argument(help: "dsip-pair:… as shown on the new device.") var code: String
    @Option(help: "What the device is called. (default: what it calls itself)") var name: String?
    @Flag(help: "The two words have been compared.") var yes = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (added, silence) = try await state.withAgent(.relay) { agent -> (JSONValue, String?) in
            _ = try await agent.identity(nil)
            let request = try await agent.call("devices.pair.inspect", ["code": .string(code)])
            let words = request["words"]?.string ?? ""
            let itself = request["name"]?.string ?? "the new device"
            try Confirmation.require(
                "“\(itself)” must show the words \(words) on its screen; if it shows others, this is not your device.",
                given: yes
            )
            let silence = try await agent.waitForRelay(seconds: 10)
            let added = try await agent.call(
                "devices.pair.approve",
                ["code": .string(code), "name": .string(name ?? itself)]
            )
            return (added, silence)
        }
        if output.json { return Console.write(added) }
        Console.write(
            "“\(added["name"]?.string ?? "")” is admitted until \(Console.time(added["expires_at"]?.int ?? 0))."
        )
        guard silence != nil else { return }
        Console.note(
            "The relay cannot carry the answer now. Give it to the new device by hand: dsip id pair --answer …"
        )
        if let answer = added["answer"]?.string { Console.write(answer) }
    }
}
