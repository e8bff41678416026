import Encoding
public actor Agent {
    nonisolated let hub = EventHub()
    func pageOpened(_ page: PageID) {}
    func pageClosed(_ page: PageID) {}
    func snapshotEvent(for page: PageID) -> JSONValue { .null }
}
struct Method: Sendable { var concurrent: Bool }
enum MethodTable {
    static let methods: [String: Method] = [:]
    static func call(_ name: String, _ p: Parameters, agent: Agent, page: PageID) async throws(AgentError) -> JSONValue { .null }
}
