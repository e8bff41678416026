import Encoding
import WebRTC

extension MediaPayload {
    /// From a decoded message, its `media` and `transports`; other members are passed over. Absent members are empty lists.
    ///
    /// Throws `schemaInvalid` where the payload schemas would have refused the message.
    public init(json payload: JSONValue) throws(MediaBindingError) {
        media = try Self.list(payload["media"], MediaDescriptor.init(json:))
        transports = try Self.list(payload["transports"], TransportDescriptor.init(json:))
    }

    /// `[media descriptor]` for the `media` member.
    public var mediaJSON: JSONValue { .array(media.map(\.json)) }
    /// `[transport descriptor]` for the `transports` member.
    public var transportsJSON: JSONValue { .array(transports.map(\.json)) }

    private static func list<T>(
        _ json: JSONValue?, _ read: (JSONValue) -> T?
    ) throws(MediaBindingError) -> [T] {
        guard let json else { return [] }
        guard let elements = json.array else { throw MediaBindingError(.schemaInvalid, on: .offer, "not a list") }
        var list: [T] = []
        for element in elements {
            guard let value = read(element) else { throw MediaBindingError(.schemaInvalid, on: .offer, "not a descriptor") }
            list.append(value)
        }
        return list
    }
}

extension MediaDescriptor {
    /// `nil` unless `type`, a known `direction` and at least one codec with an `id` are there.
    public init?(json: JSONValue) {
        guard let type = json["type"]?.string,
            let direction = json["direction"]?.string.flatMap(MediaDirection.init(rawValue:)),
            let codecs = json["codecs"]?.array, !codecs.isEmpty
        else { return nil }
        let ids = codecs.compactMap { $0["id"]?.string }
        guard ids.count == codecs.count else { return nil }
        self.init(type: type, purpose: json["purpose"]?.string, direction: direction, codecs: ids)
    }

    public var json: JSONValue {
        var object: JSONObject = ["type": .string(type)]
        if let purpose { object["purpose"] = .string(purpose) }
        object["direction"] = .string(direction.rawValue)
        object["codecs"] = .array(codecs.map { ["id": .string($0)] })
        return .object(object)
    }
}

extension TransportDescriptor {
    /// `nil` unless there is an `id`. An `ice` or `sdp` that is not a string counts as absent, which the checks then report.
    public init?(json: JSONValue) {
        guard let id = json["id"]?.string else { return nil }
        self.init(id: id, ice: json["ice"]?.string, sdp: json["sdp"]?.string)
    }

    public var json: JSONValue {
        var object: JSONObject = ["id": .string(id)]
        if let ice { object["ice"] = .string(ice) }
        if let sdp { object["sdp"] = .string(sdp) }
        return .object(object)
    }
}
