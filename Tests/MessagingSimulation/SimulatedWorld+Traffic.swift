import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Support

extension SimulatedWorld {
    // MARK: Time

    /// Lets the world run for so many seconds.
    public func run(_ seconds: Int64) throws { try run(milliseconds: seconds * 1000) }

    public func run(milliseconds: Int64) throws {
        let end = network.clock.milliseconds + milliseconds
        while true {
            let due = nextDeadline.map { $0 * 1000 } ?? end
            let until = min(end, max(due, network.clock.milliseconds))
            if let arrival = network.next(before: until) {
                try handle(arrival)
                continue
            }
            guard network.clock.milliseconds < end || due <= end else { break }
            for device in devices where device.healsAt.map({ $0 <= now }) ?? false { heal(device) }
            for device in devices {
                let own = time(of: device)
                guard device.messenger.deadline.map({ $0 <= own }) ?? false else { continue }
                device.wakes += 1
                try guarded(device) { try act(device) { try $0.advance(to: own) } }
            }
            for service in services {
                service.drain(at: now)
                guard service.host.deadline.map({ $0 <= now }) ?? false else { continue }
                service.host.advance(to: now)
                try commit(service)
            }
            try missUnanswered()
            if network.clock.milliseconds >= end { break }
        }
    }

    private var nextDeadline: Int64? {
        var deadlines = services.compactMap(\.host.deadline) + services.compactMap(\.fullUntil)
        deadlines += unanswered.values.map(\.until)
        for device in devices {
            if let deadline = device.messenger.deadline { deadlines.append(deadline - device.skew) }
            if let heals = device.healsAt { deadlines.append(heals) }
        }
        return deadlines.min().map { max($0, now + 1) }
    }

    // MARK: Arrivals

    private func handle(_ arrival: SimulatedNetwork<Node, Payload>.Arrival) throws {
        handled += 1
        switch (arrival.from, arrival.to, arrival.payload) {
        case (.device(let from), .service(let to), .said(let envelope, let connection)):
            let (device, service) = (devices[from], services[to])
            guard device.connection == connection else { return }
            var on = device.connectionID
            if service !== device.service {
                // A short connection of its own.
                let short = service.newConnection()
                visitors[short] = (from, connection)
                on = short
            }
            guard let on else { return }
            try hear(envelope, at: service, on: on)
        case (_, .device(let to), .answer(let message, let speaker, let connection)),
            (_, .items(let to), .answer(let message, let speaker, let connection)):
            let device = devices[to]
            guard device.connection == connection else { return }
            try guarded(device) { try deliver(message, by: speaker, to: device) }
        case (_, .items(let to), .broken(let connection)):
            guard devices[to].connection == connection else { return }
            note("the connection of \(devices[to].name) breaks")
            try disconnect(devices[to])
        case (_, .device(let to), .lookedUp(let did)):
            try guarded(devices[to]) { try lookedUp(did, for: devices[to]) }
        case (_, .service(let to), .lookedUp(let did)):
            services[to].lookingUp.remove(did)
            documents.resolve(did, by: to)
            for other in services[to].resolved(did, at: now) { lookUp(other, by: services[to]) }
            try commit(services[to])
        case (.service(let from), .service(let to), .deposit(let envelope, let id, let life)):
            guard services[from].life == life else { return }
            deposits[id] = (from, to)
            try hear(envelope, at: services[to], on: services[to].connection(of: services[from]))
        case (.service(let from), .service(let to), .answered(let id, let message, let life)):
            guard services[to].life == life else { return }
            unanswered[id] = nil
            try answered(id, message, by: services[from], to: services[to])
        default: break
        }
    }

    private func hear(_ envelope: Envelope, at service: SimulatedService, on connection: ConnectionID) throws {
        if let needs = service.received(envelope, on: connection, at: now) { lookUp(needs, by: service) }
        try commit(service)
    }

    /// One question at a time about each.
    private func lookUp(_ did: DID, by service: SimulatedService) {
        guard service.lookingUp.insert(did).inserted else { return }
        network.send(.lookedUp(did), from: .web, to: .service(service.index))
    }

    private func deliver(_ message: ServiceMessage, by speaker: DID, to device: Device) throws {
        let now = time(of: device)
        switch message {
        case .profile(let said): try act(device) { try $0.received(said, by: speaker, at: now) }
        case .error(let said):
            guard let report = said.body(as: ErrorReport.self), let id = report.inReplyTo else { return }
            note("\(device.name) is refused by \(speaker.string.suffix(4)): \(report.reason)")
            try act(device) { try $0.refused(id, report.reason, by: speaker, at: now) }
        }
    }

    private func answered(
        _ id: ULID,
        _ message: ServiceMessage,
        by speaker: SimulatedService,
        to service: SimulatedService
    ) throws {
        let envelope = try message.signed(by: speaker.key)
        switch message {
        case .profile(let said):
            guard case .accepted(let accepted) = said.body else { break }
            service.host.answered(id, by: speaker.did, .accepted(accepted, envelope), at: now)
        case .error(let said):
            guard let report = said.body(as: ErrorReport.self) else { break }
            let refusal = ServiceAnswer.refused(report.reason, retryAfter: report.retryAfter, envelope)
            service.host.answered(id, by: speaker.did, refusal, at: now)
        }
        try commit(service)
    }

    // MARK: Services

    /// The service ends at once and starts again; every connection to it is gone.
    public func restartService(_ index: Int) throws {
        note("service \(index) begins anew")
        let service = services[index]
        try service.restart(at: now)
        for device in devices where device.service === service && device.isOnline { try disconnect(device) }
        try commit(service)
    }

    /// The store of a service keeps nothing for so many seconds.
    func fillService(_ index: Int, for seconds: Int64) {
        note("the store of service \(index) is full")
        services[index].fill(until: now + seconds)
    }

    /// Makes what a service was told durable, and lets out what it says.
    func commit(_ service: SimulatedService) throws {
        for action in service.host.commit(at: now) {
            switch action {
            case .send(let message, let connection): answer(message, service.did, on: connection, of: service)
            case .relay(let envelope, let connection): try relay(envelope, on: connection, of: service)
            case .deposit(let message, let hub, let isAnswered):
                let envelope = try ServiceMessage.profile(message).signed(by: service.key)
                try pass(envelope, message.id, from: service, to: hub.did, isAnswered: isAnswered)
            case .forward(let envelope, let id, let hub, let isAnswered):
                try pass(envelope, id, from: service, to: hub.did, isAnswered: isAnswered)
            case .fetch(let blob):
                let status = blobs[blob.sha256] == nil ? 404 : 200
                let response = BlobResponse(status: status, sha256: blob.sha256, size: blob.size)
                service.host.fetched(blob, response, at: now)
                try commit(service)
            case .read(let blob):
                service.host.read(blob, blobs[blob.sha256], at: now)
                try commit(service)
            case .resolve(let did): lookUp(did, by: service)
            case .close(let connection):
                guard let device = devices.first(where: { $0.service === service && $0.connectionID == connection })
                else { continue }
                try disconnect(device)
            case .revoked(let revocation, _):
                for device in devices where device.key.did == revocation.device {
                    note("\(device.name) is revoked")
                    device.isRevoked = true
                    if device.isOnline { try disconnect(device) }
                }
            case .wake, .deleteBlob, .handoverExpired: break
            }
        }
    }

    private func relay(_ envelope: Envelope, on connection: ConnectionID, of service: SimulatedService) throws {
        guard let payload = try? JSONValue(parsing: envelope.decodedPayload()),
            let speaker = payload["from"]?.string.flatMap({ DID($0) })
        else { return }
        if let said = try? MailboxMessage(payload) {
            answer(.profile(said), speaker, on: connection, of: service)
        } else if let document = try? JSONDocument(scanning: envelope.decodedPayload()),
            let said = try? Message(decoding: document)
        {
            answer(.error(said), speaker, on: connection, of: service)
        }
    }

    private func pass(
        _ envelope: Envelope,
        _ id: ULID,
        from service: SimulatedService,
        to did: DID,
        isAnswered: Bool
    ) throws {
        guard let other = services.first(where: { $0.did == did }) else {
            service.host.answered(id, by: did, .unreachable, at: now)
            return
        }
        network.send(
            .deposit(envelope, id: id, life: service.life),
            from: .service(service.index),
            to: .service(other.index)
        )
        if isAnswered { unanswered[id] = (service.index, now + 10) }
    }

    private func answer(
        _ message: ServiceMessage,
        _ speaker: DID,
        on connection: ConnectionID,
        of service: SimulatedService
    ) {
        if let device = devices.first(where: { $0.service === service && $0.connectionID == connection }) {
            tell(message, speaker, device, device.connection, from: service)
        } else if let visitor = visitors[connection] {
            visitors[connection] = nil
            service.host.unbound(connection)
            tell(message, speaker, devices[visitor.device], visitor.connection, from: service)
        } else if let id = message.inReplyTo, let deposit = deposits.removeValue(forKey: id) {
            network.send(
                .answered(id, message, life: services[deposit.from].life),
                from: .service(service.index),
                to: .service(deposit.from)
            )
        }
    }

    /// Items come in their order, or break their connection.
    private func tell(
        _ message: ServiceMessage,
        _ speaker: DID,
        _ device: Device,
        _ connection: Int,
        from service: SimulatedService
    ) {
        guard message.isItems else {
            return network.send(
                .answer(message, speaker: speaker, connection: connection),
                from: .service(service.index),
                to: .device(device.index)
            )
        }
        let isBroken = Int.random(in: 0..<1000, using: &random) < breaks
        network.send(
            isBroken
                ? .broken(connection: connection) : .answer(message, speaker: speaker, connection: connection),
            from: .service(service.index),
            to: .items(device.index)
        )
    }

    /// Deposits between services that nobody answered in time.
    private func missUnanswered() throws {
        for (id, waiting) in unanswered.sorted(by: { $0.key < $1.key }) where waiting.until <= now {
            unanswered[id] = nil
            deposits[id] = nil
            let service = services[waiting.service]
            service.host.answered(id, by: services[1 - waiting.service].did, .unreachable, at: now)
            try commit(service)
        }
    }
}

extension ServiceMessage {
    /// The message that it answers.
    fileprivate var inReplyTo: ULID? {
        switch self {
        case .profile(let said): if case .accepted(let accepted) = said.body { accepted.inReplyTo } else { nil }
        case .error(let said): said.body(as: ErrorReport.self)?.inReplyTo
        }
    }

    fileprivate var isItems: Bool {
        if case .profile(let said) = self, case .items = said.body { true } else { false }
    }
}
