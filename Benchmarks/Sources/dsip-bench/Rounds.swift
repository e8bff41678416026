import Foundation

/// Interleaved rounds: each subject runs once a round, so that what disturbs the machine disturbs all of them; medians count.
struct Rounds {
    var count = 9
    var secondsEach = 0.25

    /// - Parameter subjects: each does one operation.
    /// - Returns: median nanoseconds per operation of each subject.
    func measure(_ subjects: [() throws -> Void]) throws -> [Double] {
        var times = Array(repeating: [Double](), count: subjects.count)
        var batch = Array(repeating: 1, count: subjects.count)
        for (i, subject) in subjects.enumerated() {
            // Grow the batch until it fills its share of a round.
            while try time(subject, batch[i]) < secondsEach * 0.5e9 { batch[i] *= 2 }
        }
        for _ in 0..<count {
            for (i, subject) in subjects.enumerated() {
                times[i].append(try time(subject, batch[i]) / Double(batch[i]))
            }
        }
        return times.map(\.median)
    }

    private func time(_ subject: () throws -> Void, _ repetitions: Int) throws -> Double {
        let start = Self.processorTime()
        for _ in 0..<repetitions { try subject() }
        return Self.processorTime() - start
    }

    /// Nanoseconds of processor time: what other processes do to the machine does not count.
    static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
    }
}

/// Keeps the optimizer from dropping a result.
@inline(never)
func keep<T>(_ value: T) {}
