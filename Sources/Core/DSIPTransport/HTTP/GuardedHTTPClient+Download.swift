import DSIPIdentity
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

extension GuardedHTTPClient {
    /// Streams what `url` answers, as fast as `receive` takes it, over TLS 1.3. Redirects are not followed: their status is the answer.
    ///
    /// - Parameters:
    ///   - limit: most bytes of body.
    ///   - timeout: for everything together; nil for the client's own.
    ///   - receive: a piece of the body of a 200; that of another answer is not read.
    /// - Returns: the status.
    /// - Throws: `.refused` for an address the policy forbids, `.tooLarge`, `.unreachable`, `.malformed` for what is no `https` URL, and
    ///   what `receive` throws.
    public func download(
        _ url: String,
        limit: Int64,
        timeout: Duration? = nil,
        _ receive: @Sendable (ByteBuffer) async throws(IdentityError) -> Void
    ) async throws(IdentityError) -> Int {
        let deadline = NIODeadline.now() + TimeAmount(timeout ?? self.timeout)
        let target = try Target(url)
        let permitted = try await addresses(of: target.host, until: deadline).filter(allows)
        guard !permitted.isEmpty else { throw IdentityError(.refused, "\(target.host) is not at a public address") }
        var failure = IdentityError(.unreachable, "\(target.host) cannot be reached")
        for address in permitted.prefix(attempts) {
            let channel: Download
            do throws(IdentityError) {
                channel = try await dial(target, at: address, until: deadline)
            } catch {
                failure = error
                continue
            }
            return try await stream(channel, target, limit: limit, until: deadline, receive)
        }
        throw failure
    }

    private typealias Download = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private func dial(
        _ target: Target,
        at address: [UInt8],
        until deadline: NIODeadline
    ) async throws(IdentityError) -> Download {
        do {
            var tls = try configuration()
            tls.minimumTLSVersion = .tlsv13
            let context = try NIOSSLContext(configuration: tls)
            let place = try SocketAddress(packedIPAddress: ByteBuffer(bytes: address), port: target.port)
            let host = target.host
            return try await ClientBootstrap(group: group)
                .connectTimeout(min(.seconds(5), deadline - .now()))
                .connect(to: place) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        let isLiteral = HostAddress(host) != nil
                        let handler = try NIOSSLClientHandler(context: context, serverHostname: isLiteral ? nil : host)
                        try pipeline.addHandler(handler)
                        if !isLiteral { try pipeline.addHandler(ServerNameCheck(host)) }
                        try pipeline.addHTTPClientHandlers()
                        return try Download(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw IdentityError(.unreachable, "\(target.host) cannot be reached: \(error)")
        }
    }

    private func stream(
        _ download: Download,
        _ target: Target,
        limit: Int64,
        until deadline: NIODeadline,
        _ receive: @Sendable (ByteBuffer) async throws(IdentityError) -> Void
    ) async throws(IdentityError) -> Int {
        let channel = download.channel
        let timer = channel.eventLoop.scheduleTask(deadline: deadline) { channel.close(promise: nil) }
        defer { timer.cancel() }
        let request = head(Request(.GET, target.url), target)
        do {
            return try await download.executeThenClose { inbound, outbound in
                try await outbound.write(.head(request))
                try await outbound.write(.end(nil))
                var status: Int?
                var length: Int64 = 0
                for try await part in inbound {
                    switch part {
                    case .head(let head):
                        // Interim answers (RFC 9110 §15.2) precede the one that counts.
                        guard head.status.code >= 200 else { continue }
                        guard head.status == .ok else { return Int(head.status.code) }
                        status = 200
                    case .body(let bytes):
                        length += Int64(bytes.readableBytes)
                        guard length <= limit else {
                            throw IdentityError(.tooLarge, "\(target.host) serves more than was asked for")
                        }
                        try await receive(bytes)
                    case .end: if let status { return status }
                    }
                }
                throw IdentityError(.unreachable, "\(target.host) ended in the middle")
            }
        } catch let error as IdentityError {
            throw error
        } catch {
            throw IdentityError(.unreachable, "\(target.host) cannot be reached: \(error)")
        }
    }
}
