import Encoding

/// The members that a schema leaves open, kept as they were scanned until somebody asks: a relay never does.
struct OpenMembers: Hashable, Sendable {
    private enum Storage: Sendable {
        case object(JSONObject)
        case scanned(JSONView, except: [StaticString])
    }

    private var storage: Storage

    init(_ object: JSONObject) { self.storage = .object(object) }

    /// The members of `view` but `names`.
    init(of view: JSONView, except names: [StaticString]) { self.storage = .scanned(view, except: names) }

    var object: JSONObject {
        switch storage {
        case .object(let object): return object
        case .scanned(let view, let names):
            var rest: [(name: String, value: JSONValue)] = []
            for (name, value) in view.memberViews where !names.contains(where: { name.equals($0) }) {
                rest.append((name: name.string ?? "", value: value.value))
            }
            return JSONObject(members: rest)
        }
    }

    static func == (a: OpenMembers, b: OpenMembers) -> Bool { a.object == b.object }
    func hash(into hasher: inout Hasher) { hasher.combine(object) }
}
