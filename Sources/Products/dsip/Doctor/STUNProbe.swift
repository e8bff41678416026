import Foundation
import NIOCore
import NIOPosix
import WebRTC

/// One STUN binding request over UDP (RFC 8489 §6).
enum STUNProbe {
    /// - Parameter uri: `stun:host[:port]` (RFC 7064).
    /// - Returns: the address this machine was seen under, and the milliseconds it took.
    static func ask(_ uri: String) async throws(CommandFailure) -> (seen: String, milliseconds: Int64) {
        guard let (host, port) = split(uri) else { throw CommandFailure(.failed, "this is no STUN address") }
        let transaction = (0..<12).map { _ in UInt8.random(in: 0...255) }
        var request = STUNWriter(STUNMessageType(.request, .binding), transactionID: transaction)
        request.fingerprint()
        let datagram = request.bytes
        do {
            let server = try SocketAddress.makeAddressResolvingHost(host, port: port)
            let wildcard = server.protocol == .inet6 ? "::" : "0.0.0.0"
            let (answers, continuation) = AsyncStream.makeStream(of: [UInt8].self)
            let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Catcher(continuation))
                    }
                }
                .bind(host: wildcard, port: 0).get()
            defer { channel.close(promise: nil) }
            let start = ContinuousClock.now
            // RFC 8489 §6.2.1: requests are sent again after 0.5 s, then after twice as long.
            let sender = Task {
                for pause in [500, 1000, 1500] {
                    channel.writeAndFlush(
                        AddressedEnvelope(remoteAddress: server, data: ByteBuffer(bytes: datagram)),
                        promise: nil
                    )
                    try await Task.sleep(for: .milliseconds(pause))
                }
                continuation.finish()
            }
            defer { sender.cancel() }
            for await answer in answers {
                guard let message = try? STUNMessage(answer), Array(message.transactionID) == transaction else {
                    continue
                }
                guard message.type.kind == .success, let seen = try message.xorMappedAddress() else {
                    throw CommandFailure(.failed, "it refuses the request")
                }
                let passed = (ContinuousClock.now - start).components
                return (seen.description, passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000)
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "\(error)")
        }
        throw CommandFailure(.failed, "no answer")
    }

    private static func split(_ uri: String) -> (host: String, port: Int)? {
        guard uri.hasPrefix("stun:") else { return nil }
        let authority = uri.dropFirst(5).prefix { $0 != "?" }
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            let rest = authority[authority.index(after: end)...]
            let host = String(authority[authority.index(after: authority.startIndex)..<end])
            return (host, rest.isEmpty ? 3478 : Int(rest.dropFirst()) ?? 0)
        }
        let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, !host.isEmpty else { return nil }
        guard parts.count == 2 else { return (String(host), 3478) }
        guard let port = Int(parts[1]), (1...65_535).contains(port) else { return nil }
        return (String(host), port)
    }

    private final class Catcher: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private let continuation: AsyncStream<[UInt8]>.Continuation

        init(_ continuation: AsyncStream<[UInt8]>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            continuation.yield(Array(unwrapInboundIn(data).data.readableBytesView))
        }
    }
}
