import DSIPIdentity
import DSIPMessaging
import Encoding

extension Authority {
    /// What a document hosted here says of where its subject is reached: by this relay for calls, and for messages if it keeps mailboxes.
    ///
    /// - Parameter did: the subject; its mailbox is the relay's.
    func services(of did: DID, hasMailboxes: Bool) -> [DIDDocument.Service] {
        let signaling = DIDDocument.Service(
            id: "\(did)#dsip-signaling",
            type: "DSIPSignaling",
            uri: signaling,
            bindings: ["ws/1.0"]
        )
        guard hasMailboxes else { return [signaling] }
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
        ]
    }
}
