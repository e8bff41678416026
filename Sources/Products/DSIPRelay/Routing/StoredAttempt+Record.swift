import DSIPIdentity
import DSIPSession
import NIOConcurrencyHelpers

extension StoredAttempt {
    /// - Returns: nil while the bytes of the invite are on their way from the store.
    init?(_ record: AttemptRecord) {
        guard let invite = (record.invite as? RelayParcel)?.bytes, let until = record.until else { return nil }
        self.init(
            session: record.session,
            initiator: record.initiator,
            initiatorIdentity: record.initiatorIdentity,
            recipient: record.to,
            expiresAt: record.expiresAt,
            wantsDeliveryReport: record.wantsDeliveryReport,
            reports: record.reports,
            legs: record.legs,
            best: record.best.flatMap { best in
                (best.parcel as? RelayParcel)?.bytes.map {
                    Rejected(from: best.from, id: best.id, reason: best.reason, expiresAt: best.expiresAt, envelope: $0)
                }
            },
            until: until,
            invite: invite
        )
    }

    var record: AttemptRecord {
        AttemptRecord(
            session: session,
            initiator: initiator,
            initiatorIdentity: initiatorIdentity,
            to: recipient,
            expiresAt: expiresAt,
            wantsDeliveryReport: wantsDeliveryReport,
            reports: reports,
            legs: legs,
            best: best.map {
                AttemptRecord.Rejected(
                    from: $0.from,
                    id: $0.id,
                    reason: $0.reason,
                    expiresAt: $0.expiresAt,
                    parcel: RelayParcel($0.envelope)
                )
            },
            invite: RelayParcel(invite),
            form: WireForm(of: invite)
        )
    }
}

extension Switchboard {
    /// Attempts written at once; more than these do not outlive a restart.
    static let maximumStoredAttempts = 4096

    /// Writes what has become of attempts since the last time. Once a second, so that one that is over by then costs nothing: what a
    /// relay loses by dying in between, callers send again (DSIP §13.2).
    func writeAttempts() {
        state.withLockedValue { state in
            for change in state.router.takeAttemptChanges() {
                switch change {
                case .live(let record):
                    guard
                        state.storedAttempts.contains(record.session)
                            || state.storedAttempts.count < Switchboard.maximumStoredAttempts,
                        let attempt = StoredAttempt(record)
                    else { continue }
                    state.storedAttempts.insert(record.session)
                    writer.submit(.attempt(attempt)) { [metrics] result in
                        if case .success = result { metrics.attemptsWritten.add() }
                    }
                case .ended(let session):
                    guard state.storedAttempts.remove(session) != nil else { continue }
                    writer.submit(.endAttempt(session))
                }
            }
        }
    }
}
