import DSIPSignaling
import Encoding

extension MediaPayload {
    /// From a bare JSON body, its `media` and `transports`; other members are passed over. Absent members are empty lists.
    ///
    /// A verified message has these as types already. Throws `schemaInvalid` where the payload schemas would refuse the body.
    public init(json payload: JSONValue) throws(MediaBindingError) {
        media = try Self.list(payload["media"], MediaDescriptor.init(json:))
        transports = try Self.list(payload["transports"], TransportDescriptor.init(json:))
    }

    private static func list<T>(
        _ json: JSONValue?,
        _ read: (JSONValue) -> T?
    ) throws(MediaBindingError) -> [T] {
        guard let json else { return [] }
        guard let elements = json.array else { throw MediaBindingError(.schemaInvalid, on: .offer, "not a list") }
        var list: [T] = []
        for element in elements {
            guard let value = read(element) else {
                throw MediaBindingError(.schemaInvalid, on: .offer, "not a descriptor")
            }
            list.append(value)
        }
        return list
    }
}

extension MediaDescriptor {
    fileprivate init?(json: JSONValue) {
        guard let kind = json["type"]?.string.flatMap(Kind.init(rawValue:)),
            let direction = json["direction"]?.string.flatMap(Direction.init(rawValue:)),
            let codecs = json["codecs"]?.array, !codecs.isEmpty
        else { return nil }
        let ids = codecs.compactMap { $0["id"]?.string }
        guard ids.count == codecs.count else { return nil }
        self.init(kind, direction: direction, codecs: ids.map { Codec($0) }, purpose: json["purpose"]?.string)
    }
}

extension TransportDescriptor {
    fileprivate init?(json: JSONValue) {
        guard var members = json.object, let id = members["id"]?.string else { return nil }
        members["id"] = nil
        self.init(id, parameters: members)
    }
}
