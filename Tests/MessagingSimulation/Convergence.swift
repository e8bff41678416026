import DSIPIdentity
import DSIPMessaging
import Encoding
import Support

/// Ten devices of four people talk through a network that loses, repeats and cuts, and through programs that end at any write; when
/// it has become quiet, all of them must hold the same.
public struct Convergence {
    public struct Settings {
        /// Things done.
        public var steps = 120
        /// Of a thousand, for each payload between services.
        public var loss = 40
        public var duplication = 40
        /// Of a hundred, for each step.
        public var crashes = 6
        public var cuts = 8
        public var isVerbose = false

        public init() {}
    }

    public private(set) var problems: [String] = []
    public private(set) var said = 0
    public private(set) var crashes = 0
    public private(set) var events = 0

    let world: SimulatedWorld
    let settings: Settings
    private var group: String { "Everybody" }
    private var texts: Set<String> = []

    public init(seed: UInt64, _ settings: Settings = Settings()) throws {
        world = try SimulatedWorld(seed: seed)
        self.settings = settings
    }

    // MARK: The run

    public mutating func run() throws {
        let names = ["alice", "bob", "carol", "dave"]
        for name in names { _ = world.person(name) }
        for person in world.people { try world.device(person) }
        try world.run(30)
        world.setLinks(latency: 5...400, loss: settings.loss, duplication: settings.duplication)
        var later = [0, 1, 2, 3, 0, 1]
        for step in 0..<settings.steps {
            if step % 12 == 5, let next = later.popLast() { try world.device(world.people[next]) }
            if settings.isVerbose { print("step \(step) at \(world.now): \(world.handled) payloads, \(world.pending)") }
            try act(step)
            try world.run(Int64(pick(0...6)))
            try trouble()
        }
        for next in later { try world.device(world.people[next]) }
        try world.run(20)
        world.setLinks(latency: 5...50, loss: 0, duplication: 0)
        for device in world.devices {
            device.store.fail(after: nil)
            if !device.isOnline { try world.connect(device) }
        }
        for _ in 0..<60 {
            try world.run(20)
            if settings.isVerbose { print("quiet at \(world.now): \(world.handled) payloads, \(world.pending)") }
        }
        check()
        crashes = world.devices.reduce(0) { $0 + $1.crashes } + world.serviceCrashes
        if let rejected = world.rejected.first(where: { !$0.contains("duplicate-id") }) {
            problems.append("a service rejected \(rejected)")
        }
        events = world.handled
    }

    private func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &world.random) }

    private func chance(_ percent: Int) -> Bool { pick(0...99) < percent }

    private func trouble() throws {
        for device in world.devices {
            if device.isOnline, chance(settings.cuts) {
                try world.attempt(device) { try world.disconnect(device) }
            } else if !device.isOnline, chance(40) {
                try world.attempt(device) { try world.connect(device) }
            }
            if chance(settings.crashes) { device.store.fail(after: pick(0...4)) }
        }
        if chance(settings.crashes) { try world.restartService(pick(0...1)) }
    }

    private mutating func act(_ step: Int) throws {
        let device = world.devices[pick(0...(world.devices.count - 1))]
        let now = world.now
        try world.attempt(device) {
            let records = device.store.conversations().filter { !$0.isRemoved && !$0.isRequest }
            switch pick(0...99) {
            case 0..<12 where !records.contains(where: { $0.title == group }) && step > 4 && device.index == 0:
                let others = world.people.filter { $0.did != device.person.did }.map(\.did)
                _ = try world.act(device) { try $0.createGroup(title: group, members: others, at: now) }
            case 0..<25:
                let others = world.people.filter { $0.did != device.person.did }
                let peer = others[pick(0...(others.count - 1))]
                let thread = try world.act(device) { try $0.open(with: peer.did, at: now) }
                try say("\(device.person.name).\(device.index) \(step)", device, thread)
            case 25..<70:
                guard let record = records.randomElement(using: &world.random) else { return }
                try say("\(device.person.name).\(device.index) \(step)", device, record.id)
            case 70..<80:
                guard let (record, line) = some(device, records, { $0.seq != nil && !$0.isRetracted }) else { return }
                try world.act(device) { try $0.react("👍", to: line.id, in: record, at: now) }
            case 80..<86:
                guard let (record, line) = some(device, records, { $0.isMine && $0.seq != nil && !$0.isRetracted })
                else {
                    return
                }
                let text = line.text + "*"
                texts.insert(text)
                try world.act(device) { try $0.edit(line.id, in: record, text: text, at: now) }
            case 86..<90:
                guard let (record, line) = some(device, records, { $0.isMine && $0.seq != nil && !$0.isRetracted })
                else {
                    return
                }
                try world.act(device) { try $0.retract(line.id, in: record, at: now) }
            default:
                guard let (record, line) = some(device, records, { $0.seq != nil }) else { return }
                try world.act(device) { try $0.read(through: line.id, in: record, at: now) }
            }
        }
    }

    private mutating func say(_ text: String, _ device: SimulatedWorld.Device, _ thread: ULID) throws {
        let now = world.now
        _ = try world.act(device) { try $0.send(MessageDraft(text: text), in: thread, at: now) }
        said += 1
    }

    private func some(
        _ device: SimulatedWorld.Device,
        _ records: [ConversationRecord],
        _ isWanted: (MessageRecord) -> Bool
    ) -> (ULID, MessageRecord)? {
        guard let record = records.randomElement(using: &world.random),
            let line = world.messages(device, record.id).filter({ $0.kind == .text && isWanted($0) })
                .randomElement(using: &world.random)
        else { return nil }
        return (record.id, line)
    }

    // MARK: The check

    /// What a device shows of a conversation, as everybody must show it.
    private func transcript(_ device: SimulatedWorld.Device, _ thread: ULID) -> [String] {
        world.messages(device, thread).filter(\.isContent).map { line in
            let reactions = line.reactions.filter { !$0.emoji.isEmpty }.map {
                "\($0.sender.string.suffix(4))\($0.emoji)"
            }
            return "\(line.id) \(line.isRetracted ? "-" : line.text) \(reactions.sorted().joined())"
                + (line.seq == nil ? " \(line.state)" : "")
        }
    }

    private mutating func check() {
        var seen: [String: (device: Int, lines: [String])] = [:]
        for device in world.devices {
            if !device.errors.isEmpty { problems.append("\(name(device)): \(device.errors.prefix(3))") }
            for record in device.store.conversations() {
                let lines = transcript(device, record.id)
                let pair = ([device.person.did] + record.members).sorted().map { String($0.string.suffix(6)) }
                let key = record.kind == .group ? "group \(record.title ?? "?")" : pair.joined(separator: "+")
                if let notice = record.notice { problems.append("\(name(device)) \(key): notice \(notice.rawValue)") }
                for line in lines where line.hasSuffix("pending") || line.hasSuffix("failed") {
                    problems.append("\(name(device)) \(key): \(line)")
                }
                if let other = seen[key] {
                    guard other.lines != lines else { continue }
                    problems.append(
                        "\(name(device)) has \(lines.count) of \(key), \(name(world.devices[other.device])) \(other.lines.count): "
                            + "\(difference(other.lines, lines))"
                    )
                } else {
                    seen[key] = (device.index, lines)
                }
            }
        }
        // Every device of everybody in a conversation shows it.
        for (key, entry) in seen where !entry.lines.isEmpty {
            for device in world.devices {
                let isIn = key.hasPrefix("group") || key.contains(device.person.did.string.suffix(6))
                guard isIn else { continue }
                let has = device.store.conversations().contains { record in
                    transcript(device, record.id) == entry.lines
                }
                if !has { problems.append("\(name(device)) lacks \(key)") }
            }
        }
    }

    private func name(_ device: SimulatedWorld.Device) -> String { "\(device.person.name).\(device.index)" }

    private func difference(_ a: [String], _ b: [String]) -> String {
        let (lacking, more) = (a.filter { !b.contains($0) }, b.filter { !a.contains($0) })
        return "- \(lacking.prefix(2)) + \(more.prefix(2))" + (lacking.isEmpty && more.isEmpty ? " (order)" : "")
    }
}
