import DSIPIdentity
import DSIPMessaging
import DSIPSession
import Encoding
import NIOConcurrencyHelpers

/// A store that forgets with the process: for tests, and for a relay embedded where nothing may be written.
final class MemoryStore: RelayStore {
    private struct State {
        var held: [UInt64: (row: HeldEnvelope, bytes: [UInt8])] = [:]
        var heldBytes = 0
        var known: [DID: KnownRecipient] = [:]
        var revocations: [RevocationKey: StoredRevocation] = [:]
        var attempts: [ULID: StoredAttempt] = [:]
        var names: [String: NameRecord] = [:]
        var wakes: [DID: StoredWake] = [:]
        var records: [[UInt8]: StoredRecord] = [:]
        var broadcasts: [ULID: StoredBroadcast] = [:]
        var nextHandle: UInt64 = 1
    }

    private struct RevocationKey: Hashable {
        var subject: DID
        var device: DID
    }

    /// Bytes of held envelopes beyond which the store is full.
    private let capacity: Int
    private let state = NIOLockedValueBox(State())

    init(capacity: Int = 64 << 20) { self.capacity = capacity }

    func restore(at now: Int64) -> StoredState {
        state.withLockedValue { state in
            for (handle, item) in state.held where item.row.deadline <= now {
                state.heldBytes -= item.bytes.count
                state.held[handle] = nil
            }
            state.attempts = state.attempts.filter { $0.value.until > now }
            return StoredState(
                held: state.held.values.map(\.row).sorted { $0.handle < $1.handle },
                known: Array(state.known.values),
                revocations: Array(state.revocations.values),
                attempts: state.attempts.values.sorted { $0.session < $1.session },
                wakes: state.wakes.values.sorted { $0.device < $1.device },
                records: state.records.values.filter { $0.until > now },
                broadcasts: state.broadcasts.values.filter { $0.until > now }.sorted { $0.id < $1.id },
                nextHandle: state.nextHandle,
                names: state.names.count
            )
        }
    }

    func commit(_ changes: [StoreChange]) throws(RelayError) {
        let full = state.withLockedValue { state -> Bool in
            var growth = 0
            for change in changes {
                switch change {
                case .hold(_, let bytes): growth += bytes.count
                case .release(let handle): growth -= state.held[handle]?.bytes.count ?? 0
                case .markMissed, .known, .forget, .revoke, .attempt, .endAttempt, .wake, .dropWake, .record,
                    .dropRecord, .broadcast, .dropBroadcast:
                    break
                }
            }
            if growth > 0, state.heldBytes + growth > capacity { return true }
            for change in changes { MemoryStore.apply(change, to: &state) }
            return false
        }
        if full { throw RelayError(.full, "the store holds \(capacity) bytes and has no room") }
    }

    private static func apply(_ change: StoreChange, to state: inout State) {
        switch change {
        case .hold(let row, let bytes):
            state.heldBytes += bytes.count - (state.held[row.handle]?.bytes.count ?? 0)
            state.held[row.handle] = (row, bytes)
            state.nextHandle = max(state.nextHandle, row.handle + 1)
        case .release(let handle):
            if let gone = state.held.removeValue(forKey: handle) { state.heldBytes -= gone.bytes.count }
        case .markMissed(let handle, let deadline):
            state.held[handle]?.row.isMissed = true
            state.held[handle]?.row.deadline = deadline
        case .known(let entry): state.known[entry.recipient] = entry
        case .forget(let before):
            state.known = state.known.filter { $0.value.until >= before }
            state.records = state.records.filter { $0.value.until >= before }
            state.broadcasts = state.broadcasts.filter { $0.value.until >= before }
        case .record(let record): state.records[record.key] = record
        case .dropRecord(let key): state.records[key] = nil
        case .broadcast(let row):
            if row.replaces { state.broadcasts = state.broadcasts.filter { $0.value.stream != row.stream } }
            state.broadcasts[row.id] = row
        case .dropBroadcast(let stream):
            state.broadcasts = state.broadcasts.filter { $0.value.stream != stream }
        case .revoke(let record):
            let key = RevocationKey(subject: record.subject, device: record.device)
            if let old = state.revocations[key], old.revokedAt >= record.revokedAt { return }
            state.revocations[key] = record
        case .attempt(let attempt): state.attempts[attempt.session] = attempt
        case .endAttempt(let session): state.attempts[session] = nil
        case .wake(let wake): state.wakes[wake.device] = wake.targets.isEmpty ? nil : wake
        case .dropWake(let device, let target):
            state.wakes[device]?.targets.removeAll { $0 == target }
            if state.wakes[device]?.targets.isEmpty ?? false { state.wakes[device] = nil }
        }
    }

    func envelopes(_ handles: [UInt64]) -> [(handle: UInt64, bytes: [UInt8])] {
        state.withLockedValue { state in
            handles.compactMap { handle in state.held[handle].map { (handle: handle, bytes: $0.bytes) } }
        }
    }

    func name(_ name: String) -> NameRecord? { state.withLockedValue { $0.names[name] } }

    func changeName(
        _ name: String,
        _ decide: (_ current: NameRecord?, _ held: (DID) -> Int) throws(RelayError) -> NameRecord?
    ) throws(RelayError) {
        let result = state.withLockedValue { state -> Result<Void, RelayError> in
            do throws(RelayError) {
                let names = state.names
                state.names[name] = try decide(names[name]) { owner in names.values.count { $0.owner == owner } }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    func nameCount() -> Int { state.withLockedValue { $0.names.count } }

    func close() {}
}
