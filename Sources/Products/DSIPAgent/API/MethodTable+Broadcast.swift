import DSIPBroadcast
import DSIPIdentity
import DSIPSignaling
import Encoding

extension MethodTable {
    static let broadcasts: [String: Method] = [
        "broadcast.list": method { agent, _, _ throws(AgentError) in
            ["broadcasts": .array(await agent.broadcasts().map(\.json))]
        },
        "broadcast.watch": slow { agent, p, _ throws(AgentError) in
            let relay = try p.optionalString("relay", limit: 512)
            return try await agent.watch(p.text("stream", limit: StreamID.maximumBytes), relay: relay).json
        },
        "broadcast.unwatch": method { agent, p, _ throws(AgentError) in
            try await agent.unwatch(p.string("stream"))
            return [:]
        },
        "broadcast.choose": method { agent, p, _ throws(AgentError) in
            let codecs = try p.strings("codecs", count: 0...64)
            let transports = try p.strings("transports", count: 0...16)
            let excluded = p.value("except") == nil ? [] : try p.strings("except", count: 0...64)
            return try await agent.choose(
                p.string("stream"),
                ReceiverCapabilities(codecs: Set(codecs), transports: Set(transports), excluding: Set(excluded))
            )
        },
        "broadcast.receive": slow { agent, p, _ throws(AgentError) in
            let answer = try await agent.receive(
                p.string("stream"),
                variant: p.string("variant"),
                offer: p.string("sdp", limit: Agent.maximumStationSDP)
            )
            return ["sdp": .string(answer)]
        },
        "broadcast.publish": slow { agent, p, _ throws(AgentError) in try await agent.publish(draft(p)).json },
        "broadcast.unpublish": slow { agent, p, _ throws(AgentError) in
            try await agent.unpublish(p.text("stream", limit: StreamID.maximumBytes)).json
        },
        "broadcast.attest": slow { agent, p, _ throws(AgentError) in
            try await agent.attest(
                p.text("stream", limit: StreamID.maximumBytes),
                operation: p.text("operation", limit: 64),
                input: p.text("input_variant"),
                output: p.text("output_variant"),
                uri: p.optionalString("output_uri")
            ).json
        },
    ]

    private static func draft(_ p: Parameters) throws(AgentError) -> Agent.Draft {
        guard let list = p.value("variants")?.array, (1...16).contains(list.count) else {
            throw AgentError(.badRequest, "“variants” must list 1 to 16 variants.")
        }
        var variants: [Publish.Variant] = []
        for json in list {
            guard let id = json["id"]?.string, let codec = json["codec"]?.string,
                let transport = json["transport"]?.string, let uri = json["uri"]?.string,
                let media = json["media"]?.array
            else { throw AgentError(.badRequest, "A variant needs id, media, codec, transport and uri.") }
            let kinds = media.compactMap { $0.string.flatMap(Publish.Variant.Media.init) }
            guard !kinds.isEmpty, kinds.count == media.count else {
                throw AgentError(.badRequest, "The media of a variant are audio, video and text.")
            }
            var parameters = JSONObject()
            if let integrity = json["integrity"]?.string { parameters["integrity"] = .string(integrity) }
            variants.append(
                Publish.Variant(
                    id: id,
                    media: kinds,
                    codec: codec,
                    transport: transport,
                    uri: uri,
                    parameters: parameters
                )
            )
        }
        let state = try p.optionalString("state") ?? "live"
        guard let state = Publish.State(rawValue: state) else {
            throw AgentError(.badRequest, "A stream is live, scheduled or ended.")
        }
        var draft = Agent.Draft(
            stream: try p.text("stream", limit: StreamID.maximumBytes),
            title: try p.optionalString("title", limit: 512),
            state: state,
            integrity: try p.optionalString("integrity", limit: 64),
            variants: variants
        )
        if let lifetime = try p.optionalInteger("lifetime") { draft.lifetime = lifetime }
        draft.isRenewed = try p.optionalBool("renew") ?? false
        for (key, value) in p.value("policy")?.object?.members ?? [] {
            guard let value = value.string else { throw AgentError(.badRequest, "A policy value must be a string.") }
            draft.policy[key] = value
        }
        return draft
    }
}
