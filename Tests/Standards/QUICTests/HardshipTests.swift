#if QUIC
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import QUIC

extension QUICSuite {
    @Suite("QUIC under hardship", .serialized)
    struct HardshipTests {
        @Test(
            "A stream arrives whole though packets are lost, doubled and out of order",
            arguments: [1, 2, 3] as [UInt64]
        )
        func loss(seed: UInt64) async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            let faults = LossyRelay.Faults(lost: 5, heldBack: 10, doubled: 3)
            let relay = try await LossyRelay.start(to: server.localAddress!, faults, seed: seed)
            defer {
                server.close()
                client.close()
                relay.stop()
            }
            try await within {
                let connection = try await Peers.connect(client, to: relay.address)
                var payload = ByteBuffer()
                var generator = SplitMix(state: seed)
                for _ in 0..<(256 << 10) / 8 { payload.writeInteger(generator.next()) }
                #expect(try await connection.exchange(payload) == payload)
                let counts = relay.counts.withLockedValue { $0 }
                #expect(counts.lost > 0)
                #expect(counts.heldBack > 0)
            }
        }

        @Test("A reader that does not read holds its peer back within the window")
        func backPressure() async throws {
            let held = Peers.group.next().makePromise(of: (any Channel).self)
            let server = try await Peers.echoServer { configuration in
                configuration.transport.streamWindow = 64 << 10
                configuration.transport.streamInitializer = { channel, _ in
                    try channel.syncOptions?.setOption(.autoRead, value: false)
                    held.succeed(channel)
                }
            }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let channel = try await connection.openStream { _ in }.get()
                let sent = channel.eventLoop.makePromise(of: Void.self)
                channel.writeAndFlush(ByteBuffer(repeating: 1, count: 64 << 10), promise: sent)
                try await sent.futureResult.get()
                channel.writeAndFlush(ByteBuffer(repeating: 2, count: 256 << 10), promise: nil)
                // A round trip on another stream: were the first granted more, it would have been by then.
                let stream = try await held.futureResult.get()
                _ = try? await connection.openStream { $0.writeAndFlush(ByteBuffer(string: "x"), promise: nil) }.get()
                #expect(!channel.isWritable)
                let collected = stream.eventLoop.makePromise(of: ByteBuffer.self)
                try await stream.eventLoop.submit {
                    try stream.pipeline.syncOperations.addHandler(Collector(collected, count: 320 << 10))
                    try stream.syncOptions?.setOption(.autoRead, value: true)
                }.get()
                #expect(try await collected.futureResult.get().readableBytes == 320 << 10)
            }
        }

        @Test("What arrived before the end of a stream stays readable after it")
        func lateReader() async throws {
            let held = Peers.group.next().makePromise(of: (any Channel).self)
            let server = try await Peers.echoServer { configuration in
                configuration.transport.streamInitializer = { channel, _ in
                    try channel.syncOptions?.setOption(.autoRead, value: false)
                    try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
                    held.succeed(channel)
                }
            }
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let channel = try await connection.openStream { _ in }.get()
                channel.writeAndFlush(ByteBuffer(repeating: 5, count: 5000), promise: nil)
                channel.close(mode: .output, promise: nil)
                let stream = try await held.futureResult.get()
                try await stream.close(mode: .output)
                // The client is done with the stream when the server's end has come, and by then the server has the client's.
                try await channel.closeFuture.get()
                let collected = stream.eventLoop.makePromise(of: ByteBuffer.self)
                try await stream.eventLoop.submit {
                    try stream.pipeline.syncOperations.addHandler(Collector(collected))
                    try stream.syncOptions?.setOption(.autoRead, value: true)
                }.get()
                #expect(try await collected.futureResult.get().readableBytes == 5000)
                try await stream.closeFuture.get()
            }
        }

        @Test("What is no QUIC, cut short or altered does no harm")
        func garbage() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            try await within {
                let connection = try await Peers.connect(client, to: server.localAddress!)
                let path = NetworkPath(local: server.localAddress!, remote: client.localAddress!)
                for seed in 0..<40 as Range<UInt64> {
                    try await server.eventLoop.submit {
                        var generator = SplitMix(state: seed)
                        for round in 0..<100 {
                            let count = round % 3 == 0 ? 1200 : Int.random(in: 0...100, using: &generator)
                            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                            // Half of them look like the first packet of a connection.
                            if count > 7, round.isMultiple(of: 2) {
                                bytes.replaceSubrange(0..<7, with: [0xc3, 0, 0, 0, 1, 8, 1])
                            }
                            bytes.withUnsafeBytes { server.received($0, along: path) }
                        }
                        server.readCycleEnded()
                    }.get()
                }
                #expect(try await connection.exchange(ByteBuffer(string: "well")) == ByteBuffer(string: "well"))
            }
        }

        @Test("A thousand connections leave nothing behind")
        func memory() async throws {
            let server = try await Peers.echoServer()
            let client = try await Peers.client()
            defer {
                server.close()
                client.close()
            }
            let address = server.localAddress!
            let credentials = try Peers.clientCredentials()
            @Sendable func round(_ index: Int) async throws {
                let connection = try await Peers.connect(client, to: address, credentials: credentials)
                let payload = ByteBuffer(repeating: UInt8(truncatingIfNeeded: index), count: 2000)
                #expect(try await connection.exchange(payload) == payload)
                // Every way to end: politely, at once, with streams open, by the endpoint's idle timeout never.
                if index.isMultiple(of: 3) {
                    _ = try await connection.openStream { $0.writeAndFlush(payload, promise: nil) }.get()
                }
                connection.close(UInt64(index), linger: index.isMultiple(of: 2) ? .seconds(1) : .zero)
                _ = try await connection.closed.get()
            }
            func run(_ count: Int) async throws {
                for start in stride(from: 0, to: count, by: 10) {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for index in start..<start + 10 { group.addTask { try await round(index) } }
                        try await group.waitForAll()
                    }
                }
            }
            // The allocator and the caches have what they want after the first few hundred.
            try await run(400)
            let before = residentBytes()
            try await run(1000)
            let after = residentBytes()
            #expect(after - before < 12 << 20, "\((after - before) >> 10) KiB more after 1,000 connections")
            try await within {
                while try await server.eventLoop.submit({ server.connections }).get() > 0 { await Task.yield() }
            }
            #expect(try await client.eventLoop.submit { client.connections }.get() == 0)
        }

        private func residentBytes() -> Int {
            guard let file = fopen("/proc/self/statm", "r") else { return 0 }
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 256)
            guard fgets(&text, 256, file) != nil else { return 0 }
            let fields = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(
                separator: " "
            )
            return (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE))
        }
    }
}
#endif
