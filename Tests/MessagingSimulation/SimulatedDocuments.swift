import DSIPIdentity
import Synchronization

/// Documents on a web that is down at times: who asks knows nothing, then finds one, or fails and asks again later.
final class SimulatedDocuments: Sendable {
    private struct State {
        var all: [DID: DIDDocument] = [:]
        /// By service: what it has found.
        var found: [Int: Set<DID>] = [:]
        /// Not to be had at present.
        var down: Set<DID> = []
    }

    private let state = Mutex(State())

    func put(_ document: DIDDocument) { state.withLock { $0.all[document.id] = document } }

    /// Takes documents off the web, or puts them back.
    func setDown(_ down: Set<DID>) { state.withLock { $0.down = down } }

    /// What the web says just now.
    func document(of did: DID) -> DIDDocument? { state.withLock { $0.down.contains(did) ? nil : $0.all[did] } }

    var names: [DID] { state.withLock { $0.all.keys.sorted() } }

    // MARK: Services

    /// A service's cache, without asking the web.
    func lookup(_ did: DID, by service: Int) -> DocumentLookup {
        state.withLock { state in
            guard let document = state.all[did] else { return .unresolvable }
            if state.found[service]?.contains(did) == true { return .found(document) }
            return state.down.contains(did) && state.found[service] != nil ? .unresolvable : .unknown
        }
    }

    /// A service asks the web; what is down stays unknown to it.
    func resolve(_ did: DID, by service: Int) {
        state.withLock { state in
            if !state.down.contains(did), state.all[did] != nil {
                state.found[service, default: []].insert(did)
            } else {
                state.found[service] = state.found[service] ?? []
            }
        }
    }

    /// A service has forgotten what it found.
    func forget(by service: Int) { state.withLock { $0.found[service] = nil } }
}
