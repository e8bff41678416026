import ArgumentParser
import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import Encoding
import Foundation
import Libp2p

/// `dsip dht`.
struct DHTCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dht",
        abstract: "Be a host of the DHT in which people are found, or ask it.",
        subcommands: [DHTServe.self, DHTFind.self],
        defaultSubcommand: DHTServe.self
    )
}

/// Hosts to begin with.
struct BootstrapOptions: ParsableArguments {
    @Option(
        name: .customLong("bootstrap"),
        help: "A host to begin with: /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…; can be repeated."
    )
    var texts: [String] = []

    func addresses() throws -> [Multiaddr] {
        try texts.map { text in
            let address = try DHTCommand.address(text)
            guard address.peerID != nil else {
                throw CommandFailure(.usage, "\(text) names no peer; give the whole address, up to /p2p/12D3Koo….")
            }
            return address
        }
    }
}

extension DHTCommand {
    static func address(_ text: String) throws -> Multiaddr {
        guard let address = try? Multiaddr(text), address.transport.tcpEndpoint != nil else {
            throw CommandFailure(.usage, "\(text) is no TCP address; give one such as /ip4/0.0.0.0/tcp/4001.")
        }
        return address
    }
}

/// `dsip dht serve`.
struct DHTServe: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Be a host of the DHT.",
        discussion: "Prints a line `dht ADDRESS` for each address, by which others begin with this host. Ctrl-C ends."
    )

    @Option(help: "A TCP address to listen on; can be repeated.")
    var listen = ["/ip4/0.0.0.0/tcp/4001"]

    @Option(
        help: "File with the host's key, made when it is not there. Without it the host has another name each time."
    )
    var key: String?

    @OptionGroup var bootstrap: BootstrapOptions

    func perform() async throws {
        var configuration = Overlay.Configuration(
            listen: try listen.map(DHTCommand.address),
            bootstrap: try bootstrap.addresses()
        )
        if let key { configuration.identity = try kept(key) }
        let overlay = Overlay(configuration)
        do {
            try await overlay.start()
        } catch {
            throw CommandFailure(
                .failed,
                "It cannot listen on \(listen.joined(separator: ", ")): \(error). Choose another --listen."
            )
        }
        for address in await overlay.addresses { Household.say("dht \(address)") }
        let watch = Task {
            var known = -1
            while !Task.isCancelled {
                let count = await overlay.peerCount
                if count != known { Household.say("hosts \(count)") }
                known = count
                try await Task.sleep(for: .seconds(5))
            }
        }
        await Household.untilAskedToStop()
        watch.cancel()
        await overlay.stop()
    }

    private func kept(_ path: String) throws -> IdentityKey {
        guard let bytes = try read(path) else {
            let key = IdentityKey()
            try AtomicFile.write(key.protobuf, to: path, exclusive: true)
            return key
        }
        guard let key = try? IdentityKey(protobuf: bytes) else {
            throw CommandFailure(.failed, "\(path) holds no key of a host. Name another file, or remove it.")
        }
        return key
    }

    /// - Returns: nil when there is no such file.
    private func read(_ path: String) throws(IdentityError) -> [UInt8]? {
        do {
            return try AtomicFile.read(path, limit: 128, privateTo: true)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }
}

/// `dsip dht find`.
struct DHTFind: Subcommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Find where an identity is reached, by its DID alone."
    )

    @Argument(help: "The identity: did:….") var did: String
    @OptionGroup var bootstrap: BootstrapOptions
    @OptionGroup var output: OutputOptions

    func perform() async throws {
        guard let did = DID(did) else { throw CommandFailure(.usage, "\(self.did) is no DID.") }
        let hosts = try bootstrap.addresses()
        guard !hosts.isEmpty else { throw CommandFailure(.usage, "Name a host to ask with --bootstrap.") }
        let overlay = Overlay(Overlay.Configuration(bootstrap: hosts))
        try await overlay.start()
        defer { Task { await overlay.stop() } }
        for _ in 0..<50 where await overlay.peerCount == 0 { try await Task.sleep(for: .milliseconds(100)) }
        guard await overlay.peerCount > 0 else {
            throw CommandFailure(.notFound, "None of these hosts answers. Check --bootstrap, and that they run.")
        }
        let now = Int64(Date().timeIntervalSince1970)
        async let hint = overlay.values(HintKey.path(of: did)).first
        async let home = overlay.values(DiscoveryKey.home(did)).first
        let record = try await hint.flatMap { try? HintVerifier().verify($0, at: now) }
        let residence = try await home.flatMap { try? HomeRecord(verifying: $0, at: now) }
        guard record != nil || residence != nil else {
            throw CommandFailure(.notFound, "Nobody in the DHT knows where \(did) is reached.")
        }
        if output.json { return Console.write(Self.json(did, residence, record)) }
        for relay in residence?.places.relays ?? [] {
            Console.write("relay \(relay)  by its home record, until \(Console.time(residence!.expiresAt))")
        }
        for endpoint in record?.endpoints ?? [] {
            Console.write("relay \(endpoint.uri)  by its hint, until \(Console.time(record!.expiresAt))")
        }
    }

    private static func json(_ did: DID, _ home: HomeRecord?, _ hint: HintRecord?) -> JSONValue {
        func texts(_ list: [String]) -> JSONValue { .array(list.map { .string($0) }) }
        return [
            "did": .string(did.string),
            "home": home.map {
                [
                    "relays": texts($0.places.relays), "mailboxes": texts($0.places.mailboxes),
                    "expires_at": .int($0.expiresAt),
                ]
            } ?? .null,
            "hint": hint.map { ["endpoints": texts($0.endpoints.map(\.uri)), "expires_at": .int($0.expiresAt)] }
                ?? .null,
        ]
    }
}
