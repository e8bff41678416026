import DSIPIdentity
import Encoding

/// The ordering authority of a group. M§6.3
public struct HubReference: Hashable, Sendable {
    public var did: DID
    /// `wss`.
    public var uri: String?

    public init(did: DID, uri: String? = nil) {
        self.did = did
        self.uri = uri
    }

    static func read(_ value: JSONValue, _ name: String) throws(MessagingError) -> HubReference {
        var members = try Members(value, name)
        let hub = HubReference(
            did: try members.required("did", Read.did),
            uri: try members.optional("uri", Read.uri("wss://"))
        )
        try members.finish()
        return hub
    }

    public var json: JSONValue {
        var object: JSONObject = ["did": .string(did.string)]
        if let uri { object["uri"] = .string(uri) }
        return .object(object)
    }
}
