import Encoding
import Foundation
import Libp2p

/// A node that checks against other implementations drive: one command a line on standard input, one answer a line on standard output.
///
/// `connect ADDRESS`, `identify PEER`, `ping PEER`, `echo PEER BYTES`, `bootstrap`, `put KEY VALUE`, `get KEY`, `announce HEX`,
/// `providers HEX`, `find PEER`, `peers`, `quit`. It serves identify, ping, `/echo/1.0.0` and the DHT `/ipfs/kad/1.0.0` with records
/// of the namespace `dsip`.
@main
struct Libp2pPeer {
    private static let echo = "/echo/1.0.0"

    private let host: PeerHost
    private let dht: KademliaService

    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "swarm", arguments.count == 3, let nodes = Int(arguments[2]),
            let operations = Int(arguments[3])
        {
            return try await Swarm.run(nodes: nodes, operations: operations)
        }
        if arguments.first == "pair", arguments.count == 2, let operations = Int(arguments[2]) {
            return try await Swarm.pair(operations: operations)
        }
        let host = PeerHost(identity: IdentityKey())
        await host.handle(echo) { stream in while let bytes = try await stream.read() { try await stream.write(bytes) }
        }
        let address = try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
        var rules = RecordRules()
        rules.register("dsip", TextValidator())
        let dht = KademliaService(host: host, configuration: .init(protocolID: "/ipfs/kad/1.0.0"), rules: rules)
        await dht.start()
        say("listening \(address.naming(host.peerID))")
        let peer = Libp2pPeer(host: host, dht: dht)
        for await line in lines() {
            let words = line.split(separator: " ").map(String.init)
            guard words.first != "quit" else { break }
            do { say("ok \(try await peer.run(words))") } catch { say("error \(error)") }
        }
        await dht.stop()
        await host.shutdown()
    }

    /// Not through the buffered standard output: the other side waits for the line.
    private static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

    private func run(_ words: [String]) async throws -> String {
        let argument = words.count > 1 ? words[1] : ""
        func peerID() throws -> PeerID {
            guard let id = PeerID(argument) else { throw Libp2pError(.malformed, "no peer id") }
            return id
        }
        switch words.first {
        case "connect": return "\(try await host.connect(to: Multiaddr(argument)).peer)"
        case "identify":
            let identify = await host.identify(of: try peerID())
            return "\(identify?.agentVersion ?? "-") \((identify?.protocols ?? []).joined(separator: ","))"
        case "ping": return "\(try await host.ping(try peerID()))"
        case "echo": return "\(try await echo(try peerID(), words.count > 2 ? Int(words[2]) ?? 0 : 0))"
        case "bootstrap": return "\(await dht.bootstrap().closest.count)"
        case "put":
            return "\(try await dht.put(Array(argument.utf8), Array((words.count > 2 ? words[2] : "").utf8)).stored)"
        case "get":
            guard let value = await dht.get(Array(argument.utf8)) else { throw Libp2pError(.notFound, "no record") }
            return String(decoding: value, as: UTF8.self)
        case "announce": return "\(try await dht.announce(Hex.decode(argument) ?? []).stored)"
        case "providers":
            return await dht.providers(Hex.decode(argument) ?? []).map(\.id.description).joined(separator: ",")
        case "find":
            guard let peer = await dht.find(try peerID()) else { throw Libp2pError(.notFound, "no such peer") }
            return peer.addresses.map(\.description).joined(separator: ",")
        case "peers": return "\(await dht.peerCount) \(await host.connectedPeers.count) \(await dht.recordCount)"
        default: throw Libp2pError(.unsupported, "no such command")
        }
    }

    /// Sends `count` bytes and takes them back while sending.
    private func echo(_ peer: PeerID, _ count: Int) async throws -> Int {
        let stream = try await host.openStream(to: peer, [Libp2pPeer.echo])
        stream.expire(after: 30_000)
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 8) }
        async let back = Libp2pPeer.read(count, from: stream)
        try await stream.write(bytes)
        stream.end()
        guard try await back == bytes else { throw Libp2pError(.protocolViolation, "the echo differs") }
        return count
    }

    private static func read(_ count: Int, from stream: PeerStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let part = try await stream.read() { bytes += part }
        return bytes
    }

    private static func lines() -> AsyncStream<String> {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }
    }
}

/// Records that are text, `vN…`: the highest in the order of their bytes is the one.
private struct TextValidator: RecordValidator {
    func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        guard value.first == UInt8(ascii: "v") else { throw Libp2pError(.malformed, "no record of this test") }
        return nil
    }

    func select(key: [UInt8], values: [[UInt8]]) -> Int {
        values.indices.max { values[$0].lexicographicallyPrecedes(values[$1]) } ?? 0
    }
}
