import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("A mailbox and its owner's devices") struct MailboxOwnerTests {
    private let stored = [
        Scene.step(MailboxScene.deposit(1, seq: 1), MailboxScene.accepted(1, "@mbx.alice", 1)),
        Scene.step(MailboxScene.deposit(2, seq: 2), MailboxScene.accepted(2, "@mbx.alice", 2)),
        Scene.step(MailboxScene.deposit(3, seq: 3), MailboxScene.accepted(3, "@mbx.alice", 3)),
    ]

    @Test("M§5.4: a device reads from where it was, page by page; a cursor nobody gave out is refused")
    func sync() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            stored + [
                Scene.step(MailboxScene.sync(4, "@bob.phone"), MailboxScene.items(4, "@bob.phone", [1, 2, 3])),
                Scene.step(
                    MailboxScene.sync(5, "@bob.phone", #","limit":2"#),
                    MailboxScene.items(5, "@bob.phone", [1, 2], next: 2)
                ),
                Scene.step(MailboxScene.sync(6, "@bob.phone", since: 2), MailboxScene.items(6, "@bob.phone", [3])),
                Scene.step(MailboxScene.sync(7, "@bob.phone", since: 3), MailboxScene.items(7, "@bob.phone", [])),
                Scene.step(
                    MailboxScene.sync(8, "@bob.phone", since: 4),
                    MailboxScene.error(8, "@bob.phone", "mailbox.cursor-invalid")
                ),
                Scene.step(
                    #"{"sync":{"id":"%9","device":"@bob.phone","since":"somewhere"}}"#,
                    MailboxScene.error(9, "@bob.phone", "mailbox.cursor-invalid")
                ),
                Scene.step(
                    MailboxScene.sync(10, "@mallory.phone"),
                    MailboxScene.error(10, "@mallory.phone", "policy.blocked")
                ),
            ]
        )
    }

    @Test("M§5.4: bound devices get what comes, in their order, until they leave or the service starts again")
    func push() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(
                    MailboxScene.sync(1, "@bob.phone", #","live":true"#),
                    MailboxScene.items(1, "@bob.phone", [])
                ),
                Scene.step(
                    MailboxScene.sync(2, "@bob.laptop", #","live":true"#),
                    MailboxScene.items(2, "@bob.laptop", [])
                ),
                Scene.step(
                    MailboxScene.deposit(3, seq: 1),
                    "[\(MailboxScene.answer(3, "@mbx.alice", 1)),\(MailboxScene.push("@bob.laptop", 1)),"
                        + "\(MailboxScene.push("@bob.phone", 1))]"
                ),
                Scene.step(
                    #"{"archive":{"id":"%4","device":"@bob.phone","ref_group":"$G","ref_seq":1}}"#,
                    "[\(MailboxScene.answer(4, "@bob.phone", 2)),\(MailboxScene.push("@bob.laptop", 2))]"
                ),
                Scene.step(#"{"unbind":{"device":"@bob.laptop"}}"#, "[]"),
                Scene.step(
                    MailboxScene.deposit(5, seq: 2),
                    "[\(MailboxScene.answer(5, "@mbx.alice", 3)),\(MailboxScene.push("@bob.phone", 3))]"
                ),
                Scene.step(MailboxScene.deposit(6, seq: 2), MailboxScene.accepted(6, "@mbx.alice", 3, duplicate: true)),
                Scene.step(
                    MailboxScene.deposit(7, seq: nil, "ephemeral", #","expires_at":1760000009"#),
                    #"[{"push":{"to":"@bob.phone","class":"ephemeral"}}]"#,
                    #"{"items":["c:0000000000000001","c:0000000000000002","c:0000000000000003"]}"#
                ),
                Scene.step(MailboxScene.deposit(8, seq: nil, "ephemeral", #","expires_at":1759999999"#), "[]"),
                Scene.step(#"{"restart":{}}"#, "[]"),
                Scene.step(MailboxScene.deposit(9, seq: 3), MailboxScene.accepted(9, "@mbx.alice", 4)),
            ]
        )
    }

    @Test("M§4.4: in queue mode an item goes when every device has it; in sync mode it stays")
    func modes() throws {
        let ack = { (id: Int, device: String) in
            MailboxScene.sync(id, device, since: 2, #","ack_through":"c:0000000000000002""#)
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(mode: "queue"),
            stored + [
                Scene.step(ack(4, "@bob.phone"), MailboxScene.items(4, "@bob.phone", [3])),
                Scene.step(
                    ack(5, "@bob.laptop"),
                    MailboxScene.items(5, "@bob.laptop", [3]),
                    #"{"items":["c:0000000000000003"]}"#
                ),
                Scene.step(
                    MailboxScene.deposit(6, seq: 2),
                    MailboxScene.accepted(6, "@mbx.alice", nil, duplicate: true)
                ),
                Scene.step(
                    #"{"archive":{"id":"%7","device":"@bob.phone","ref_group":"$G","ref_seq":1}}"#,
                    MailboxScene.error(7, "@bob.phone", "mailbox.unsupported-class")
                ),
            ]
        )
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            stored + [
                Scene.step(ack(4, "@bob.phone"), MailboxScene.items(4, "@bob.phone", [3])),
                Scene.step(
                    ack(5, "@bob.laptop"),
                    MailboxScene.items(5, "@bob.laptop", [3]),
                    #"{"items":["c:0000000000000001","c:0000000000000002","c:0000000000000003"]}"#
                ),
            ]
        )
    }

    @Test("M§12.2: the first record of an item is kept, whoever brings another")
    func archive() throws {
        let archive = { (id: Int, device: String) in
            #"{"archive":{"id":"%\#(id)","device":"\#(device)","ref_group":"$G","ref_seq":42}}"#
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(archive(1, "@bob.phone"), MailboxScene.accepted(1, "@bob.phone", 1)),
                Scene.step(#"{"restart":{}}"#, "[]"),
                Scene.step(archive(2, "@bob.laptop"), MailboxScene.accepted(2, "@bob.laptop", 1, duplicate: true)),
                Scene.step(archive(3, "@mallory.phone"), MailboxScene.error(3, "@mallory.phone", "policy.blocked")),
            ]
        )
    }

    @Test("M§5.5: each KeyPackage is served once, the last resort again and again, and none without leave")
    func keyPackages() throws {
        let fetch = { (id: Int, identity: String, more: String) in
            #"{"kp_fetch":{"id":"%\#(id)","from":"@carol.phone","from_identity":"\#(identity)","target":"@bob","grant":\#(more)}}"#
        }
        let served = { (id: Int, devices: String) in
            #"[{"key_packages":{"to":"@carol.phone","in_reply_to":"%\#(id)","devices":{\#(devices)}}}]"#
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(
                packages: #""@bob.phone":{"one_time":1,"last_resort":true},"@bob.laptop":{"one_time":2}"#
            ),
            [
                Scene.step(
                    fetch(1, "@carol", "null"),
                    MailboxScene.error(1, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    fetch(2, "@carol", MailboxScene.grant()),
                    served(2, #""@bob.phone":"one-time","@bob.laptop":"one-time""#),
                    #"{"key_packages":{"@bob.phone":{"one_time":0,"last_resort":true},"@bob.laptop":{"one_time":1,"last_resort":false}}}"#
                ),
                Scene.step(
                    fetch(3, "@bob", "null"),
                    served(3, #""@bob.phone":"last-resort","@bob.laptop":"one-time""#)
                ),
                Scene.step(fetch(4, "@bob", "null"), served(4, #""@bob.phone":"last-resort""#)),
                Scene.step(fetch(5, "@carol", #"null,"successor_of":"$G""#), served(5, #""@bob.phone":"last-resort""#)),
                Scene.step(
                    fetch(6, "@carol", "null").replacing(#""target":"@bob""#, with: #""target":"@alice""#),
                    MailboxScene.error(6, "@carol.phone", "transport.unknown-recipient")
                ),
                Scene.step(
                    #"{"kp_upload":{"id":"%7","device":"@mallory.phone","count":1}}"#,
                    MailboxScene.error(7, "@mallory.phone", "policy.blocked")
                ),
                Scene.step(
                    #"{"kp_upload":{"id":"%8","device":"@bob.laptop","count":150,"last_resort":false}}"#,
                    MailboxScene.accepted(8, "@bob.laptop", nil),
                    #"{"key_packages":{"@bob.phone":{"one_time":0,"last_resort":true},"@bob.laptop":{"one_time":100,"last_resort":false}}}"#
                ),
            ]
        )
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(
                    fetch(1, "@carol", MailboxScene.grant()),
                    MailboxScene.error(1, "@carol.phone", "mailbox.no-key-packages")
                )
            ]
        )
    }

    @Test("M§4.3, M§12.4: a revoked device is shut out at once and forgotten")
    func revocation() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(mode: "queue", packages: #""@bob.laptop":{"one_time":3,"last_resort":true}"#),
            stored + [
                Scene.step(
                    MailboxScene.sync(4, "@bob.laptop", #","live":true"#),
                    MailboxScene.items(4, "@bob.laptop", [1, 2, 3])
                ),
                Scene.step(
                    MailboxScene.sync(5, "@bob.phone", since: 3, #","ack_through":"c:0000000000000003""#),
                    MailboxScene.items(5, "@bob.phone", [])
                ),
                // What only the revoked device had not read goes with it.
                Scene.step(
                    #"{"config":{"id":"%6","device":"@bob.phone","revoked_devices":["@bob.laptop"]}}"#,
                    "[\(MailboxScene.answer(6, "@bob.phone", nil)),"
                        + #"{"close":{"device":"@bob.laptop","reason":"delegation-revoked"}}]"#,
                    #"{"items":[],"key_packages":{}}"#
                ),
                Scene.step(
                    MailboxScene.sync(7, "@bob.laptop"),
                    MailboxScene.error(7, "@bob.laptop", "policy.blocked")
                ),
            ]
        )
    }

    @Test("M§5.7: an unknown mode is refused and changes nothing, and nobody else configures a mailbox")
    func configuration() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(
                    #"{"config":{"id":"%1","device":"@bob.phone","mode":"forever"}}"#,
                    MailboxScene.error(1, "@bob.phone", "mailbox.unsupported-mode")
                ),
                Scene.step(
                    #"{"config":{"id":"%2","device":"@mallory.phone","admit":"open"}}"#,
                    MailboxScene.error(2, "@mallory.phone", "policy.blocked")
                ),
            ]
        )
    }

    @Test("M§14.1: introductions are limited, bounded and kept to their end, and the unknown look like the held")
    func introductions() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(#","intro_limit":2,"intro_window":3600,"inbox_cap":3"#),
            [
                Scene.step(
                    MailboxScene.contact(1, "@carol", "introduction", until: 1_760_000_600),
                    MailboxScene.accepted(1, "@carol.phone", 1)
                ),
                Scene.step(
                    MailboxScene.contact(2, "@carol", "introduction", to: "@mallory"),
                    MailboxScene.accepted(2, "@carol.phone", nil)
                ),
                Scene.step(#"{"advance":600}"#, "[]", #"{"items":["c:0000000000000001"]}"#),
                Scene.step(
                    MailboxScene.contact(3, "@carol", "introduction", to: "@alice"),
                    MailboxScene.error(3, "@carol.phone", "policy.rate-limited", retryAfter: 3000)
                ),
                Scene.step(#"{"advance":1}"#, "[]", #"{"items":[]}"#),
                Scene.step(
                    MailboxScene.contact(4, "@alice", "introduction"),
                    MailboxScene.accepted(4, "@alice.phone", 2)
                ),
                Scene.step(
                    MailboxScene.contact(5, "@mallory", "introduction"),
                    MailboxScene.error(5, "@mallory.phone", "policy.rate-limited", retryAfter: 2999)
                ),
                Scene.step(#"{"advance":2999}"#, "[]"),
                Scene.step(
                    MailboxScene.contact(6, "@mallory", "introduction"),
                    MailboxScene.accepted(6, "@mallory.phone", 3)
                ),
                Scene.step(#"{"advance":3600}"#, "[]"),
                Scene.step(
                    MailboxScene.contact(7, "@mallory", "introduction"),
                    MailboxScene.accepted(7, "@mallory.phone", 4)
                ),
                Scene.step(
                    MailboxScene.contact(8, "@alice", "introduction"),
                    MailboxScene.accepted(8, "@alice.phone", nil)
                ),
            ]
        )
    }

    @Test("M§14.1: a grant the owner asked for is neither counted nor limited, once")
    func solicitedGrant() throws {
        let grant = { (id: Int) in
            MailboxScene.contact(id, "@alice", "grant", until: 1_760_604_800, #","session":"%20""#)
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(#","intro_limit":2,"intro_window":3600,"inbox_cap":3"#),
            [
                Scene.step(
                    #"{"config":{"id":"%1","device":"@bob.phone","introductions_sent":["%20"]}}"#,
                    MailboxScene.accepted(1, "@bob.phone", nil)
                ),
                Scene.step(
                    MailboxScene.contact(2, "@alice", "introduction"),
                    MailboxScene.accepted(2, "@alice.phone", 1)
                ),
                Scene.step(
                    MailboxScene.contact(3, "@alice", "introduction"),
                    MailboxScene.accepted(3, "@alice.phone", 2)
                ),
                Scene.step(#"{"restart":{}}"#, "[]"), Scene.step(grant(4), MailboxScene.accepted(4, "@alice.phone", 3)),
                Scene.step(
                    grant(5),
                    MailboxScene.error(5, "@alice.phone", "policy.rate-limited", retryAfter: 3600)
                ),
            ]
        )
    }

    @Test("M§4.4: MLS items go after the retention, history after its own")
    func retention() throws {
        let bob = try #require(DID("did:web:bob.example"))
        let device = try #require(DID("did:key:z6MkBobPhone"))
        let group = try #require(GroupID(Scene.group(0)))
        let id = try #require(ULID(Scene.id(1)))
        var mailbox = Mailbox(
            did: bob,
            owner: bob,
            devices: [device],
            groups: [group: GroupRegistration(hub: bob, state: .joined)]
        )
        let deposit = Mailbox.FanOutDeposit(
            id: id,
            from: bob,
            recipient: bob,
            group: group,
            itemClass: .application,
            seq: 1,
            size: 10
        )
        _ = mailbox.received(deposit, at: 1000)
        _ = mailbox.receivedArchive(id: id, from: device, group: group, seq: 1, size: 5, at: 1000)
        #expect(mailbox.advance(to: 1000 + MessagingProfile.retention).isEmpty)
        #expect(mailbox.advance(to: 1001 + MessagingProfile.retention) == [.drop([Cursor(position: 1)])])
        #expect(mailbox.usedBytes == 5)
        _ = mailbox.received(MailboxConfig(subject: bob, retention: 60), id: id, from: device, at: 2000)
        #expect(mailbox.advance(to: 2001) == [.drop([Cursor(position: 2)])])
        #expect(mailbox.items.isEmpty && mailbox.usedBytes == 0)
    }
}
