import DSIPIdentity
import DSIPMessaging
import Encoding

/// What a relay does for those whose documents it hosts, beside calls.
struct HostedServices: OptionSet, Sendable {
    let rawValue: Int

    static let mailboxes = HostedServices(rawValue: 1)
    static let preKeys = HostedServices(rawValue: 2)
}

extension Authority {
    /// What a document hosted here says of where its subject is reached: by this relay for calls, and for messages if it keeps mailboxes
    /// or hands out prekeys.
    ///
    /// - Parameter did: the subject; its mailbox is the relay's.
    func services(of did: DID, offering offered: HostedServices) -> [DIDDocument.Service] {
        let signaling = DIDDocument.Service(
            id: "\(did)#dsip-signaling",
            type: "DSIPSignaling",
            uri: signaling,
            bindings: ["ws/1.0"]
        )
        let preKeys = DIDDocument.Service(
            id: "\(did)#dsip-prekeys",
            type: PreKeyService.serviceType,
            uri: self.signaling,
            bindings: ["ws/1.0"]
        )
        let others = offered.contains(.preKeys) ? [preKeys] : []
        guard offered.contains(.mailboxes) else { return [signaling] + others }
        let mailbox = MailboxService(uri: self.signaling, mailbox: self.did, voicemail: .init(maximumDuration: 180))
        let members = (mailbox.json.object?.members ?? []).filter { $0.name != "uri" && $0.name != "bindings" }
        return [
            signaling,
            DIDDocument.Service(
                id: "\(did)#dsip-mailbox",
                type: MailboxService.serviceType,
                uri: mailbox.uri,
                bindings: mailbox.bindings,
                parameters: JSONObject(members: members)
            ),
        ] + others
    }
}
