import Encoding

/// An Identity object of the agent's API (docs/agent-api.md), for people.
struct IdentityView {
    let json: JSONValue

    private func text(_ name: String) -> String? { json[name]?.string }

    var did: String { text("did") ?? "" }
    var name: String { text("name") ?? "" }
    var isCurrent: Bool { json["current"]?.bool ?? false }

    var details: String {
        var rows = [["Name", name], ["Address", did]]
        if let alias = text("alias") { rows.append(["Alias", alias]) }
        rows.append(["Relay", text("relay") ?? "none"])
        rows.append(["Link", text("uri") ?? ""])
        if let next = text("moved_to") { rows.append(["Moved to", next]) }
        if text("throwaway_for") != nil { rows.append(["Use", "thrown away later; made for one contact"]) }
        rows.append([
            "Phrase",
            json["phrase_confirmed"]?.bool == true ? "written down" : "not confirmed: dsip id phrase --confirm",
        ])
        return Console.table(rows)
    }

    /// A line of `dsip id list`.
    var row: [String] {
        [isCurrent ? "*" : " ", name, text("alias") ?? (text("throwaway_for") == nil ? "" : "throw-away"), did]
    }
}

extension AgentDoor {
    func identities() async throws -> [IdentityView] {
        (try await call("state.get")["identities"]?.array ?? []).map(IdentityView.init)
    }

    /// The identity with this DID, or the only one with this name; nil finds the current one.
    func identity(_ wanted: String?) async throws -> IdentityView {
        let all = try await identities()
        guard let wanted else {
            guard let current = all.first(where: \.isCurrent) else {
                throw CommandFailure(.notFound, "There is no identity here yet. Make one with dsip id create NAME.")
            }
            return current
        }
        if let exact = all.first(where: { $0.did == wanted }) { return exact }
        let named = all.filter { $0.name.lowercased() == wanted.lowercased() }
        guard let only = named.first else {
            throw CommandFailure(.notFound, "None of your identities is called “\(wanted)”; dsip id list shows them.")
        }
        guard named.count == 1 else {
            throw CommandFailure(
                .usage,
                "Several of your identities are called “\(wanted)”. Give the did:… of the one you mean."
            )
        }
        return only
    }
}
