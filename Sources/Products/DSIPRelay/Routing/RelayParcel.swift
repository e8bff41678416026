import DSIPIdentity
import DSIPSession
import Synchronization

/// An envelope on its way through the relay: its bytes, while they are in memory, and its row, once it is held.
final class RelayParcel: Parcel {
    private struct State {
        var bytes: [UInt8]?
        var row: HeldEnvelope?
        var isDelivered = false
    }

    private let state: Mutex<State>

    /// An envelope that has just arrived.
    init(_ bytes: [UInt8]) { self.state = Mutex(State(bytes: bytes)) }

    /// An envelope that the store has.
    init(stored row: HeldEnvelope) { self.state = Mutex(State(row: row)) }

    /// Nil once the store has them.
    var bytes: [UInt8]? { state.withLock(\.bytes) }
    /// Nil unless the envelope is held, or was.
    var row: HeldEnvelope? { state.withLock(\.row) }

    /// Some device has been handed the envelope.
    var isDelivered: Bool { state.withLock(\.isDelivered) }

    func markDelivered() { state.withLock { $0.isDelivered = true } }
    func hold(as row: HeldEnvelope) { state.withLock { $0.row = row } }
    /// The envelope is held no longer. - Returns: the row that can go; nil when it has gone already.
    func takeRow() -> HeldEnvelope? {
        state.withLock { state in
            defer { state.row = nil }
            return state.row
        }
    }

    /// Of the same envelope, with a row of its own.
    func copy() -> any Parcel { bytes.map { RelayParcel($0) } ?? self }

    /// Read back from the store: an attempt may still have to deliver them when the row is gone.
    func keep(_ bytes: [UInt8]) { state.withLock { $0.bytes = bytes } }

    /// The store has the bytes; memory can do without.
    func settle() { state.withLock { $0.bytes = nil } }
}

extension HeldEnvelope {
    init(_ held: Held, handle: UInt64, size: Int) {
        self.init(
            handle: handle,
            recipient: held.to,
            type: held.type,
            id: held.id,
            from: held.from,
            identity: held.identity,
            deadline: held.deadline,
            expiresAt: held.expiresAt,
            wantsDeliveryReport: held.wantsDeliveryReport,
            isMissed: held.isMissed,
            size: size,
            form: held.form
        )
    }

    /// The row as the router takes it back.
    func held(_ parcel: RelayParcel) -> Held {
        Held(
            to: recipient,
            type: type,
            id: id,
            from: from,
            identity: identity,
            deadline: deadline,
            expiresAt: expiresAt,
            wantsDeliveryReport: wantsDeliveryReport,
            isMissed: isMissed,
            form: form,
            parcel: parcel
        )
    }
}
