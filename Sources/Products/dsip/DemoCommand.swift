import ArgumentParser
import DSIPAgent
import DSIPDiscovery
import DSIPIdentity
import DSIPRelay
import Foundation
import Libp2p

/// `dsip demo`: one relay, Alice and Bob, who know each other, and the addresses of their pages.
struct DemoCommand: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Try it: a relay, Alice and Bob, two pages.",
        discussion: """
            Everything lives in one folder that is removed on exit unless --keep is given. Open both addresses, in two windows, and call. \
            Ctrl-C ends.
            """
    )

    @Option(
        help:
            "Port of Alice's page; Bob's is the next one, his second device's the one after, Carol's the one after that."
    )
    var port = 7101

    @Option(help: "Port of the relay; 0 for any free one.")
    var relayPort = 0

    @Flag(help: "Give Bob a second device, to see both ring.")
    var secondDevice = false

    @Flag(help: "Add Carol, whom nobody knows yet.")
    var stranger = false

    @Flag(help: "Keep the folder.")
    var keep = false

    @Option(help: "Folder to use; kept, and used again when it is there.")
    var state: String?

    func perform() async throws {
        let folder = state ?? NSTemporaryDirectory() + "dsip-demo-\(UUID().uuidString.prefix(8))"
        defer { if !keep, state == nil { try? FileManager.default.removeItem(atPath: folder) } }
        let (relay, running) = try await Household.relay(in: folder + "/relay", port: relayPort, joinsDHT: true)
        // A DHT is more than one host.
        let hosts = try await neighbours(of: running.overlay)
        let roots = running.rootPath.map { [$0] } ?? []

        func person(
            _ name: String,
            _ place: Int,
            device: String = "This computer",
            kind: Device.Kind = .computer,
            paired: Bool = false
        )
            async throws -> (agent: Agent, server: LocalServer)
        {
            try await Household.page(
                AgentConfiguration(
                    stateFolder: folder + "/\(name.lowercased())",
                    relay: running.url,
                    trustRoots: roots,
                    displayName: paired ? "" : name,
                    deviceName: device,
                    deviceKind: kind,
                    allowedAddresses: ["127.0.0.1/32", "::1/128"].compactMap { AddressRange($0) },
                    createsIdentity: !paired
                ),
                port: port == 0 ? 0 : port + place,
                logger: Household.logger
            )
        }

        let alice = try await person("Alice", 0)
        let bob = try await person("Bob", 1)
        try await introduce(alice.agent, "Alice", to: bob.agent, "Bob")
        var pages = [("Alice", alice), ("Bob", bob)]
        if secondDevice {
            let phone = try await person("Bob-2", 2, device: "Bob’s phone", kind: .phone, paired: true)
            try await pair(phone.agent, with: bob.agent)
            pages.append(("Bob’s second device", phone))
        }
        if stranger { pages.append(("Carol", try await person("Carol", 3))) }

        Household.say("relay \(running.url)")
        for address in running.overlay { Household.say("dht \(address)") }
        for (name, page) in pages { Household.say("\(name): \(page.server.url)") }
        Household.say(keep || state != nil ? "state \(folder)" : "The folder \(folder) is removed on exit.")
        await Household.untilAskedToStop()
        for (_, page) in pages {
            await page.agent.stop()
            await page.server.stop()
        }
        await relay.stop()
        for host in hosts { await host.stop() }
    }

    private func neighbours(of addresses: [String]) async throws -> [Overlay] {
        let known = addresses.compactMap { try? Multiaddr($0) }
        var hosts: [Overlay] = []
        for _ in 0..<2 {
            let host = Overlay(.init(listen: [try Multiaddr("/ip4/127.0.0.1/tcp/0")], bootstrap: known))
            try await host.start()
            hosts.append(host)
        }
        return hosts
    }

    /// Makes two people contacts of each other, as scanning each other's QR code would.
    private func introduce(_ a: Agent, _ nameA: String, to b: Agent, _ nameB: String) async throws {
        guard let linkA = await a.ownIdentities().first(where: \.current)?.uri,
            let linkB = await b.ownIdentities().first(where: \.current)?.uri
        else { throw Failure("The demonstration's identities could not be made.") }
        _ = try await a.addContact(linkB, name: nameB)
        _ = try await b.addContact(linkA, name: nameA)
    }

    private func pair(_ new: Agent, with old: Agent) async throws {
        guard await new.ownIdentities().isEmpty else { return }
        let code = try await new.beginPairing().code
        let answer = try await old.approve(code, name: "Bob’s phone").answer
        // The relay may have carried it already.
        if await new.ownIdentities().isEmpty { _ = try? await new.completePairing(answer) }
    }
}
