import DSIPConformance
import DSIPIdentity
import Encoding
import Testing

/// A vector of our own in the published format, played through the same runner as published ones.
///
/// In the texts `@alice` is an identity, `@alice.phone` a device, `@mbx.bob` a mailbox, `$G` a group (`$G0` to `$G9` in the order of
/// their ids) and `%7` the seventh id.
enum Scene {
    struct Step {
        let event: String
        let emit: String
        var state: String?
        /// Where the step stands in the test.
        let location: SourceLocation
    }

    static func step(
        _ event: String,
        _ emit: String,
        _ state: String? = nil,
        location: SourceLocation = #_sourceLocation
    ) -> Step {
        Step(event: event, emit: emit, state: state, location: location)
    }

    /// Plays a trace, and holds every step's emissions, and its state where one is given, against what is expected.
    static func play(_ check: String, _ context: String, _ steps: [Step]) throws {
        let vector: JSONValue = [
            "vector": "own/trace", "format": 1, "kind": "messaging", "context": try json(context),
            "input": [
                "check": .string(check),
                "steps": .array(try steps.map { ["event": try json($0.event)] }),
            ],
            "expect": [
                "steps": .array(try steps.map { ["emit": try json($0.emit), "state": try json($0.state ?? "{}")] })
            ],
        ]
        let result = try #require(ConformanceRunner().run(file: vector.utf8, path: "own"))
        let actual = try #require(result.actual?["steps"]?.array, "\(result.outcome)")
        for (step, played) in zip(steps, actual) {
            let emitted = played["emit"] ?? .null
            #expect(
                try emitted == json(step.emit),
                "emitted \(emitted.text)",
                sourceLocation: step.location
            )
            guard let state = step.state else { continue }
            for (name, value) in try json(state).object?.members ?? [] {
                let found = played["state"]?[name] ?? .null
                #expect(found == value, "\(name) is \(found.text)", sourceLocation: step.location)
            }
        }
    }

    /// Plays a check, and holds its result against what is expected.
    static func check(
        _ check: String,
        _ input: String,
        _ expect: String,
        context: String = "{}",
        location: SourceLocation = #_sourceLocation
    ) throws {
        var members = try #require(try json(input).object)
        members["check"] = .string(check)
        let vector: JSONValue = [
            "vector": "own/check", "format": 1, "kind": "messaging", "context": try json(context),
            "input": .object(members), "expect": try json(expect),
        ]
        let result = try #require(ConformanceRunner().run(file: vector.utf8, path: "own"))
        #expect(
            result.outcome == .passed,
            "\(result.outcome) \(result.actual?.text ?? "")",
            sourceLocation: location
        )
    }

    static func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: fill(text)) }

    private static let names: [(String, String)] = [
        ("@alice.phone", "did:key:z6MkAlicePhone"), ("@alice.laptop", "did:key:z6MkAliceLaptop"),
        ("@bob.phone", "did:key:z6MkBobPhone"), ("@bob.laptop", "did:key:z6MkBobLaptop"),
        ("@bob.tablet", "did:key:z6MkBobTablet"), ("@carol.phone", "did:key:z6MkCarolPhone"),
        ("@mallory.phone", "did:key:z6MkMalloryPhone"), ("@mbx.alice", "did:web:mbx.alice.example"),
        ("@mbx.bob", "did:web:mbx.bob.example"), ("@mbx.carol", "did:web:mbx.carol.example"),
        ("@alice", "did:web:alice.example"), ("@bob", "did:web:bob.example"), ("@carol", "did:web:carol.example"),
        ("@mallory", "did:web:mallory.example"),
    ]

    /// Puts identities, groups and ids for their short names.
    static func fill(_ text: String) -> String {
        var text = text
        for (name, did) in names { text = text.replacing(name, with: did) }
        for number in (0...9).reversed() { text = text.replacing("$G\(number)", with: group(number)) }
        text = text.replacing("$G", with: group(0))
        for number in (1...40).reversed() { text = text.replacing("%\(number)", with: id(number)) }
        return text
    }

    /// Ids made at 1,760,000,000 seconds, ascending.
    static func id(_ number: Int) -> String {
        let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        return "01K742SG00" + String(repeating: "0", count: 14) + String([digits[number / 32], digits[number % 32]])
    }

    static func group(_ number: Int) -> String { Base64URL.encode(Array(id(100 + number).utf8)) }
}
