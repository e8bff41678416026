import Foundation
import Libp2p
import NIOPosix
import Synchronization

/// `libp2p-peer swarm NODES OPERATIONS`: many nodes in this process, over loopback. Each operation puts a signed record on one and gets
/// it on another that does not keep it; a line tells the microseconds to the first value and to the end, those of processor time that
/// the process took for it, and the requests, as JSON. `libp2p-peer pair OPERATIONS`: two nodes, of which one asks the other for what
/// is not there: the same figures of a search that is one request, without a record to verify.
enum Swarm {
    private struct Node {
        let host: PeerHost
        let dht: KademliaService
    }

    /// Each node by itself on one thread, as if it were a process of its own.
    private static func nodes(_ count: Int) async throws -> [Node] {
        var configuration = KademliaConfiguration(protocolID: "/swarm/kad/1.0.0")
        configuration.rangeInBucket = .max
        configuration.rangeInTable = .max
        var rules = RecordRules()
        rules.register("s", SignedText())
        var nodes: [Node] = []
        let group = MultiThreadedEventLoopGroup(numberOfThreads: count)
        for _ in 0..<count {
            let host = PeerHost(identity: IdentityKey(), group: group)
            try await host.listen(on: Multiaddr("/ip4/127.0.0.1/tcp/0"))
            let dht = KademliaService(host: host, configuration: configuration, rules: rules)
            await dht.start()
            if let first = nodes.first {
                let known = await first.host.listenAddresses[0].naming(first.host.peerID)
                _ = try await host.connect(to: known)
                while await dht.peerCount == 0 { try await Task.sleep(for: .milliseconds(1)) }
                await dht.bootstrap()
            }
            nodes.append(Node(host: host, dht: dht))
        }
        // As after some minutes: everybody has looked at its neighbourhood once more, and for a few things that are not there.
        for node in nodes { await node.dht.bootstrap() }
        for node in nodes {
            for _ in 0..<searches { _ = await node.dht.get(Array("/s/\(UInt64.random(in: 0 ... .max))".utf8)) }
        }
        return nodes
    }

    static func pair(operations: Int) async throws {
        let nodes = try await nodes(2)
        for number in 0..<operations { _ = try await get(Array("/s/\(number)".utf8), from: nodes[1]) }
        exit(0)
    }

    static func run(nodes count: Int, operations: Int) async throws {
        let nodes = try await nodes(count)
        var done = 0
        // Where nearly every node keeps every record there is nobody to measure.
        for _ in 0..<operations * 20 where done < operations {
            let (writer, reader) = (nodes.randomElement()!, nodes.randomElement()!)
            let (key, value) = try SignedText.record([UInt8](repeating: 7, count: 200), by: writer.host.identity)
            try await writer.dht.put(key, value)
            try await Task.sleep(for: pause)
            guard try await get(key, from: reader) else { continue }
            done += 1
        }
        exit(0)
    }

    /// Of each node before anything is measured.
    private static let searches = 4
    /// Behind a put and behind a get, for what it leaves to be done.
    private static let pause = Duration.milliseconds(20)

    /// Of all threads of this process.
    private static var processorTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// What a get told, and when.
    private struct Got {
        var first: Duration?
        var end = Duration.zero
        var requests = 0
        var wasHere = false
    }

    /// Asks from another thread and is told on the node's own, as OpenDHT tells a callback.
    private static func got(_ key: [UInt8], from reader: Node) async -> Got {
        let start = ContinuousClock.now
        let got = Mutex(Got())
        let (ends, told) = AsyncStream.makeStream(of: Got.self)
        await reader.dht.records(key) { event in
            let passed = start.duration(to: .now)
            switch event {
            case .found(_, let hops):
                got.withLock { got in
                    if hops == 0 { got.wasHere = true }
                    if got.first == nil { got.first = passed }
                }
            case .finished(let result):
                told.yield(
                    got.withLock { got in
                        (got.end, got.requests) = (passed, result.requests)
                        return got
                    }
                )
            case .providers: return
            }
        }
        for await got in ends { return got }
        return Got()
    }

    /// - Returns: false when the reader kept the record itself.
    private static func get(_ key: [UInt8], from reader: Node) async throws -> Bool {
        let before = processorTime
        let got = await got(key, from: reader)
        guard !got.wasHere else { return false }
        try await Task.sleep(for: pause)
        let told = got.first.map { "\(microseconds($0))" } ?? "null"
        let figures = "\(microseconds(got.end)), \(microseconds(processorTime - before)), \(got.requests)"
        FileHandle.standardOutput.write(Data("[\(told), \(figures)]\n".utf8))
        return true
    }

    private static func microseconds(_ duration: Duration) -> Int { Int(duration / .microseconds(1)) }
}

/// Text behind an Ed25519 signature: `/s/PEER/NUMBER`, 64 bytes of signature, text.
struct SignedText: RecordValidator {
    static func record(_ text: [UInt8], by identity: IdentityKey) throws -> (key: [UInt8], value: [UInt8]) {
        let key = Array("/s/\(identity.peerID)/\(UInt64.random(in: 0 ... .max))".utf8)
        return (key, try identity.sign(key + text) + text)
    }

    func validate(key: [UInt8], value: [UInt8], at now: Int64) throws -> Int64? {
        let parts = String(decoding: key, as: UTF8.self).split(separator: "/")
        guard parts.count == 3, value.count > 64, let signer = PeerID(parts[1])?.publicKey,
            signer.isValid(signature: value.prefix(64), for: key + value.dropFirst(64))
        else { throw Libp2pError(.unauthentic, "not signed by who it names") }
        return nil
    }

    func select(key: [UInt8], values: [[UInt8]]) -> Int { 0 }
}
