import DSIPIdentity
import DSIPMessaging
import Encoding
import Support

/// Four people and their devices talk through a network that loses, repeats, reorders and cuts, by clocks that disagree, with stores that
/// fail, documents that are not to be had, and programs that end at any write; devices and members are taken away meanwhile. When it
/// has become quiet, all of them must hold the same, and who was taken away nothing of what was said later.
public struct Convergence {
    public struct Settings {
        /// Things done.
        public var steps = 120
        /// Of a thousand, for each payload between services.
        public var loss = 40
        public var duplication = 40
        /// The same between devices and services.
        public var deviceLoss = 15
        public var deviceDuplication = 30
        /// Of a hundred, for each step.
        public var crashes = 6
        public var cuts = 8
        public var storeFaults = 3
        public var documentFaults = 6
        public var blobFaults = 20
        /// Seconds by which a device's clock may be behind its service's, and ahead of it: further off, no service hears it.
        public var skew: ClosedRange<Int64> = -50...250
        /// Of a hundred, for each step: somebody has their own service order a conversation. Beside what is the same without.
        public var moves = 0
        public var isVerbose = false
        /// Says of each message that a device lacks where it is.
        public var explains = false

        public init() {}

        /// Nothing goes wrong but what is named.
        public static func only(_ faults: [String], steps: Int) -> Self {
            var settings = calm(steps: steps)
            let all = Self()
            for fault in faults {
                switch fault {
                case "crash": settings.crashes = all.crashes
                case "cut": settings.cuts = all.cuts
                case "store": settings.storeFaults = all.storeFaults
                case "document": settings.documentFaults = all.documentFaults
                case "blob": settings.blobFaults = all.blobFaults
                case "skew": settings.skew = all.skew
                case "link": (settings.loss, settings.duplication) = (all.loss, all.duplication)
                default:
                    (settings.deviceLoss, settings.deviceDuplication) = (all.deviceLoss, all.deviceDuplication)
                }
            }
            return settings
        }

        /// Nothing goes wrong.
        public static func calm(steps: Int) -> Self {
            var settings = Self()
            settings.steps = steps
            (settings.loss, settings.duplication, settings.deviceLoss, settings.deviceDuplication) = (0, 0, 0, 0)
            (settings.crashes, settings.cuts, settings.storeFaults) = (0, 0, 0)
            (settings.documentFaults, settings.blobFaults, settings.skew) = (0, 0, 0...0)
            return settings
        }
    }

    public internal(set) var problems: [String] = []
    public private(set) var said = 0
    public private(set) var crashes = 0
    public private(set) var events = 0

    let world: SimulatedWorld
    let settings: Settings
    /// For whom a message was when it was said.
    var audiences: [ULID: Set<DID>] = [:]
    /// The same of reactions, by line and by who reacted; of several to one line, those who were there for each.
    var witnesses: [ULID: [DID: Set<DID>]] = [:]
    /// Who may have it besides: they were on their way in.
    var awaited: [ULID: Set<DID>] = [:]
    /// The devices that edited or retracted a message.
    var editors: [ULID: [SimulatedWorld.Device]] = [:]
    var group: String { "Everybody" }
    private let seed: UInt64

    /// The last that happened.
    public func trace(_ count: Int) -> [String] { world.trace.suffix(count) }

    public init(seed: UInt64, _ settings: Settings = Settings()) throws {
        world = try SimulatedWorld(seed: seed)
        self.seed = seed
        self.settings = settings
    }

    // MARK: The run

    public mutating func run() throws {
        for (name, isNamed) in [("alice", false), ("bob", true), ("carol", false), ("dave", true)] {
            let person = world.person(name, isNamed: isNamed)
            if world.people.count % 2 == 0 { world.silentReaders.insert(person.did) }
        }
        for person in world.people { try device(of: person) }
        // Who keeps nothing at its mailbox has one device: there is no history for another.
        let queues = seed % 3 == 0 ? world.devices[2] : nil
        if let queues { try keepNothing(queues) }
        try world.run(30)
        var links = SimulatedWorld.Links(latency: 5...400)
        links.loss = settings.loss
        links.duplication = settings.duplication
        links.deviceLoss = settings.deviceLoss
        links.deviceDuplication = settings.deviceDuplication
        world.setLinks(links)
        world.blobFaults = settings.blobFaults
        var later = [0, 1, 2, 3, 0, 1].filter { $0 != 2 || queues == nil }
        for step in 0..<settings.steps {
            if step % 12 == 5, let next = later.popLast() { try device(of: world.people[next]) }
            if settings.isVerbose { print("step \(step) at \(world.now): \(world.handled) payloads, \(world.pending)") }
            try act(step)
            if step == settings.steps * 6 / 10 { try takeDeviceAway() }
            if step == settings.steps * 7 / 10 { try takeMemberAway() }
            if settings.moves > 0, chance(settings.moves) { try move() }
            try world.run(Int64(pick(0...6)))
            try trouble()
        }
        for next in later { try device(of: world.people[next]) }
        try world.run(20)
        try calm()
        try sayLast()
        try quiet(seconds: 200)
        try check()
        try checkRest()
        crashes = world.devices.reduce(0) { $0 + $1.crashes + $1.storeFaults } + world.serviceCrashes
        events = world.handled
    }

    private func device(of person: SimulatedPerson) throws {
        let device = try world.device(person, skew: Int64.random(in: settings.skew, using: &world.random))
        world.note("\(device.name) is new, its clock \(device.skew) s ahead")
    }

    private func keepNothing(_ device: SimulatedWorld.Device) throws {
        var changed = device.messenger.settings
        changed.mode = .queue
        try world.act(device) { try $0.update(settings: changed, at: world.time(of: device)) }
    }

    /// No more trouble, until nothing happens any more.
    private func calm() throws {
        world.note("no more trouble")
        world.setLinks(.init(latency: 5...50))
        world.blobFaults = 0
        world.documents.setDown([])
        for device in world.devices where !device.isRevoked {
            world.heal(device)
            if !device.isOnline { try world.connect(device) }
        }
        try quiet(seconds: 1200)
    }

    private func quiet(seconds: Int64) throws {
        for _ in 0..<(seconds / 20) {
            // A connection may have broken before the trouble ended, and say so after.
            for device in world.devices where !device.isRevoked && !device.isOnline { try world.connect(device) }
            try world.run(20)
            if settings.isVerbose { print("quiet at \(world.now): \(world.handled) payloads, \(world.pending)") }
        }
    }

    func pick(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &world.random) }

    func chance(_ percent: Int) -> Bool { pick(0...99) < percent }

    // MARK: Trouble

    private func trouble() throws {
        for device in world.devices where !device.isRevoked {
            if device.isOnline, chance(settings.cuts) {
                world.note("\(device.name) is cut off")
                try world.disconnect(device)
            } else if !device.isOnline, chance(40) {
                try world.connect(device)
            }
            if device.healsAt == nil, chance(settings.crashes) { device.store.fail(after: pick(0...4)) }
        }
        if chance(settings.crashes) { try world.restartService(pick(0...1)) }
        if chance(settings.storeFaults) { world.fillService(pick(0...1), for: Int64(pick(1...12))) }
        if chance(settings.documentFaults) {
            world.documents.setDown(Set(world.documents.names.filter { _ in chance(60) }))
            world.note("documents are gone")
        } else if chance(25) {
            world.documents.setDown([])
        }
    }

    /// A device is lost, and a sibling says so.
    private mutating func takeDeviceAway() throws {
        let candidates = world.devices.filter { device in
            !device.isRevoked && world.devices.contains { isSibling($0, of: device) }
        }
        guard let lost = candidates.randomElement(using: &world.random),
            let sibling = world.devices.first(where: { isSibling($0, of: lost) })
        else { return }
        let now = world.time(of: sibling)
        let id = ULID(milliseconds: UInt64(now) * 1000, using: &world.random)
        let revocation = lost.person.revocation(of: lost.key, id, at: now)
        world.note("\(sibling.name) takes \(lost.name) away")
        // Said until it is kept.
        world.heal(sibling)
        try world.act(sibling) { try $0.removeDevice(lost.key.did, revocation: revocation, at: now) }
    }

    private func isSibling(_ a: SimulatedWorld.Device, of b: SimulatedWorld.Device) -> Bool {
        a.person.did == b.person.did && a.index != b.index && !a.isRevoked
    }

    /// Somebody is taken out of the group.
    private mutating func takeMemberAway() throws {
        let device = world.devices[pick(0...(world.devices.count - 1))]
        guard !device.isRevoked, let record = device.store.conversations().first(where: { isGroup($0) }),
            let member = record.members.randomElement(using: &world.random), chance(70)
        else { return }
        world.note("\(device.name) takes \(member.string.suffix(6)) out of the group")
        let now = world.time(of: device)
        try world.attempt(device) { try world.act(device) { try $0.remove([member], from: record.id, at: now) } }
    }

    /// Somebody has their own service order one of their conversations from now on.
    private func move() throws {
        let device = world.devices[pick(0...(world.devices.count - 1))]
        let records = device.store.conversations().filter { !$0.isRemoved && !$0.isRequest }
        guard !device.isRevoked, let record = records.randomElement(using: &world.random),
            device.messenger.hub(of: record.id) != nil
        else { return }
        world.note("\(device.name) moves \(record.title ?? "a conversation") to its service")
        try world.attempt(device) { try world.act(device) { try $0.move(record.id, at: world.time(of: device)) } }
    }

    func isGroup(_ record: ConversationRecord) -> Bool { record.kind == .group && !record.isRemoved }

    // MARK: What people do

    private mutating func act(_ step: Int) throws {
        let device = world.devices[pick(0...(world.devices.count - 1))]
        guard !device.isRevoked else { return }
        let now = world.time(of: device)
        try world.attempt(device) {
            let records = device.store.conversations().filter { !$0.isRemoved && !$0.isRequest }
            let record = records.randomElement(using: &world.random)
            switch pick(0...99) {
            case 0..<12 where !records.contains(where: { $0.kind == .group }) && step > 4 && device.index == 0:
                let others = world.people.filter { $0.did != device.person.did }.map(\.did)
                world.note("\(device.name) makes the group")
                _ = try world.act(device) { try $0.createGroup(title: group, members: others, at: now) }
            case 0..<25:
                let others = world.people.filter { $0.did != device.person.did }
                let peer = others[pick(0...(others.count - 1))]
                let thread = try world.act(device) { try $0.open(with: peer.did, at: now) }
                try say(.init(text: "\(device.name) \(step)"), device, thread)
            case 25..<55:
                guard let record else { return }
                try say(.init(text: "\(device.name) \(step)"), device, record.id)
            case 55..<62:
                guard let record else { return }
                try attach(step, device, record.id)
            case 62..<66:
                guard let record, let line = some(device, record, { $0.seq != nil }) else { return }
                var draft = MessageDraft(text: "\(device.name) \(step) about")
                draft.replyTo = line.id
                try say(draft, device, record.id)
            case 66..<70:
                guard let record else { return }
                let body: MessageDraft.Body =
                    chance(50)
                    ? .location(.init(latitudeE7: 525_000_000, longitudeE7: 134_000_000, accuracy: 20))
                    : .contact(world.people[pick(0...3)].did, displayName: "somebody")
                try say(MessageDraft(body), device, record.id)
            case 70..<78:
                guard let record, let line = some(device, record, { $0.seq != nil && !$0.isRetracted }) else { return }
                let emoji = ["👍", "🙂", ""][pick(0...2)]
                try world.act(device) { try $0.react(emoji, to: line.id, in: record.id, at: now) }
                let there = Set(record.members + [device.person.did])
                let before = witnesses[line.id]?[device.person.did] ?? there
                witnesses[line.id, default: [:]][device.person.did] = before.intersection(there)
            case 78..<84:
                guard let record, let line = some(device, record, { Self.isEditable($0) && $0.kind == .text })
                else { return }
                editors[line.id, default: []].append(device)
                try world.act(device) { try $0.edit(line.id, in: record.id, text: line.text + "*", at: now) }
            case 84..<88:
                guard let record, let line = some(device, record, Self.isEditable) else { return }
                editors[line.id, default: []].append(device)
                try world.act(device) { try $0.retract(line.id, in: record.id, at: now) }
            case 88..<90:
                guard let record, record.kind == .group else { return }
                try world.act(device) { try $0.setTitle("\(group) \(step)", of: record.id, at: now) }
            default:
                guard let record, let line = some(device, record, { $0.seq != nil }) else { return }
                try world.act(device) { try $0.read(through: line.id, in: record.id, at: now) }
            }
        }
    }

    private static func isEditable(_ line: MessageRecord) -> Bool {
        line.isMine && line.seq != nil && !line.isRetracted
    }

    private func some(
        _ device: SimulatedWorld.Device,
        _ record: ConversationRecord,
        _ isWanted: (MessageRecord) -> Bool
    ) -> MessageRecord? {
        world.messages(device, record.id).filter { $0.isContent && isWanted($0) }.randomElement(using: &world.random)
    }

    private mutating func say(_ draft: MessageDraft, _ device: SimulatedWorld.Device, _ thread: ULID) throws {
        let now = world.time(of: device)
        // The roster that this device knows: nobody else may ever read it.
        let members = device.store.conversation(thread)?.members ?? []
        let there = Set(members + [device.person.did])
        let founders = Set(device.messenger.awaitedFounders(in: thread))
        let id: ULID
        do {
            id = try world.act(device) { try $0.send(draft, in: thread, at: now) }
        } catch {
            // Its store failed, but may have kept it.
            for line in world.messages(device, thread) where line.isMine && audiences[line.id] == nil {
                (audiences[line.id], awaited[line.id]) = (there, founders)
            }
            throw error
        }
        (audiences[id], awaited[id]) = (there, founders)
        said += 1
    }

    private mutating func attach(_ step: Int, _ device: SimulatedWorld.Device, _ thread: ULID) throws {
        let bytes = SimulatedPerson.seed(&world.random)
        let kind: MessageRecord.Kind = chance(50) ? .file : .image
        let type = kind == .file ? "application/pdf" : "image/png"
        let attachment = AttachmentDraft(kind, name: "\(step)", contentType: type, size: Int64(bytes.count))
        var draft = MessageDraft(.attachment(attachment), purpose: .attachment)
        let now = world.time(of: device)
        let id = ULID(milliseconds: UInt64(now) * 1000, using: &world.random)
        draft.id = id
        world.uploads[id] = bytes
        try say(draft, device, thread)
    }

    /// Everybody says one thing more wherever it is, and fetches what is attached.
    private mutating func sayLast() throws {
        for device in world.devices where !device.isRevoked {
            for record in device.store.conversations() {
                do {
                    if !record.isRemoved { try say(.init(text: "\(device.name) last"), device, record.id) }
                } catch let error as MessagingError where error.code == .refused {
                    problems.append("\(device.name) cannot speak: \(error), \(record.notice?.rawValue ?? "no notice")")
                }
                for line in world.messages(device, record.id)
                where line.attachment?.reference != nil && device.opened[line.id] == nil
                    && world.uploads[line.id] != nil
                {
                    let now = world.time(of: device)
                    try world.act(device) { try $0.fetchAttachment(line.id, in: record.id, at: now) }
                }
            }
        }
    }
}
