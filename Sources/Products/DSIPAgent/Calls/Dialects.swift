import DSIPIdentity

/// Which form somebody was last heard to speak, where that is not DSIP-JOSE; only a hint, which a refusal corrects. Bounded: the one noted
/// first goes first.
struct Dialects {
    static let maximumCount = 1024

    private var forms: [DID: WireForm] = [:]
    private var order: [DID] = []

    func form(spokenBy did: DID) -> WireForm { forms[did] ?? .jose }

    mutating func note(_ form: WireForm, spokenBy did: DID) {
        if form == .jose {
            if forms.removeValue(forKey: did) != nil { order.removeAll { $0 == did } }
            return
        }
        guard forms.updateValue(form, forKey: did) == nil else { return }
        order.append(did)
        if order.count > Dialects.maximumCount { forms[order.removeFirst()] = nil }
    }
}
