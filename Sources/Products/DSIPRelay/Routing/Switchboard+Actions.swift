import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import DSIPTransport
import Encoding
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

extension Switchboard {
    /// Something the relay will sign once the lock is given up, and over which connection.
    struct Utterance {
        enum Content {
            case error(RouterError)
            case report(DeliveryReport)
        }

        var content: Content
        var connection: SignalingConnection
    }

    func say(_ utterances: [Utterance]) {
        for utterance in utterances {
            let bytes: [UInt8]?
            switch utterance.content {
            case .error(let error):
                metrics.refused.add(error.reason.token)
                // Nobody has heard it: it may come again in a form that its recipient reads.
                if error.reason == .sessionUnsupportedWireFormat { replay.withdraw(error.inReplyTo) }
                bytes = voice.error(
                    error.reason,
                    to: error.to,
                    session: error.session,
                    inReplyTo: error.inReplyTo,
                    in: utterance.connection.form
                )
            case .report(let report): bytes = voice.report(report, in: utterance.connection.form)
            }
            if let bytes { utterance.connection.send(bytes) }
        }
    }

    /// Carries out what the router decided; the lock is held.
    func perform(_ actions: [RelayAction], _ state: inout State) -> [Utterance] {
        var utterances: [Utterance] = []
        var index = 0
        while index < actions.count {
            let next = index + 1 < actions.count ? actions[index + 1] : nil
            index += 1
            switch actions[index - 1] {
            case .deliver(let delivery): deliver(delivery, &state)
            case .forward(let forward):
                guard let parcel = forward.parcel as? RelayParcel else { continue }
                put(.envelope(parcel, forward.type), on: forward.to, &state)
            case .queue(let held):
                var report: DeliveryReport?
                if case .report(let following) = next, following.state == .held, following.session == held.id {
                    // "Held" is said when it is true: after the commit.
                    report = following
                    index += 1
                }
                hold(held, report: report, &state, &utterances)
            case .dequeue(let held, let reason):
                if case .queue(let missed) = next, missed.isMissed, missed.parcel === held.parcel {
                    markMissed(missed)
                    index += 1
                } else {
                    if reason == .expired { metrics.expired.add() }
                    release(held.parcel, &state)
                }
            case .error(let error): utter(.error(error), to: error.to, state, &utterances)
            case .report(let report): utter(.report(report), to: report.to, state, &utterances)
            case .missed(let device, let held):
                guard let parcel = held.parcel as? RelayParcel else { continue }
                metrics.flushed.add()
                put(.missed(parcel), on: device, &state)
            case .drop(let drop):
                if drop == .introductionNotCarried { metrics.introductionsDropped.add() }
            }
        }
        metrics.heldEnvelopes.set(state.router.heldCount)
        return utterances
    }

    private func utter(_ content: Utterance.Content, to device: DID, _ state: State, _ utterances: inout [Utterance]) {
        guard let line = state.lines[device] else { return }
        utterances.append(Utterance(content: content, connection: line.connection))
    }

    // MARK: Delivery

    private func deliver(_ delivery: Delivery, _ state: inout State) {
        guard let parcel = delivery.parcel as? RelayParcel else { return }
        if delivery.cause == .flush { metrics.flushed.add() }
        put(.envelope(parcel, delivery.type), on: delivery.device, &state)
    }

    /// Sends at once, or puts in line behind what is being read from the store.
    private func put(_ item: Line.Item, on device: DID, _ state: inout State) {
        guard var line = state.lines[device] else { return giveBack([item], &state) }
        if line.waiting == nil, case .envelope(let parcel, let type) = item, let bytes = parcel.bytes {
            return send(bytes, parcel, type, to: device, over: line.connection, &state)
        }
        line.waitingBytes += item.parcel.bytes?.count ?? 0
        guard line.waitingBytes <= Line.maximumWaitingBytes else { return line.connection.close(.policyViolation) }
        let isFirst = line.waiting == nil
        line.waiting = (line.waiting ?? []) + CollectionOfOne(item)
        state.lines[device] = line
        if isFirst { fetch(for: device, line.connection) }
    }

    private func send(
        _ bytes: [UInt8],
        _ parcel: RelayParcel,
        _ type: MessageType,
        to device: DID,
        over connection: SignalingConnection,
        _ state: inout State
    ) {
        guard connection.send(bytes) else {
            hangUp(device, connection, at: clock(), &state)
            return giveBack([.envelope(parcel, type)], &state)
        }
        parcel.markDelivered()
        metrics.delivered.add(type.rawValue)
        guard parcel.row != nil else { return }
        // The row goes after the bytes, so that a process or a connection that dies between the two delivers again rather than never.
        connection.whenTaken { [self] taken in
            self.state.withLockedValue { state in
                if taken { release(parcel, &state) } else { takeBack(parcel, type, from: device, connection, &state) }
            }
        }
    }

    /// The connection ended before it took a held envelope: that waits on.
    private func takeBack(
        _ parcel: RelayParcel,
        _ type: MessageType,
        from device: DID,
        _ connection: SignalingConnection,
        _ state: inout State
    ) {
        guard let row = parcel.row else { return }
        let item: Line.Item = row.isMissed ? .missed(parcel) : .envelope(parcel, type)
        if var line = state.lines[device], line.connection === connection {
            // About to be hung up; then it goes back together with what waits behind it, in order of arrival.
            line.waiting = (line.waiting ?? []) + CollectionOfOne(item)
            state.lines[device] = line
        } else {
            put(item, on: device, &state)
        }
    }

    /// Reads what waits for `device`, a batch at a time, and sends it in order; the next batch when the socket has taken the last, so
    /// that a backlog of any size never exceeds what may be outstanding.
    private func fetch(for device: DID, _ connection: SignalingConnection) {
        readers.submit { [self] threadState in
            guard case .active = threadState else { return }
            if let batch = nextBatch(device, connection) {
                let handles = batch.compactMap { $0.parcel.bytes == nil ? $0.parcel.row?.handle : nil }
                let stored = (try? store.envelopes(handles)) ?? []
                let bytes = Dictionary(stored.map { ($0.handle, $0.bytes) }, uniquingKeysWith: { $1 })
                hand(
                    batch.map { ($0, $0.parcel.bytes ?? $0.parcel.row.flatMap { bytes[$0.handle] }) },
                    to: device,
                    connection
                )
                connection.whenTaken { [self] taken in if taken { fetch(for: device, connection) } }
            }
        }
    }

    private static let batch = 32
    private static let batchBytes = 256 << 10

    /// - Returns: nil when nothing waits any more, or the line is another's by now.
    private func nextBatch(_ device: DID, _ connection: SignalingConnection) -> [Line.Item]? {
        state.withLockedValue { state in
            guard var line = state.lines[device], line.connection === connection, let waiting = line.waiting else {
                return nil
            }
            guard !waiting.isEmpty else {
                line.waiting = nil
                line.waitingBytes = 0
                state.lines[device] = line
                return nil
            }
            var bytes = 0
            return Array(
                waiting.prefix(Switchboard.batch).prefix { item in
                    defer { bytes += item.parcel.row?.size ?? item.parcel.bytes?.count ?? 0 }
                    return bytes < Switchboard.batchBytes
                }
            )
        }
    }

    private func hand(_ batch: [(item: Line.Item, bytes: [UInt8]?)], to device: DID, _ connection: SignalingConnection)
    {
        // Signed outside the lock.
        let ready = batch.map { item, bytes -> (item: Line.Item, bytes: [UInt8]?) in
            guard case .missed(let parcel) = item else { return (item, bytes) }
            let evidence = bytes.flatMap { Envelope($0) }
            let notice = evidence.flatMap { envelope in
                parcel.row.flatMap { voice.missed($0.id, to: device, evidence: envelope) }
            }
            return (item, notice)
        }
        state.withLockedValue { state in
            // Hung up meanwhile: what waited was given back then.
            guard let line = state.lines[device], line.connection === connection, line.waiting != nil else { return }
            state.lines[device]?.waiting?.removeFirst(min(batch.count, line.waiting?.count ?? 0))
            for (item, bytes) in ready {
                state.lines[device]?.waitingBytes -= item.parcel.bytes?.count ?? 0
                // A row that is gone or cannot be read is nothing to deliver.
                guard let bytes else {
                    release(item.parcel, &state)
                    continue
                }
                if case .envelope(let parcel, .invite) = item { parcel.keep(bytes) }
                switch item {
                case .envelope(let parcel, let type): send(bytes, parcel, type, to: device, over: connection, &state)
                case .missed(let parcel): send(bytes, parcel, .notify, to: device, over: connection, &state)
                }
            }
        }
    }

    /// What could not be handed over and is still in the store waits for the next binding. An invite does not: if its attempt lives,
    /// the router offers it to the device again, and a cancelled one must not come back.
    func giveBack(_ items: [Line.Item], _ state: inout State) {
        let rows = items.compactMap { item in item.parcel.row.map { (item: item, row: $0) } }
        for (item, row) in rows.sorted(by: { $0.row.handle < $1.row.handle }) {
            if row.type == .invite, !row.isMissed {
                release(item.parcel, &state)
            } else {
                state.router.restore(held: CollectionOfOne(row.held(item.parcel)), known: EmptyCollection())
            }
        }
        metrics.heldEnvelopes.set(state.router.heldCount)
    }

    // MARK: Holding

    private func hold(_ held: Held, report: DeliveryReport?, _ state: inout State, _ utterances: inout [Utterance]) {
        guard let parcel = held.parcel as? RelayParcel, let bytes = parcel.bytes else { return }
        let row = HeldEnvelope(held, handle: state.nextHandle, size: bytes.count)
        state.nextHandle += 1
        parcel.hold(as: row)
        state.heldBytes += row.size
        metrics.heldBytes.set(state.heldBytes)
        let accepted = writer.submit(.hold(row, bytes)) { [weak self] result in
            self?.written(parcel, row, report, result)
        }
        if !accepted { take(back: parcel, row, &state, &utterances) }
    }

    /// The store has it, or has not.
    private func written(
        _ parcel: RelayParcel,
        _ row: HeldEnvelope,
        _ report: DeliveryReport?,
        _ result: Result<Void, RelayError>
    ) {
        let utterances = state.withLockedValue { state -> [Utterance] in
            var utterances: [Utterance] = []
            switch result {
            case .success:
                state.storeWorks = true
                metrics.held.add()
                if row.type != .invite { wakes?.stored(row.id, for: row.recipient, .message) }
                parcel.settle()
                if let report { utter(.report(report), to: report.to, state, &utterances) }
            case .failure:
                state.storeWorks = false
                take(back: parcel, row, &state, &utterances)
            }
            return utterances
        }
        if case .failure(let error) = result {
            logger.error(
                "An envelope could not be stored and was refused",
                metadata: ["error": "\(error.code.rawValue)"]
            )
        }
        say(utterances)
    }

    /// Refuses an envelope that the store did not take, unless it was delivered meanwhile. An introduction goes in silence (DSIP §13.3).
    private func take(
        back parcel: RelayParcel,
        _ row: HeldEnvelope,
        _ state: inout State,
        _ utterances: inout [Utterance]
    ) {
        // Delivered from memory meanwhile: then nothing is lost.
        guard parcel.takeRow() != nil else { return }
        state.heldBytes -= row.size
        metrics.heldBytes.set(state.heldBytes)
        guard state.router.withdraw(parcel, for: row.recipient) else { return }
        metrics.heldEnvelopes.set(state.router.heldCount)
        if row.type == .introduction { return metrics.introductionsDropped.add() }
        guard row.type != .error else { return }
        let error = RouterError(to: row.from, reason: .transportRoutingRefused, inReplyTo: row.id)
        utter(.error(error), to: row.from, state, &utterances)
    }

    private func markMissed(_ missed: Held) {
        guard let parcel = missed.parcel as? RelayParcel, var row = parcel.row else { return }
        row.isMissed = true
        row.deadline = missed.deadline
        parcel.hold(as: row)
        writer.submit(.markMissed(row.handle, deadline: row.deadline))
    }

    private func release(_ parcel: any Parcel, _ state: inout State) {
        guard let parcel = parcel as? RelayParcel, let row = parcel.takeRow() else { return }
        state.heldBytes -= row.size
        metrics.heldBytes.set(state.heldBytes)
        writer.submit(.release(row.handle))
    }
}
