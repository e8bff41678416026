import NIOCore

/// A connection's wire that is a stream to a relay. Lives on the event loop of the relay's connection.
///
/// What the connection writes goes out one portion at a time, so that a slow relay slows the connection.
final class CircuitWire: Wire {
    private let stream: PeerStream
    private let driver: ConnectionDriver
    /// Told when the circuit is over.
    private let over: EventLoopPromise<Void>
    private var waiting: [UInt8] = []
    private var isSending = false
    private var isClosing = false
    private var isOver = false

    init(_ stream: PeerStream, _ driver: ConnectionDriver, over: EventLoopPromise<Void>) {
        self.over = over
        self.stream = stream
        self.driver = driver
    }

    /// - Parameter received: what came in behind the agreement on the circuit.
    func begin(received: [UInt8]) {
        driver.begin(on: self)
        if !received.isEmpty { driver.receive(received) }
        read()
    }

    var isWritable: Bool { !isSending && waiting.isEmpty && !isClosing }

    func write(_ bytes: [UInt8]) { waiting += bytes }

    func flush() { send() }

    func startTLS(_ role: Connection.Role, received: [UInt8]) {
        driver.refused(Libp2pError(.unsupported, "TLS is not spoken through a relay"))
    }

    func close() {
        isClosing = true
        send()
    }

    private func send() {
        guard !isSending, !isOver else { return }
        guard !waiting.isEmpty else {
            if isClosing { finish() }
            return
        }
        isSending = true
        stream.connection.driver.value.write(waiting[...], to: stream.id).assumeIsolated().whenComplete { result in
            self.isSending = false
            switch result {
            case .success(let count):
                self.waiting.removeFirst(count)
                self.send()
                if self.isWritable, !self.isOver { self.driver.writable() }
            case .failure: self.finish()
            }
        }
    }

    private func read() {
        guard !isOver else { return }
        stream.connection.driver.value.read(stream.id).assumeIsolated().whenComplete { result in
            guard case .success(let bytes?) = result else { return self.finish() }
            self.driver.receive(bytes)
            self.read()
        }
    }

    private func finish() {
        guard !isOver else { return }
        isOver = true
        stream.end()
        stream.expire(after: 1_000)
        driver.ended()
        over.succeed()
    }
}
