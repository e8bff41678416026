import DSIPMedia
import Encoding
import WebRTC

/// Vectors of kind `media-binding`: the WebRTC Media Binding 1.0 over decoded payloads and event traces.
enum MediaBindingArea {
    /// What this implementation makes of a vector, in the shape of its `expect`.
    ///
    /// Throws `UnreadableVector` when the vector asks for something the format does not define.
    static func run(_ vector: JSONValue) throws -> JSONValue {
        guard let input = vector["input"], let check = input["check"]?.string else {
            throw UnreadableVector(detail: "input.check")
        }
        switch check {
        case "offer":
            return verdict { () throws(MediaBindingError) in
                try CheckedOffer(checking: MediaPayload(json: input["payload"] ?? [:])) != nil
            }
        case "answer":
            return verdict { () throws(MediaBindingError) in
                guard let offer = try CheckedOffer(checking: MediaPayload(json: input["offer"] ?? [:])) else {
                    return false
                }
                return try CheckedAnswer(checking: MediaPayload(json: input["payload"] ?? [:]), to: offer) != nil
            }
        case "role": return role(input)
        case "one-answer": return try oneAnswer(input)
        case "candidates": return try candidates(vector, input)
        case "renegotiation": return try renegotiation(vector, input)
        default: throw UnreadableVector(detail: "check \(check)")
        }
    }

    struct UnreadableVector: Error {
        let detail: String
    }

    private static func verdict(_ selectsBinding: () throws(MediaBindingError) -> Bool) -> JSONValue {
        do throws(MediaBindingError) {
            return try selectsBinding() ? ["verdict": "accept"] : ["verdict": "accept", "binding": "not-webrtc"]
        } catch {
            return rejection(error)
        }
    }

    private static func rejection(_ error: MediaBindingError) -> JSONValue {
        ["verdict": "reject", "code": .string(error.code.rawValue), "reason": .string(error.reason)]
    }

    private static func role(_ input: JSONValue) -> JSONValue {
        func setup(_ name: String) -> SetupRole? { input[name]?.string.flatMap(SetupRole.init(rawValue:)) }
        do throws(MediaBindingError) {
            let roles = try DTLSRoles(offer: setup("offer_setup"), answer: setup("answer_setup"))
            return [
                "verdict": "accept", "offerer": .string(roles.offerer.rawValue),
                "answerer": .string(roles.answerer.rawValue),
            ]
        } catch {
            return rejection(error)
        }
    }

    private static func oneAnswer(_ input: JSONValue) throws -> JSONValue {
        guard let answers = input["answers"]?.array,
            let offer = try CheckedOffer(checking: MediaPayload(json: input["offer"] ?? [:]))
        else { throw UnreadableVector(detail: "offer and answers") }
        var selection = AnswerSelection(offer: offer)
        var legs: [JSONValue] = []
        for answer in answers {
            let from = answer["from"]?.string ?? ""
            var leg: JSONObject = ["from": .string(from)]
            switch selection.receivedAnswer(try MediaPayload(json: answer), from: from) {
            case .apply: leg["applied"] = true
            case .release(let reason, let error):
                leg["bye"] = .string(reason)
                if let error { leg["code"] = .string(error.code.rawValue) }
            case .ignore: leg["ignored"] = true
            }
            legs.append(.object(leg))
        }
        return ["applied": selection.party.map(JSONValue.string) ?? nil, "legs": .array(legs)]
    }

    private static func candidates(_ vector: JSONValue, _ input: JSONValue) throws -> JSONValue {
        var exchange = CandidateExchange(peer: vector["context"]?["peer"]?.string ?? "")
        return try steps(input) { name, value in
            let actions: [CandidateExchange.Action]
            switch name {
            case "local_candidate":
                guard let candidate = SignaledCandidate(json: value) else { throw UnreadableVector(detail: name) }
                actions = exchange.gathered([candidate])
            case "gathering_complete": actions = exchange.completedGathering()
            case "active": actions = exchange.becameActive()
            case "remote_description": actions = exchange.appliedRemoteDescription()
            case "remote_info":
                guard let list = value["candidates"], let end = value["end_of_candidates"],
                    let from = value["from"]?.string,
                    let info = CandidateInfo(json: ["candidates": list, "end_of_candidates": end])
                else { throw UnreadableVector(detail: name) }
                actions = exchange.receivedInfo(info, from: from)
            case "session_end": actions = exchange.end()
            default: throw UnreadableVector(detail: name)
            }
            return actions.map(emission)
        }
    }

    private static func emission(_ action: CandidateExchange.Action) -> JSONValue {
        switch action {
        case .buffered(let direction, let count): ["buffer": .string(direction.rawValue), "n": .int(Int64(count))]
        case .send(let info):
            [
                "send_info": [
                    "candidates": .int(Int64(info.candidates.count)), "end_of_candidates": .bool(info.endOfCandidates),
                ]
            ]
        case .apply(let candidates): ["apply": .int(Int64(candidates.count))]
        case .remoteEnd: ["remote_end": true]
        case .ignored(let why): ["ignore": .string(why.rawValue)]
        case .dropped(let count): ["drop_buffered": .int(Int64(count))]
        case .rateLimited: ["error": "policy.rate-limited"]
        case .flooded: ["bye": "media.failed"]
        }
    }

    private static func renegotiation(_ vector: JSONValue, _ input: JSONValue) throws -> JSONValue {
        func credentials(_ json: JSONValue?) throws -> SectionCredentials {
            guard let fragment = json?["ufrag"]?.string else { throw UnreadableVector(detail: "ufrag") }
            return SectionCredentials([ICECredentials(usernameFragment: fragment, password: "")])
        }
        let current = try credentials(vector["context"])
        var machine = Renegotiation(local: current, remote: current)
        return try steps(input) { name, value in
            let actions: [Renegotiation.Action]
            switch name {
            case "local_reoffer": actions = machine.reoffer(try credentials(value))
            case "remote_answer": actions = machine.receivedAnswer(current)
            case "remote_reject": actions = machine.receivedReject()
            case "remote_reoffer": actions = machine.receivedReoffer(try credentials(value))
            case "answer_update": actions = machine.answerUpdate()
            default: throw UnreadableVector(detail: name)
            }
            return actions.map(emission)
        }
    }

    private static func emission(_ action: Renegotiation.Action) -> JSONValue {
        switch action {
        case .keepPendingOffer: ["local_description": "pending"]
        case .holdCandidates: ["local_candidates": "held"]
        case .applyAnswer: ["apply": "answer"]
        case .offerBecameCurrent: ["local_description": "current"]
        case .rollBack: ["rollback": true]
        case .showUpdate: ["ui": "update_offered"]
        case .applyOfferAndAnswer: ["apply": "remote-offer+answer"]
        case .reject(let reason, let detail): ["reject": ["reason": .string(reason), "detail": .string(detail)]]
        case .refuse(let code, let detail): ["error": .string(code.rawValue), "detail": .string(detail)]
        case .fail: ["bye": "media.failed"]
        }
    }

    /// Runs a trace: each step's event is one member, its name and its argument.
    private static func steps(
        _ input: JSONValue,
        _ run: (_ name: String, _ value: JSONValue) throws -> [JSONValue]
    ) throws -> JSONValue {
        guard let steps = input["steps"]?.array else { throw UnreadableVector(detail: "steps") }
        let results: [JSONValue] = try steps.map { step in
            guard let event = step["event"]?.object?.members.first else { throw UnreadableVector(detail: "event") }
            return ["emit": .array(try run(event.name, event.value))]
        }
        return ["steps": .array(results)]
    }
}
