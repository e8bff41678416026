import NIOCore
import NIOPosix

/// The sends of one read cycle of an event loop, so that each peer gets what it has caused in one write.
///
/// One read from a socket can deliver many frames, most of them for few recipients. Telling the recipient's loop of each costs a
/// wake-up and a system call a message, which together cost as much as all else but the signature. While a loop reads, connections
/// that have something to send gather here, and are told when the cycle ends, or after `limit` messages, lest the first wait for the
/// signatures of all behind it.
///
/// There is one for each thread that reads; it is used on that thread only.
final class ReadCycle {
    /// Messages after which recipients are told although the cycle goes on: a millisecond of signatures.
    private static let limit = 16

    // Unsafe only in name: each thread sees the value that it put there itself, and no other.
    private nonisolated(unsafe) static let threads = ThreadSpecificVariable<ReadCycle>()

    private var connections: [SignalingConnection] = []
    private var messages = 0
    /// Cycles under way: a handler may be called within another's turn.
    private var depth = 0

    /// The cycle of this thread, made when first asked for.
    static var ofThread: ReadCycle {
        if let cycle = threads.currentValue { return cycle }
        let cycle = ReadCycle()
        threads.currentValue = cycle
        return cycle
    }

    /// The cycle that this thread is in; nil when it reads nothing at the moment.
    static var current: ReadCycle? {
        guard let cycle = threads.currentValue, cycle.depth > 0 else { return nil }
        return cycle
    }

    func begin() { depth += 1 }

    /// A message has been dealt with.
    func step() {
        messages += 1
        if messages >= ReadCycle.limit { flush() }
    }

    func end() {
        depth -= 1
        if depth == 0 { flush() }
    }

    /// `connection` has something to send where it had nothing.
    func add(_ connection: SignalingConnection) { connections.append(connection) }

    private func flush() {
        messages = 0
        guard !connections.isEmpty else { return }
        let waiting = connections
        connections.removeAll(keepingCapacity: true)
        for connection in waiting { connection.drainSoon() }
    }
}
