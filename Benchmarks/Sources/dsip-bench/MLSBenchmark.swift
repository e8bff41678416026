import Crypto
import MLS

/// What MLS costs, each against the sum of the primitives it cannot do without, timed in the same round.
enum MLSBenchmark {
    static func run() throws {
        let primitives = try MLSPrimitives()
        var small = try MLSScene(32)
        var large = try MLSScene(1000)
        try process(&large, &small, primitives)
        try add(&large, primitives)
        try freshCommit(primitives)
        var full = try MLSScene(128)
        try fullCommit(&full, primitives)
        try messages(&large, primitives)
    }

    /// Two signatures are verified, one secret is opened; whoever is farther from the committer derives fewer keys.
    private static func process(_ large: inout MLSScene, _ small: inout MLSScene, _ primitives: MLSPrimitives) throws {
        let each = 12
        var (far, near, little) = (InterleavedRounds(), InterleavedRounds(), [Double]())
        let levels = large.levels
        for _ in 0..<InterleavedRounds.count {
            let commits = try large.commits(each)
            let smallCommits = try small.commits(each)
            let time = try timed(each) { try large.far.process(commits[$0], at: MLSScene.now) }
            let nearTime = try timed(each) { try large.near.process(commits[$0], at: MLSScene.now) }
            let smallTime = try timed(each) { try small.far.process(smallCommits[$0], at: MLSScene.now) }
            let (verify, open, keyPair) = (try primitives.verify(), try primitives.open(), try primitives.keyPair())
            far.add(time, 2 * verify + open + keyPair)
            near.add(nearTime, 2 * verify + open + Double(levels) * keyPair)
            little.append(time / smallTime)
        }
        far.report("mls process", "commit, far member of 1000", atMost: 2.5)
        near.report("mls process near", "commit, member beside the committer", atMost: 2.5)
        Report.line("mls growth", "processing among 1000 against among 32", ratio: little.median, atMost: 2)
    }

    private static func add(_ large: inout MLSScene, _ primitives: MLSPrimitives) throws {
        for includesTree in [true, false] {
            var rounds = InterleavedRounds()
            var options = CommitOptions([.add(try MLSScene.bundle(5000).keyPackage)])
            options.includesRatchetTree = includesTree
            let made = try large.committer.commit(options, at: MLSScene.now, using: &large.random)
            large.committer.clearPendingCommit()
            // The GroupInfo is signed and sealed at its own size.
            let infoSize = made.welcome.map { MLSMessage.welcome($0).encoded.count } ?? 0
            for _ in 0..<InterleavedRounds.count {
                let time = try timed(6) { _ in
                    keep(try large.committer.commit(options, at: MLSScene.now, using: &large.random))
                    large.committer.clearPendingCommit()
                }
                let seals = Double(large.levels + 1) * (try primitives.seal() + primitives.keyPair())
                rounds.add(
                    time,
                    seals + 2 * (try primitives.verify()) + 2 * (try primitives.sign())
                        + (try primitives.sign(infoSize)) + (try primitives.encrypt(infoSize))
                )
            }
            let tree = includesTree ? "Welcome with the tree, \(infoSize / 1024) KiB" : "Welcome without the tree"
            rounds.report(includesTree ? "mls add" : "mls add, bare", "one to 1000, \(tree)", atMost: 3)
        }
    }

    /// Nobody but the founder has a path: every member is told by itself.
    private static func freshCommit(_ primitives: MLSPrimitives) throws {
        var scene = try MLSScene(1000, isFresh: true)
        var rounds = InterleavedRounds()
        for _ in 0..<5 {
            let time = try timed(1) { _ in
                keep(try scene.committer.commit(at: MLSScene.now, using: &scene.random))
                scene.committer.clearPendingCommit()
            }
            let (seal, keyPair, sign) = (try primitives.seal(), try primitives.keyPair(), try primitives.sign())
            rounds.add(time, 999 * seal + Double(scene.levels + 1) * keyPair + 2 * sign)
        }
        rounds.report("mls fresh commit", "to 999 members one by one", atMost: 1.15)
    }

    private static func fullCommit(_ scene: inout MLSScene, _ primitives: MLSPrimitives) throws {
        var rounds = InterleavedRounds()
        for _ in 0..<InterleavedRounds.count {
            let time = try timed(20) { _ in
                keep(try scene.committer.commit(at: MLSScene.now, using: &scene.random))
                scene.committer.clearPendingCommit()
            }
            let (seal, keyPair, sign) = (try primitives.seal(), try primitives.keyPair(), try primitives.sign())
            rounds.add(time, Double(scene.levels) * (seal + keyPair) + keyPair + 2 * sign)
        }
        rounds.report("mls full commit", "in a full tree of 128", atMost: 2)
    }

    /// RFC 9420 §6.3 has a message signed, sealed, and its sender sealed, under keys that take five derivations (§9.1 and §6.3.2). The
    /// limit of the signature and the first sealing alone is printed as well.
    private static func messages(_ scene: inout MLSScene, _ primitives: MLSPrimitives) throws {
        let data = [UInt8](repeating: 7, count: 1024)
        var (protect, bare, unprotect) = (InterleavedRounds(), InterleavedRounds(), InterleavedRounds())
        for _ in 0..<InterleavedRounds.count {
            var sent: [MLSMessage] = []
            sent.reserveCapacity(200)
            let time = try timed(200) { _ in
                sent.append(try scene.committer.protect(data, using: &scene.random))
            }
            let main = try primitives.sign(1200) + primitives.encrypt(1200)
            bare.add(time, main)
            protect.add(time, try main + primitives.encrypt(12) + 5 * primitives.expand())
            let opening = try timed(sent.count) { try scene.far.process(sent[$0], at: MLSScene.now) }
            unprotect.add(opening, try primitives.verify(1200) + primitives.decrypt())
        }
        protect.report("mls protect", "1 KiB", atMost: 1.3)
        bare.report("mls protect, bare", "1 KiB against one signature and one sealing", atMost: 1.3)
        unprotect.report("mls unprotect", "1 KiB", atMost: 1.2)
    }
}

/// Figure and limit of each round, taken in turns; the median of their ratios counts.
struct InterleavedRounds {
    static let count = 9
    private var times: [Double] = []
    private var limits: [Double] = []

    /// Nanoseconds.
    mutating func add(_ time: Double, _ limit: Double) {
        times.append(time)
        limits.append(limit)
    }

    func report(_ name: String, _ what: String, atMost goal: Double) {
        let ratios = zip(times, limits).map { $0 / $1 }
        let (time, limit) = (Report.microseconds(times.median), Report.microseconds(limits.median))
        Report.line(name, "\(what) in \(time), its primitives \(limit)", ratio: ratios.median, atMost: goal)
    }
}

/// Nanoseconds of processor time for one of `count` operations.
func timed(_ count: Int, _ body: (Int) throws -> Void) rethrows -> Double {
    let start = Rounds.processorTime()
    for index in 0..<count { try body(index) }
    return (Rounds.processorTime() - start) / Double(count)
}
