/// One decoder of peer input: what it is called, inputs it accepts, and the call that must never trap whatever the bytes are.
struct FuzzEntry: Sendable {
    let name: String
    /// Well-formed inputs that mutation starts from.
    let seeds: [[UInt8]]
    let run: @Sendable ([UInt8]) -> Void

    init(_ name: String, seeds: [String], run: @escaping @Sendable ([UInt8]) -> Void) {
        self.init(name, seeds: seeds.map { Array($0.utf8) }, run: run)
    }

    init(_ name: String, seeds: [[UInt8]], run: @escaping @Sendable ([UInt8]) -> Void) {
        self.name = name
        self.seeds = seeds
        self.run = run
    }
}
