import DSIPDiscovery
import DSIPIdentity
import DSIPMedia
import Encoding

/// One method of the local API.
struct Method: Sendable {
    /// Waits for the network or derives a key, so that other requests of the page need not wait behind it.
    let concurrent: Bool
    let run: @Sendable (Agent, Parameters, PageID) async throws(AgentError) -> JSONValue
}

/// The methods of docs/agent-api.md, the same over WebSocket and `POST /api/v1/<method>`.
enum MethodTable {
    static func call(
        _ name: String,
        _ parameters: Parameters,
        agent: Agent,
        page: PageID
    ) async throws(AgentError) -> JSONValue {
        guard let method = methods[name] else { throw AgentError(.notFound, "There is no method “\(name)”.") }
        return try await method.run(agent, parameters, page)
    }

    static let methods: [String: Method] = [
        people, identities, devices, calls, callMedia, conversations, messages, push, broadcasts,
    ].reduce(into: [:]) { all, part in all.merge(part) { first, _ in first } }

    typealias Run = @Sendable (Agent, Parameters, PageID) async throws(AgentError) -> JSONValue

    static func method(_ run: @escaping Run) -> Method { Method(concurrent: false, run: run) }
    static func slow(_ run: @escaping Run) -> Method { Method(concurrent: true, run: run) }

    private static let maximumSDP = 64 << 10

    private static let people: [String: Method] = [
        "state.get": method { agent, _, page throws(AgentError) in try await agent.state(for: page) },
        "settings.update": method { agent, p, _ throws(AgentError) in
            let chosen = try p.optionalString("visibility").map { (text) throws(AgentError) in
                guard let visibility = Visibility(rawValue: text) else {
                    throw AgentError(.badRequest, "Visibility is nobody, relay, contacts or everybody.")
                }
                return visibility
            }
            return try await agent.update(visibility: chosen, region: p.optionalString("region", limit: 5))
        },
        "network.near": slow { agent, p, _ throws(AgentError) in
            ["relays": .array(try await agent.relays(near: p.string("region", limit: 5)).map(\.json))]
        },
        "network.get": slow { agent, p, _ throws(AgentError) in
            await agent.network(examining: try p.optionalBool("examine") ?? false)
        },
        "peer.lookup": slow { agent, p, _ throws(AgentError) in
            try await agent.lookup(p.text("input", limit: 2048)).json
        },
        "peer.presence": slow { agent, p, _ throws(AgentError) in
            guard let did = DID(try p.string("did", limit: DID.maximumLength)) else {
                throw AgentError(.badRequest, "This is no identity.")
            }
            return ["presence": try await agent.presence(of: did)?.json ?? .null]
        },
        "presence.look": slow { agent, p, _ throws(AgentError) in
            var people: [DID] = []
            for text in try p.strings("dids", count: 0...Agent.maximumLooked) {
                guard let did = DID(text) else { throw AgentError(.badRequest, "“\(text)” is no identity.") }
                people.append(did)
            }
            let known: [JSONValue] = try await agent.look(at: people).map { did, isHere in
                ["did": .string(did.string), "here": isHere.map { .bool($0) } ?? .null]
            }
            return ["people": .array(known)]
        },
        "contacts.add": slow { agent, p, _ throws(AgentError) in
            let contact = try await agent.addContact(
                p.text("input", limit: 2048),
                name: p.text("name"),
                allowed: p.optionalBool("allowed") ?? true
            )
            return contact.json
        },
        "contacts.update": method { agent, p, _ throws(AgentError) in
            let contact = try await agent.updateContact(
                p.string("id"),
                name: p.optionalString("name", limit: 200),
                allowed: p.optionalBool("allowed"),
                blocked: p.optionalBool("blocked")
            )
            return contact.json
        },
        "contacts.remove": method { agent, p, _ throws(AgentError) in
            try await agent.removeContact(p.string("id"))
            return [:]
        },
        "contacts.accept_key": method { agent, p, _ throws(AgentError) in
            try await agent.acceptKey(of: p.string("id")).json
        },
        "contacts.accept_move": slow { agent, p, _ throws(AgentError) in
            try await agent.acceptMove(of: p.string("id")).json
        },
        "contacts.ignore_move": method { agent, p, _ throws(AgentError) in
            try await agent.ignoreMove(of: p.string("id"))
            return [:]
        },
        "requests.send": slow { agent, p, _ throws(AgentError) in
            try await agent.sendRequest(
                to: p.text("to", limit: 2048),
                purpose: p.text("purpose", limit: 1120),
                token: p.optionalString("token", limit: 256)
            )
        },
        "requests.accept": slow { agent, p, _ throws(AgentError) in
            try await agent.acceptRequest(p.string("id"), name: p.optionalString("name", limit: 200))
        },
        "requests.decline": method { agent, p, _ throws(AgentError) in
            try await agent.declineRequest(p.string("id"))
        },
        "log.seen": method { agent, _, _ throws(AgentError) in
            try await agent.markLogSeen()
            return [:]
        },
        "log.clear": method { agent, _, _ throws(AgentError) in
            try await agent.clearLog()
            return [:]
        },
    ]

    private static let identities: [String: Method] = [
        "identity.qr": method { agent, p, _ throws(AgentError) in
            let (uri, svg) = try await agent.qr(of: p.optionalString("did"))
            return ["uri": .string(uri), "svg": .string(svg)]
        },
        "identity.create": slow { agent, p, _ throws(AgentError) in
            if let user = try p.optionalString("hosted_as", limit: 64) {
                return try await agent.createIdentity(
                    name: p.text("name"),
                    passphrase: p.optionalString("passphrase"),
                    hostedAs: user
                ).json
            }
            return try await agent.createIdentity(
                name: p.text("name"),
                passphrase: p.optionalString("passphrase"),
                throwawayFor: p.optionalString("throwaway_for")
            ).json
        },
        "identity.rotate": slow { agent, p, _ throws(AgentError) in
            try await agent.rotateKey(
                of: p.optionalString("did"),
                reason: p.optionalString("reason") ?? "scheduled",
                passphrase: p.optionalString("passphrase")
            ).json
        },
        "identity.move": method { agent, p, _ throws(AgentError) in
            try await agent.moveIdentity(p.optionalString("did"), to: p.string("to")).json
        },
        "identity.move.withdraw": method { agent, p, _ throws(AgentError) in
            try await agent.withdrawMove(of: p.optionalString("did")).json
        },
        "identity.select": method { agent, p, page throws(AgentError) in
            try await agent.selectIdentity(p.string("did"))
            return try await agent.state(for: page)
        },
        "identity.rename": method { agent, p, _ throws(AgentError) in
            try await agent.renameIdentity(p.string("did"), name: p.text("name")).json
        },
        "identity.phrase": slow { agent, p, _ throws(AgentError) in
            let words = try await agent.recoveryPhrase(passphrase: p.optionalString("passphrase"))
            return ["words": .array(words.map { .string($0) })]
        },
        "identity.phrase.confirm": method { agent, p, _ throws(AgentError) in
            guard let given = p.value("words")?.object, (1...24).contains(given.count) else {
                throw AgentError(.badRequest, "“words” must name some of the 24 words by their place.")
            }
            var words: [Int: String] = [:]
            for (place, word) in given.members {
                guard let index = Int(place), let word = word.string else {
                    throw AgentError(.badRequest, "“words” must name some of the 24 words by their place.")
                }
                words[index] = word
            }
            try await agent.confirmPhrase(words)
            return [:]
        },
        "identity.restore": slow { agent, p, _ throws(AgentError) in
            try await agent.restoreIdentity(words: p.strings("words", count: 24...24), name: p.text("name")).json
        },
        "identity.export": slow { agent, p, _ throws(AgentError) in
            let (backup, filename) = try await agent.exportBackup(passphrase: p.text("passphrase"))
            return ["backup": .string(backup), "filename": .string(filename)]
        },
        "identity.import": slow { agent, p, _ throws(AgentError) in
            try await agent.importBackup(p.string("backup", limit: 200 << 10), passphrase: p.text("passphrase")).json
        },
        "identity.register": slow { agent, p, _ throws(AgentError) in
            ["alias": .string(try await agent.registerName(p.text("name", limit: 64)))]
        },
    ]

    private static let devices: [String: Method] = [
        "devices.list": method { agent, _, _ throws(AgentError) in
            ["devices": .array(try await agent.devices().map(\.json))]
        },
        "devices.pair.begin": slow { agent, _, _ throws(AgentError) in try await agent.beginPairing().json },
        "devices.pair.inspect": method { agent, p, _ throws(AgentError) in
            try await agent.inspectPairing(p.text("code", limit: 4096))
        },
        "devices.pair.approve": slow { agent, p, _ throws(AgentError) in
            let (device, answer) = try await agent.approve(p.text("code", limit: 4096), name: p.text("name"))
            guard case .object(var json) = device.json else { return device.json }
            json["answer"] = .string(answer)
            return .object(json)
        },
        "devices.pair.complete": slow { agent, p, _ throws(AgentError) in
            try await agent.completePairing(p.text("answer", limit: 64 << 10)).json
        },
        "devices.rename": slow { agent, p, _ throws(AgentError) in
            try await agent.renameDevice(p.string("did"), to: p.text("name", limit: 256)).json
        },
        "devices.revoke": slow { agent, p, _ throws(AgentError) in
            try await agent.revokeDevice(p.string("did"), reason: p.string("reason")).json
        },
    ]

    private static let calls: [String: Method] = [
        "call.place": slow { agent, p, page throws(AgentError) in
            try await agent.place(
                to: p.text("to", limit: 2048),
                sdp: p.string("sdp", limit: maximumSDP),
                name: p.optionalString("name", limit: 200),
                page: page
            ).json(for: page)
        },
        "call.open": method { agent, p, page throws(AgentError) in
            try await agent.open(p.string("session"), page: page)
        },
        "call.claim": method { agent, p, page throws(AgentError) in
            try await agent.claim(p.string("session"), page: page).json(for: page)
        },
        "call.answer": slow { agent, p, page throws(AgentError) in
            try await agent.answer(
                p.string("session"),
                sdp: p.string("sdp", limit: maximumSDP),
                answeredBy: p.optionalString("answered_by") ?? "user",
                page: page
            ).json(for: page)
        },
        "call.decline": method { agent, p, page throws(AgentError) in
            try await agent.decline(p.string("session"), busy: p.optionalBool("busy") ?? false).json(for: page)
        },
        "call.cancel": method { agent, p, page throws(AgentError) in
            try await agent.cancel(p.string("session")).json(for: page)
        },
        "call.hangup": method { agent, p, page throws(AgentError) in
            try await agent.hangUp(p.string("session")).json(for: page)
        },
        "call.dtmf": method { agent, p, _ throws(AgentError) in
            try await agent.sendDigits(p.string("session"), p.string("digits", limit: 32))
            return [:]
        },
        "ice.servers": method { agent, _, _ throws(AgentError) in ["ice_servers": await agent.iceServers()] },
    ]

    private static let callMedia: [String: Method] = [
        "call.candidates": method { agent, p, page throws(AgentError) in
            let list = p.value("candidates")?.array ?? []
            guard list.count <= CandidateExchange.maximumBuffered else {
                throw AgentError(.badRequest, "Too many candidates at once.")
            }
            var candidates: [SignaledCandidate] = []
            for json in list {
                // A page hands over what its browser says; an empty candidate is the browser's own end mark.
                if json["candidate"]?.string?.isEmpty == true { continue }
                guard let candidate = SignaledCandidate(json: json) else {
                    throw AgentError(.badRequest, "A candidate needs “candidate” and “sdp_mid”.")
                }
                candidates.append(candidate)
            }
            try await agent.addCandidates(
                p.string("session"),
                candidates,
                end: p.optionalBool("end_of_candidates") ?? false,
                page: page
            )
            return [:]
        },
        "call.update": method { agent, p, page throws(AgentError) in
            let id = try await agent.update(
                p.string("session"),
                sdp: p.string("sdp", limit: maximumSDP),
                answeredBy: p.optionalString("answered_by"),
                screen: p.optionalString("screen", limit: 64),
                page: page
            )
            return ["update": .string(id)]
        },
        "call.update.answer": method { agent, p, page throws(AgentError) in
            try await agent.answerUpdate(
                p.string("session"),
                update: p.string("update"),
                sdp: p.string("sdp", limit: maximumSDP),
                page: page
            )
            return [:]
        },
        "call.update.reject": method { agent, p, page throws(AgentError) in
            try await agent.rejectUpdate(
                p.string("session"),
                update: p.string("update"),
                reason: p.optionalString("reason"),
                page: page
            )
            return [:]
        },
        "call.media": method { agent, p, page throws(AgentError) in
            try await agent.reportMedia(p.string("session"), state: p.string("state"), page: page)
            return [:]
        },
    ]
}
