import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A thread with a bounded queue before it: whatever has gathered while one batch is worked on goes together into the next, so that an
/// fsync is paid once a batch.
final class BatchQueue<Input: Sendable>: Sendable {
    struct Limits: Sendable {
        /// Inputs, and bytes of them, that may wait; beyond it `submit` refuses, so that a stalled disk cannot eat the memory.
        var waiting = Int.max
        var bytes: Int
        var batch = 256
    }

    private struct State {
        var waiting = CircularBuffer<(input: Input, size: Int)>()
        var bytes = 0
        var isRunning = false
        var isStopped = false
        var idle: [@Sendable () -> Void] = []
    }

    private let limits: Limits
    private let threads = NIOThreadPool(numberOfThreads: 1)
    private let state = NIOLockedValueBox(State())

    init(_ limits: Limits) {
        self.limits = limits
        threads.start()
    }

    /// Inputs that wait.
    var count: Int { state.withLockedValue(\.waiting.count) }

    /// - Parameters:
    ///   - size: bytes of what a peer sent; 0 for what is bounded already, which always finds room.
    ///   - work: runs on the thread, with this input and those that gathered with it, in their order.
    /// - Returns: false when too much waits, or the queue has ended; the input is then refused.
    func submit(_ input: Input, size: Int, work: @escaping @Sendable ([Input]) -> Void) -> Bool {
        let start: Bool? = state.withLockedValue { state in
            guard !state.isStopped else { return nil }
            if size > 0 {
                guard state.waiting.count < limits.waiting, state.bytes + size <= limits.bytes else { return nil }
            }
            state.waiting.append((input, size))
            state.bytes += size
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard let start else { return false }
        if start { threads.submit { [self] _ in run(work) } }
        return true
    }

    /// Returns when everything submitted before has been worked on.
    func drain() async { await drain(stopping: false) }

    /// Ends after what waits; nothing is taken any more.
    func stop() async {
        await drain(stopping: true)
        try? await threads.shutdownGracefully()
    }

    private func drain(stopping: Bool) async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLockedValue { state -> Bool in
                if stopping { state.isStopped = true }
                if !state.isRunning { return true }
                state.idle.append { done.resume() }
                return false
            }
            if isIdle { done.resume() }
        }
    }

    private func run(_ work: @Sendable ([Input]) -> Void) {
        while true {
            let (batch, idle) = state.withLockedValue { state -> ([Input], [@Sendable () -> Void]) in
                var batch: [Input] = []
                while batch.count < limits.batch, let next = state.waiting.popFirst() {
                    batch.append(next.input)
                    state.bytes -= next.size
                }
                guard batch.isEmpty else { return (batch, []) }
                state.isRunning = false
                defer { state.idle = [] }
                return ([], state.idle)
            }
            if batch.isEmpty {
                for waiter in idle { waiter() }
                return
            }
            work(batch)
        }
    }
}
