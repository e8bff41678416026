import DSIPDiscovery
import DSIPIdentity

/// The documents of contacts, looked for before they are needed: soon after the start, and before they run out.
extension Agent {
    func prefetch() {
        guard configuration.mode == .full else { return }
        let own = desks.values.sorted {
            ($0.identity != current ? 1 : 0, $0.identity) < ($1.identity != current ? 1 : 0, $1.identity)
        }
        directory.carry(by: own.map(\.relay))
        // Those that were changed last are those that are used.
        let contacts = own.flatMap { (try? store.contacts(of: $0.identity)) ?? [] }.filter { !$0.blocked }
        let wanted = contacts.sorted { $0.changedAt > $1.changedAt }.map(\.did)
        Task { await directory.contacts.want(wanted) }
    }
}
