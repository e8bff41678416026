import Encoding

/// A machine driven by the events of a trace; it keeps the trace's clock.
protocol TraceMachine {
    /// - Returns: emissions, in order.
    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue]
    var state: JSONObject { get }
    /// Members that came into the state with later editions of the suite, with what they are when nothing happened: an older vector
    /// does not name them.
    static var laterMembers: JSONObject { get }
}

extension TraceMachine {
    static var laterMembers: JSONObject { [:] }
}

/// Traces of kind `messaging`: events in `input.steps[i].event`, what they lead to in `expect.steps[i]`.
enum MessagingTrace {
    static func run<Machine: TraceMachine>(
        _ vector: JSONValue,
        _ make: (_ context: JSONValue) throws -> Machine
    ) throws -> JSONValue {
        guard let steps = vector["input"]?["steps"]?.array else { throw VectorFault("no steps") }
        let expected = vector["expect"]?["steps"]
        var machine = try make(vector["context"] ?? [:])
        var results: [JSONValue] = []
        for (index, step) in steps.enumerated() {
            guard let event = step["event"]?.object?.members.first else {
                throw VectorFault("no event in step \(index)")
            }
            let emitted = try machine.handle(event.name, event.value)
            var state = machine.state
            for (name, value) in Machine.laterMembers.members
            where expected?[index]?["state"]?[name] == nil && state[name] == value {
                state[name] = nil
            }
            results.append(["emit": .array(emitted), "state": .object(state)])
        }
        return ["steps": .array(results)]
    }
}
