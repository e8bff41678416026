import ArgumentParser
import DSIPIdentity
import Encoding
import Foundation

/// `dsip id devices`.
struct IDDevices: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices that may act for the current identity."
    )

    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let devices = try await state.withAgent { agent in
            _ = try await agent.identity(nil)
            return try await agent.devices()
        }
        if output.json { return Console.write(.array(devices.map(\.json))) }
        Console.write(Console.table(devices.map(\.row)))
    }
}

/// A Device object of the agent's API, for people.
struct DeviceView {
    let json: JSONValue

    var did: String { json["did"]?.string ?? "" }
    var name: String { json["name"]?.string ?? "" }

    private var condition: String {
        if let revoked = json["revoked_at"]?.int {
            return "revoked \(Console.time(revoked))" + (json["revoked_reason"]?.string.map { " (\($0))" } ?? "")
        }
        guard let expires = json["expires_at"]?.int, expires > 0 else { return "not yet admitted" }
        return expires <= Console.now() ? "expired \(Console.time(expires))" : "until \(Console.time(expires))"
    }

    var row: [String] {
        [json["this"]?.bool == true ? "*" : " ", name, json["kind"]?.string ?? "", condition, did]
    }
}

extension AgentDoor {
    func devices() async throws -> [DeviceView] {
        (try await call("devices.list")["devices"]?.array ?? []).map(DeviceView.init)
    }
}

/// `dsip id revoke`.
struct IDRevoke: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Take a device's authority back, and tell the relay."
    )

    enum Reason: String, ExpressibleByArgument, CaseIterable { case lost, compromised, retired }

    @Argument(help: "The device: name or did:… .") var device: String
    @Option(help: "Why.") var reason = Reason.lost
    @Flag(help: "Do not ask.") var yes = false
    @OptionGroup var state: StateOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        let (revoked, silence) = try await state.withAgent(.relay) { agent -> (DeviceView, String?) in
            _ = try await agent.identity(nil)
            let device = try await find(agent)
            try Confirmation.require(
                "“\(device.name)” (\(device.did)) will not be able to act for you any more.",
                given: yes
            )
            let silence = try await agent.waitForRelay(seconds: 10)
            let revoked = try await agent.call(
                "devices.revoke",
                ["did": .string(device.did), "reason": .string(reason.rawValue)]
            )
            return (DeviceView(json: revoked), silence)
        }
        output.json ? Console.write(revoked.json) : Console.write("“\(revoked.name)” is revoked.")
        if let silence {
            Console.note("The relay could not be told (\(silence)); do this again when it can be reached.")
        }
    }

    private func find(_ agent: any AgentDoor) async throws -> DeviceView {
        let all = try await agent.devices()
        if let exact = all.first(where: { $0.did == device }) { return exact }
        let named = all.filter { $0.name.lowercased() == device.lowercased() }
        guard let only = named.first else {
            throw CommandFailure(.notFound, "No device is called “\(device)”; dsip id devices shows them.")
        }
        guard named.count == 1 else {
            throw CommandFailure(.usage, "Several devices are called “\(device)”. Give the did:… of the one you mean.")
        }
        return only
    }
}
