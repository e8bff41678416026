import NIOCore

/// One of the bindings of signaling, as a bare client speaks it.
struct WireBinding: Sendable {
    /// Port, what is said first, the loop it is on, and who is told what comes (see ``Wire``).
    let dial: @Sendable (Int, [UInt8], any EventLoop, @escaping @Sendable (WireEvent) -> Void) async throws -> Wire
    /// Without a flush.
    let send: @Sendable ([UInt8], any Channel) -> Void

    /// `ws/1.0`, over TLS.
    static func webSocket() throws -> WireBinding {
        let context = try Wire.context()
        return WireBinding(
            dial: { port, greeting, loop, receiver in
                try await Wire.connect(to: port, saying: greeting, on: loop, context, receiver: receiver)
            },
            send: { Wire.send($0, over: $1) }
        )
    }
}
