import DSIPIdentity
import DSIPMessaging
import Encoding

/// What comes from a mailbox, a hub, a member of a group, or somebody's DID document.
let messagingFuzzEntries: [FuzzEntry] = [
    FuzzEntry(
        "mailbox-message",
        seeds: [
            mailboxMessage("deposit", #""group":"MDE","class":"application","mls":"AAAA","seq":1"#),
            mailboxMessage(
                "deposit",
                #""group":"MDE","class":"welcome","mls":"AAAA","hub":{"did":"did:web:h"},"origin":"a.b.c""#
            ),
            mailboxMessage(
                "items",
                #""items":[{"cursor":"c:1","stored_at":1,"class":"archive","group":"MDE","seq":1,"archive":"AAAA"}],"next":null"#
            ), mailboxMessage("sync", #""since":null,"live":true"#),
            mailboxMessage("mailbox-config", #""subject":"did:web:b","groups":[{"group":"MDE","state":"left"}]"#),
        ]
    ) { bytes in
        guard let message = try? MailboxMessage(decoding: bytes) else { return }
        precondition((try? MailboxMessage(message.json)) == message, "a message changed when written and read")
    },
    FuzzEntry(
        "messaging-object",
        seeds: [
            object(
                "content",
                #""kind":"text","purpose":"message","text":"hi","mentions":[{"identity":"did:web:b","start":0,"length":2}]"#
            ),
            object("content", #""kind":"location","purpose":"message","lat_e7":1,"lon_e7":-1"#),
            object("receipt", #""kind":"read","through":"01K742SG000000000000000002""#),
            object("dsip.msgUpdate", #""for":"01K742SG000000000000000002","patch":{"text":"x"}"#),
            #"{"object":"archive-key","akid":"01K742SG000000000000000001","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","created_at":1}"#,
        ]
    ) { bytes in
        guard let place = fuzzPlace else { return }
        for kind in [ConversationKind.direct, .personal] {
            let context = ObjectContext(conversation: place.conversation, kind: kind, sender: place.sender)
            guard let object = try? MessagingObject(decoding: bytes, in: context) else { continue }
            if case .unknown = object { continue }
            precondition(
                (try? MessagingObject(object.json, in: context)) == object,
                "an object changed when written and read"
            )
        }
        _ = try? ArchiveRecord(decoding: bytes)
        if let json = try? JSONValue(parsing: bytes) { _ = ProposalStatement(json, signedBy: place.sender) }
    },
    FuzzEntry(
        "messaging-group",
        seeds: [
            #"{"conversation":"01K742SG000000000000000009","kind":"group","hub":{"did":"did:web:h","uri":"wss://h/"},"successor_of":null}"#
        ].map { Array($0.utf8) } + [
            [0xf0, 0xd1, 3, 1, 2, 3], [0xf0, 0xd2, 0x40, 0x40] + Array(repeating: 1, count: 64),
        ]
    ) { bytes in
        if let read = try? ConversationExtension(decoding: bytes) {
            precondition((try? ConversationExtension(read.json)) == read, "an extension changed when written and read")
        }
        if let read = try? MLSExtension(decoding: bytes) {
            precondition(read.bytes == bytes, "an extension has two spellings")
        }
        let place = fuzzPlace?.sender.string.utf8.map(\.self) ?? []
        _ = try? LeafCredential(
            credentialType: 1,
            credentialIdentity: place,
            signatureKey: Array(bytes.prefix(32)),
            extensions: [MLSExtension(type: LeafCredential.extensionType, data: bytes)],
            at: 1,
            document: { _ in nil }
        )
        _ = try? Seal.open(bytes, key: Array(repeating: 1, count: 32), use: .blob)
    },
    FuzzEntry(
        "mailbox-service",
        seeds: [
            #"{"uri":"wss://m/","bindings":["ws/1.0"],"mailbox":"did:web:m","priority":1,"profiles":["messaging/1.0"],"accepts":["text"],"voicemail":{"max_duration_s":180}}"#
        ]
    ) { bytes in
        guard let json = try? JSONValue(parsing: bytes) else { return }
        if let service = try? MailboxService(json) {
            precondition((try? MailboxService(service.json)) == service, "a service changed when written and read")
        }
        _ = MailboxSelection(document: [json], hints: [json]).primary()
    },
]

private func mailboxMessage(_ type: String, _ members: String) -> String {
    #"{"dsip":{"core":"1.0","min_core":"1.0","profiles":["messaging/1.0"],"extensions":[],"critical":[]},"type":"\#(type)","#
        + #""id":"01K742SG000000000000000001","from":"did:web:a","to":"did:web:m","issued_at":1760000000,"#
        + #""expires_at":1760000030,\#(members)}"#
}

private func object(_ name: String, _ members: String) -> String {
    #"{"object":"\#(name)","id":"01K742SG000000000000000001","conversation":"01K742SG000000000000000009","#
        + #""sender":"did:web:a","sent_at":1760000000,\#(members)}"#
}

private let fuzzPlace: (conversation: ULID, sender: DID)? = {
    guard let conversation = ULID("01K742SG000000000000000009"), let sender = DID("did:web:a") else { return nil }
    return (conversation, sender)
}()
