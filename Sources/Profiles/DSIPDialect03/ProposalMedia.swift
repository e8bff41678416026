import DSIPMedia
import DSIPSignaling
import Encoding
import WebRTC

/// `media` and `net` of the proposal, and the descriptors of the core (proposal 0.3 §6.1, DSIP §16, WebRTC binding §2).
///
/// The SDP decides. `media.codecs` and `net.ice` repeat what stands in it, for those who do not parse it; what is said in both places
/// must agree, and ICE parameters that stand in `net` alone are put into the SDP.
enum ProposalMedia {
    /// Candidates that come with an offer.
    private static let maximumCandidates = 64

    /// - Returns: the core's `media` and `transports`.
    static func read(
        _ media: JSONValue?,
        _ net: JSONValue?,
        on side: MediaBindingError.Side
    ) throws(Rejection) -> (media: JSONValue, transports: JSONValue) {
        guard let written = media?["sdp"]?.string else { throw fault("media.sdp is missing") }
        let payload: MediaPayload
        do throws(MediaBindingError) {
            let (sdp, description) = try completed(written, net)
            payload = try MediaPayload(describing: sdp, read: description, on: side)
        } catch {
            throw fault("media.sdp cannot be used: \(error.code.rawValue)")
        }
        guard !payload.media.isEmpty else { throw fault("media.sdp has no medium") }
        var transport = payload.transports[0]
        if let hints = net?["hints"], hints.object?.isEmpty == false { transport.parameters["hints"] = hints }
        return (.array(payload.media.map(\.json)), [transport.json])
    }

    /// The SDP with what `net` adds to it, read once: again only where something was added.
    private static func completed(
        _ sdp: String,
        _ net: JSONValue?
    ) throws(MediaBindingError) -> (sdp: String, description: SessionDescription) {
        let description = try read(sdp)
        guard let net, net.object?.isEmpty == false else { return (sdp, description) }
        var (session, section): ([String], [String]) = ([], [])
        if let ice = net["ice"], ice.object?.isEmpty == false {
            guard let fragment = attribute(ice["ufrag"]), let password = attribute(ice["pwd"]) else {
                throw MediaBindingError(.iceCredentialsMissing, on: .offer, "net.ice")
            }
            let named = description.media.compactMap { description.iceCredentials(of: $0) }
            if named.isEmpty {
                session = ["a=ice-ufrag:\(fragment)", "a=ice-pwd:\(password)"]
            } else if !named.contains(ICECredentials(usernameFragment: fragment, password: password)) {
                throw MediaBindingError(.iceCredentialsMissing, on: .offer, "net.ice is not that of the SDP")
            }
        }
        for candidate in (net["candidates"]?.array ?? []).prefix(maximumCandidates) {
            guard let text = attribute(candidate), text.hasPrefix("candidate:") else {
                throw MediaBindingError(.sdpInvalid, on: .offer, "net.candidates")
            }
            if !sdp.contains("a=\(text)") { section.append("a=\(text)") }
        }
        guard !session.isEmpty || !section.isEmpty else { return (sdp, description) }
        let whole = inserting(session, section, into: sdp)
        return (whole, try read(whole))
    }

    private static func read(_ sdp: String) throws(MediaBindingError) -> SessionDescription {
        do {
            return try SessionDescription(parsing: sdp)
        } catch {
            throw MediaBindingError(.sdpInvalid, on: .offer, error.description)
        }
    }

    /// The text of an attribute; nil for what would end its line.
    private static func attribute(_ value: JSONValue?) -> String? {
        guard let text = value?.string, (1...512).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) })
        else { return nil }
        return text
    }

    /// - Parameters:
    ///   - session: lines for the session part, before the first medium.
    ///   - section: lines for the first medium.
    private static func inserting(_ session: [String], _ section: [String], into sdp: String) -> String {
        var lines = sdp.split(whereSeparator: \.isNewline).map(String.init)
        guard let first = lines.firstIndex(where: { $0.hasPrefix("m=") }) else { return sdp }
        let next = lines[(first + 1)...].firstIndex { $0.hasPrefix("m=") } ?? lines.count
        lines.insert(contentsOf: section, at: next)
        lines.insert(contentsOf: session, at: first)
        return lines.joined(separator: "\r\n") + "\r\n"
    }

    /// - Returns: the proposal's `media` and `net`; nil where the WebRTC binding is not among the transports.
    static func write(_ transports: [TransportDescriptor]) -> (media: JSONValue, net: JSONValue)? {
        guard let transport = transports.first(where: { $0.id == TransportDescriptor.webRTC }), let sdp = transport.sdp
        else { return nil }
        var media: JSONObject = ["sdp": .string(sdp)]
        var net: JSONObject = [:]
        if let description = try? SessionDescription(parsing: sdp) {
            var codecs: [String] = []
            for section in description.media {
                for map in section.rtpMaps where section.formats.contains(String(map.payloadType)) {
                    let name = "\(map.encoding)/\(map.clockRate)" + (map.channels.map { "/\($0)" } ?? "")
                    if !codecs.contains(name), codecs.count < 64 { codecs.append(name) }
                }
            }
            media["codecs"] = .array(codecs.map { .string($0) })
            if let ice = description.media.lazy.compactMap({ description.iceCredentials(of: $0) }).first {
                net["ice"] = ["ufrag": .string(ice.usernameFragment), "pwd": .string(ice.password)]
            }
        }
        net["candidates"] = []
        if let hints = transport.parameters["hints"] { net["hints"] = hints }
        return (.object(media), .object(net))
    }

    static func fault(_ detail: String) -> Rejection { Rejection(.schemaInvalid, detail) }
}
