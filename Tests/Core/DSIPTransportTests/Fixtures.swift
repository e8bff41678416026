import DSIPIdentity
import DSIPSignaling
import Encoding
import NIOCore
import NIOEmbedded
import NIOWebSocket
import Synchronization
import Testing

@testable import DSIPTransport

/// A moment all fixtures agree on, and a clock that stands there.
let noon: Int64 = 1_763_700_000

extension ULID {
    static func make(_ seconds: Int64 = noon) -> ULID {
        var generator = SystemRandomNumberGenerator()
        return ULID(milliseconds: UInt64(seconds) * 1000, using: &generator)
    }
}

/// A person with one device.
struct Person: Sendable {
    let controller = SigningKey()
    let device = SigningKey()
    let delegation: Envelope

    init() {
        delegation = try! Delegation(
            subject: controller.did,
            device: device.did,
            issuedAt: noon - 100,
            expiresAt: noon + 1_000_000
        ).issue(by: controller)
    }

    private func stamp(_ id: ULID, at now: Int64) -> Message.Stamp {
        Message.Stamp(id: id, from: device.did, issuedAt: now, version: .core)
    }

    func hello(_ id: ULID = .make(), at now: Int64 = noon, delegated: Bool = true) -> Envelope {
        let message = Message.hello(stamp(id, at: now), Hello(onBehalfOf: delegated ? controller.did : nil))
        return try! message.signed(by: device, delegations: delegated ? [delegation] : [])
    }

    /// Some session message; what it says does not matter to a transport.
    func bye(to other: DID, _ id: ULID = .make(), at now: Int64 = noon, padding: Int = 0) -> Envelope {
        let bye = Bye(.userHangup, detail: padding > 0 ? .text(String(repeating: "x", count: padding)) : nil)
        return try! Message.inSession(.make(), stamp(id, at: now), to: other, bye).signed(
            by: device,
            delegations: [delegation]
        )
    }
}

/// What a server told its delegate, in order.
final class Recorder: SignalingServerDelegate {
    enum Event: Equatable {
        case bound(DID, replacing: DID?)
        case received(ULID)
        case rejected(VerdictCode)
        case closed(DID?)
    }

    private struct State {
        var events: [Event] = []
        var connections: [DID: SignalingConnection] = [:]
        var admits = true
        var onReceive: (@Sendable (SignalingConnection, Verified<Message>) -> Void)?
        var waiters: [(count: Int, CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())

    var events: [Event] { state.withLock(\.events) }
    func connection(_ device: DID) -> SignalingConnection? { state.withLock { $0.connections[device] } }
    func setAdmits(_ admits: Bool) { state.withLock { $0.admits = admits } }
    func onReceive(_ body: @escaping @Sendable (SignalingConnection, Verified<Message>) -> Void) {
        state.withLock { $0.onReceive = body }
    }

    func admits(_ connection: SignalingConnection, bytes: Int) -> Bool { state.withLock(\.admits) }

    func bound(
        _ connection: SignalingConnection,
        _ hello: Verified<Message>,
        replacing previous: SignalingConnection.Device?
    ) {
        state.withLock { $0.connections[hello.body.from] = connection }
        add(.bound(hello.identity, replacing: previous?.identity))
    }

    func received(_ connection: SignalingConnection, _ message: Verified<Message>) {
        state.withLock(\.onReceive)?(connection, message)
        add(.received(message.body.id))
    }

    func rejected(_ connection: SignalingConnection, _ rejection: Rejection) { add(.rejected(rejection.code)) }

    func closed(_ connection: SignalingConnection, _ device: SignalingConnection.Device?) {
        add(.closed(device?.identity))
    }

    /// Returns once `count` events have been seen.
    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.events.count < count { state.waiters.append((count, continuation)) }
                return state.events.count >= count
            }
            if isThere { continuation.resume() }
        }
    }

    private func add(_ event: Event) {
        let ready = state.withLock { state in
            state.events.append(event)
            let count = state.events.count
            defer { state.waiters.removeAll { $0.count <= count } }
            return state.waiters.filter { $0.count <= count }.map { $0.1 }
        }
        for waiter in ready { waiter.resume() }
    }
}

/// A server's end of a connection on a loop whose time the test moves.
final class EmbeddedConnection {
    let channel = EmbeddedChannel()
    let recorder = Recorder()
    let service: SignalingService
    let relay = SigningKey()
    private let reader = EmbeddedChannel(
        handler: ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 1 << 20))
    )

    init(_ change: (inout SignalingService.Configuration) -> Void = { _ in }) throws {
        var configuration = SignalingService.Configuration(key: relay, clock: { noon })
        change(&configuration)
        service = SignalingService(configuration, source: SelfCertifyingSource(), delegate: recorder)
        try service.install(on: channel)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    func receive(_ opcode: WebSocketOpcode = .text, _ payload: [UInt8], mask: UInt32? = 0x1234_5678) throws {
        var buffer = ByteBuffer()
        FrameWriter.append(opcode, payload, mask: mask, to: &buffer)
        try receive(raw: buffer)
    }

    func receive(raw buffer: ByteBuffer) throws {
        try channel.writeInbound(buffer)
        channel.embeddedEventLoop.run()
    }

    func advance(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

    /// Frames sent since the last call.
    func sent() throws -> [WebSocketFrame] {
        channel.embeddedEventLoop.run()
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { try reader.writeInbound(buffer) }
        var frames: [WebSocketFrame] = []
        while let frame = try reader.readInbound(as: WebSocketFrame.self) { frames.append(frame) }
        return frames
    }

    /// Messages sent since the last call.
    func messages() throws -> [Message] { try sent().filter { $0.opcode == .text }.map(Message.init(in:)) }

    /// Close statuses sent since the last call.
    func closes() throws -> [UInt16] {
        try sent().filter { $0.opcode == .connectionClose }.map { frame in
            var data = frame.data
            return data.readInteger() ?? 0
        }
    }

    func bind(_ person: Person = Person()) throws {
        try receive(.text, person.hello().bytes)
        _ = try sent()
    }
}

extension Message {
    /// The payload of a text frame's envelope, as the relay's signature covers it.
    init(in frame: WebSocketFrame) throws {
        let envelope = try #require(Envelope(Array(buffer: frame.data)))
        try self.init(decoding: JSONDocument(scanning: envelope.decodedPayload()))
    }
}
