import DSIPMessaging
import Testing

@Suite("A mailbox and what hubs and strangers deposit") struct MailboxTests {
    @Test("M§14.2: a welcome needs a grant, an open door, the owner itself, or a registered predecessor")
    func admission() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(groups: ""),
            [
                Scene.step(
                    MailboxScene.welcome(1, adder: "@carol", grant: nil),
                    MailboxScene.error(1, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    MailboxScene.welcome(2, adder: "@carol", grant: MailboxScene.grant(to: "@alice")),
                    MailboxScene.error(2, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    MailboxScene.welcome(3, adder: "@carol", grant: MailboxScene.grant(until: 1_760_000_000)),
                    MailboxScene.error(3, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    MailboxScene.welcome(4, adder: "@carol", grant: MailboxScene.grant(scope: "dsip.subscribe")),
                    MailboxScene.error(4, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    MailboxScene.welcome(5, adder: "@carol", grant: MailboxScene.grant(scope: "dsip.invite")),
                    MailboxScene.accepted(5, "@carol.phone", 1),
                    #"{"groups":{"$G":"pending"}}"#
                ),
                Scene.step(
                    MailboxScene.welcome(6, adder: "@bob", grant: nil, group: "$G1"),
                    MailboxScene.accepted(6, "@carol.phone", 2)
                ),
                Scene.step(
                    MailboxScene.welcome(7, adder: "@carol", grant: nil, group: "$G2", #","successor_of":"$G""#),
                    MailboxScene.accepted(7, "@carol.phone", 3)
                ),
                Scene.step(
                    MailboxScene.welcome(8, adder: "@carol", grant: nil, group: "$G3", #","successor_of":"$G9""#),
                    MailboxScene.error(8, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    MailboxScene.welcome(9, adder: "@carol", grant: nil).replacing(
                        #""recipient":"@bob""#,
                        with: #""recipient":"@mallory""#
                    ),
                    MailboxScene.error(9, "@carol.phone", "transport.unknown-recipient")
                ),
                Scene.step(
                    #"{"config":{"id":"%10","device":"@bob.phone","revoked_grants":["%30"]}}"#,
                    MailboxScene.accepted(10, "@bob.phone", nil)
                ),
                Scene.step(
                    MailboxScene.welcome(11, adder: "@carol", grant: MailboxScene.grant(), group: "$G4"),
                    MailboxScene.error(11, "@carol.phone", "policy.first-contact-required")
                ),
                Scene.step(
                    #"{"config":{"id":"%12","device":"@bob.phone","admit":"open"}}"#,
                    MailboxScene.accepted(12, "@bob.phone", nil)
                ),
                Scene.step(
                    MailboxScene.welcome(13, adder: "@mallory", grant: nil, group: "$G5"),
                    MailboxScene.accepted(13, "@carol.phone", 4)
                ),
            ]
        )
    }

    @Test("M§14.2: what a hub forwards is proven by its origin alone")
    func origin() throws {
        let forwarded = { (id: Int, origin: String) in
            MailboxScene.welcome(id, adder: "@bob", grant: MailboxScene.grant(), #","issued_at":1760000000\#(origin)"#)
                .replacing("@carol.phone", with: "@mbx.alice")
        }
        let blocked = { MailboxScene.error($0, "@mbx.alice", "policy.blocked") }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(groups: ""),
            [
                Scene.step(forwarded(1, ""), blocked(1)),
                Scene.step(
                    forwarded(2, #","origin":{"identity":"@carol","group":"$G1","issued_at":1760000000}"#),
                    blocked(2)
                ),
                Scene.step(
                    forwarded(3, #","origin":{"identity":"@carol","group":"$G","issued_at":1759999699}"#),
                    blocked(3)
                ),
                Scene.step(
                    forwarded(4, #","origin":{"identity":"@carol","group":"$G","issued_at":1760000000,"valid":false}"#),
                    blocked(4)
                ),
                Scene.step(
                    forwarded(5, #","origin":{"identity":"@mallory","group":"$G","issued_at":1760000000}"#),
                    MailboxScene.error(5, "@mbx.alice", "policy.first-contact-required")
                ),
                Scene.step(
                    forwarded(6, #","origin":{"identity":"@carol","group":"$G","issued_at":1759999700}"#),
                    MailboxScene.accepted(6, "@mbx.alice", 1)
                ),
            ]
        )
    }

    @Test("M§6.5, M§6.6: a welcome delivered again is the same one, only while it is kept and only for its group")
    func welcomeAgain() throws {
        let welcome = { (id: Int, group: String, digest: String) in
            MailboxScene.welcome(id, adder: "@bob", grant: nil, group: group, #","digest":"\#(digest)""#)
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(groups: ""),
            [
                Scene.step(welcome(1, "$G", "w"), MailboxScene.accepted(1, "@carol.phone", 1)),
                Scene.step(welcome(2, "$G", "w"), MailboxScene.accepted(2, "@carol.phone", 1, duplicate: true)),
                Scene.step(welcome(3, "$G", "v"), MailboxScene.accepted(3, "@carol.phone", 2)),
                Scene.step(welcome(4, "$G1", "w"), MailboxScene.accepted(4, "@carol.phone", 3)),
                Scene.step(#"{"advance":604800}"#, "[]"),
                Scene.step(#"{"advance":1}"#, "[]", #"{"items":[],"groups":{}}"#),
                Scene.step(
                    welcome(5, "$G", "w"),
                    MailboxScene.accepted(5, "@carol.phone", 4),
                    #"{"groups":{"$G":"pending"}}"#
                ),
            ]
        )
    }

    @Test("M§6.6: an unconfirmed group takes so many items, then ends with them; the owner's history of it stays")
    func pendingGroup() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(groups: ""),
            [
                Scene.step(
                    MailboxScene.deposit(1, seq: 1),
                    MailboxScene.error(1, "@mbx.alice", "mailbox.unknown-group")
                ),
                Scene.step(
                    MailboxScene.welcome(2, adder: "@bob", grant: nil),
                    MailboxScene.accepted(2, "@carol.phone", 1)
                ),
                Scene.step(MailboxScene.deposit(3, seq: 1), MailboxScene.accepted(3, "@mbx.alice", 2)),
                Scene.step(MailboxScene.deposit(4, seq: 2), MailboxScene.accepted(4, "@mbx.alice", 3)),
                Scene.step(
                    MailboxScene.deposit(5, seq: 3),
                    MailboxScene.error(5, "@mbx.alice", "mailbox.quota-exceeded")
                ),
                Scene.step(MailboxScene.deposit(6, seq: 2), MailboxScene.accepted(6, "@mbx.alice", 3, duplicate: true)),
                Scene.step(
                    MailboxScene.deposit(7, seq: 3, from: "@mbx.carol"),
                    MailboxScene.error(7, "@mbx.carol", "mailbox.unknown-group")
                ),
                Scene.step(
                    #"{"archive":{"id":"%8","device":"@bob.phone","ref_group":"$G","ref_seq":1}}"#,
                    MailboxScene.accepted(8, "@bob.phone", 4)
                ),
                Scene.step(#"{"advance":604801}"#, "[]", #"{"items":["c:0000000000000004"],"groups":{}}"#),
            ]
        )
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(groups: ""),
            [
                Scene.step(
                    MailboxScene.welcome(1, adder: "@bob", grant: nil),
                    MailboxScene.accepted(1, "@carol.phone", 1)
                ),
                Scene.step(
                    #"{"config":{"id":"%2","device":"@bob.phone","groups":[{"group":"$G","state":"joined"}]}}"#,
                    MailboxScene.accepted(2, "@bob.phone", nil),
                    #"{"groups":{"$G":"joined"}}"#
                ),
                Scene.step(#"{"advance":700000}"#, "[]", #"{"items":["c:0000000000000001"],"groups":{"$G":"joined"}}"#),
            ]
        )
    }

    @Test("M§6.6: what is delivered again is answered with its first cursor, across leaving and coming back")
    func redelivery() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(
                    #"{"archive":{"id":"%1","device":"@bob.phone","ref_group":"$G","ref_seq":2}}"#,
                    MailboxScene.accepted(1, "@bob.phone", 1)
                ),
                Scene.step(MailboxScene.deposit(2, seq: 2), MailboxScene.accepted(2, "@mbx.alice", 2)),
                Scene.step(MailboxScene.deposit(3, seq: 2), MailboxScene.accepted(3, "@mbx.alice", 2, duplicate: true)),
                Scene.step(
                    MailboxScene.deposit(4, seq: 1),
                    MailboxScene.accepted(4, "@mbx.alice", nil, duplicate: true)
                ),
                Scene.step(
                    #"{"config":{"id":"%5","device":"@bob.phone","groups":[{"group":"$G","state":"left"}]}}"#,
                    MailboxScene.accepted(5, "@bob.phone", nil),
                    #"{"groups":{},"items":["c:0000000000000001","c:0000000000000002"]}"#
                ),
                Scene.step(
                    MailboxScene.deposit(6, seq: 3),
                    MailboxScene.error(6, "@mbx.alice", "mailbox.unknown-group")
                ),
                Scene.step(
                    #"{"config":{"id":"%7","device":"@bob.phone","groups":[{"group":"$G","state":"joined","hub":"@mbx.bob"}]}}"#,
                    MailboxScene.accepted(7, "@bob.phone", nil)
                ),
                Scene.step(
                    MailboxScene.deposit(8, seq: 2, from: "@mbx.bob"),
                    MailboxScene.accepted(8, "@mbx.bob", 2, duplicate: true)
                ),
                Scene.step(MailboxScene.deposit(9, seq: 3, from: "@mbx.bob"), MailboxScene.accepted(9, "@mbx.bob", 3)),
            ]
        )
    }

    @Test("M§7.4: the new hub waits for the old one's last items, whatever it sends, then goes on from there")
    func move() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(MailboxScene.deposit(1, seq: 1), MailboxScene.accepted(1, "@mbx.alice", 1)),
                MailboxScene.moved(2, 2),
                Scene.step(
                    MailboxScene.deposit(3, seq: nil, from: "@mbx.bob", "group-info"),
                    MailboxScene.error(3, "@mbx.bob", "mailbox.unknown-group")
                ),
                Scene.step(
                    MailboxScene.deposit(4, seq: 1, from: "@mbx.bob"),
                    MailboxScene.error(4, "@mbx.bob", "mailbox.unknown-group")
                ),
                Scene.step(
                    MailboxScene.welcome(5, adder: "@bob", grant: nil).replacing("@carol.phone", with: "@mbx.bob")
                        .replacing(#""hub":"@mbx.alice""#, with: #""hub":"@mbx.bob","origin":{"identity":"@bob"}"#),
                    MailboxScene.error(5, "@mbx.bob", "mailbox.unknown-group")
                ),
                Scene.step(MailboxScene.deposit(6, seq: 2), MailboxScene.accepted(6, "@mbx.alice", 2)),
                Scene.step(MailboxScene.deposit(7, seq: 2), MailboxScene.accepted(7, "@mbx.alice", 2, duplicate: true)),
                Scene.step(
                    MailboxScene.deposit(8, seq: 3),
                    MailboxScene.error(8, "@mbx.alice", "mailbox.unknown-group")
                ),
                Scene.step(
                    MailboxScene.deposit(9, seq: 2, from: "@mbx.bob"),
                    MailboxScene.error(9, "@mbx.bob", "policy.blocked")
                ),
                Scene.step(
                    MailboxScene.deposit(10, seq: 3, from: "@mbx.bob"),
                    MailboxScene.accepted(10, "@mbx.bob", 3)
                ),
                // Nothing was missing: an old item is a redelivery, not a fill.
                Scene.step(
                    MailboxScene.deposit(11, seq: 1),
                    MailboxScene.accepted(11, "@mbx.alice", 1, duplicate: true)
                ),
                Scene.step(
                    #"{"forward":{"id":"%12","device":"@bob.phone","identity":"@bob","group":"$G","to":"@mbx.alice"}}"#,
                    MailboxScene.error(12, "@bob.phone", "mailbox.unknown-group")
                ),
                Scene.step(
                    #"{"forward":{"id":"%13","device":"@bob.phone","identity":"@bob","group":"$G","to":"@mbx.bob"}}"#,
                    #"[{"forward":{"to":"@mbx.bob","id":"%13"}}]"#
                ),
            ]
        )
    }

    @Test("M§7.4: a device that has not read of a later move yet does not lead back to the hub before")
    func lateMove() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(MailboxScene.deposit(1, seq: 1), MailboxScene.accepted(1, "@mbx.alice", 1)),
                MailboxScene.moved(2, 1),
                Scene.step(MailboxScene.deposit(3, seq: 2, from: "@mbx.bob"), MailboxScene.accepted(3, "@mbx.bob", 2)),
                MailboxScene.moved(4, 2, to: "@mbx.alice"), MailboxScene.moved(5, 1),
                Scene.step(MailboxScene.deposit(6, seq: 3), MailboxScene.accepted(6, "@mbx.alice", 3)),
                MailboxScene.moved(7, 3),
                Scene.step(MailboxScene.deposit(8, seq: 4, from: "@mbx.bob"), MailboxScene.accepted(8, "@mbx.bob", 4)),
            ]
        )
    }

    @Test("M§7.4: who hears of a move when the group is back takes what was ordered meanwhile, and nothing else")
    func returnUnheard() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(MailboxScene.deposit(1, seq: 1), MailboxScene.accepted(1, "@mbx.alice", 1)),
                Scene.step(
                    MailboxScene.deposit(2, seq: 2, from: "@mbx.bob"),
                    MailboxScene.error(2, "@mbx.bob", "mailbox.unknown-group")
                ),
                Scene.step(MailboxScene.deposit(3, seq: 4), MailboxScene.accepted(3, "@mbx.alice", 2)),
                MailboxScene.moved(4, 1),
                Scene.step(MailboxScene.deposit(5, seq: 2, from: "@mbx.bob"), MailboxScene.accepted(5, "@mbx.bob", 3)),
                Scene.step(#"{"restart":{}}"#, "[]"),
                Scene.step(MailboxScene.deposit(6, seq: 5), MailboxScene.accepted(6, "@mbx.alice", 4)),
                Scene.step(MailboxScene.deposit(7, seq: 3, from: "@mbx.bob"), MailboxScene.accepted(7, "@mbx.bob", 5)),
                Scene.step(
                    MailboxScene.deposit(8, seq: 3, from: "@mbx.bob"),
                    MailboxScene.accepted(8, "@mbx.bob", 5, duplicate: true)
                ),
                Scene.step(
                    MailboxScene.deposit(9, seq: 4, from: "@mbx.bob"),
                    MailboxScene.error(9, "@mbx.bob", "mailbox.unknown-group")
                ),
                MailboxScene.moved(10, 5),
                Scene.step(
                    MailboxScene.deposit(11, seq: 6, from: "@mbx.bob"),
                    MailboxScene.accepted(11, "@mbx.bob", 6)
                ),
            ]
        )
    }

    @Test("M§7.4: a wait that ran out is announced once, and what the old hub brings later fills the gap")
    func expiredWait() throws {
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(MailboxScene.deposit(1, seq: 1), MailboxScene.accepted(1, "@mbx.alice", 1)),
                MailboxScene.moved(2, 3), Scene.step(#"{"advance":299}"#, "[]"), Scene.step(#"{"restart":{}}"#, "[]"),
                Scene.step(
                    MailboxScene.deposit(3, seq: 4, from: "@mbx.bob"),
                    MailboxScene.error(3, "@mbx.bob", "mailbox.unknown-group")
                ),
                Scene.step(#"{"advance":1}"#, "[]"),
                Scene.step(
                    MailboxScene.deposit(4, seq: 2, from: "@mbx.bob"),
                    #"[{"handover_expired":{"group":"$G","hub":"@mbx.alice","missing":[2,3]}},"#
                        + MailboxScene.error(4, "@mbx.bob", "policy.blocked").dropFirst()
                ),
                Scene.step(MailboxScene.deposit(5, seq: 4, from: "@mbx.bob"), MailboxScene.accepted(5, "@mbx.bob", 2)),
                Scene.step(MailboxScene.deposit(6, seq: 2), MailboxScene.accepted(6, "@mbx.alice", 3)),
                Scene.step(MailboxScene.deposit(7, seq: 2), MailboxScene.accepted(7, "@mbx.alice", 3, duplicate: true)),
                Scene.step(MailboxScene.deposit(8, seq: 1), MailboxScene.accepted(8, "@mbx.alice", 1, duplicate: true)),
                Scene.step(MailboxScene.deposit(9, seq: 3, "handshake"), MailboxScene.accepted(9, "@mbx.alice", 4)),
                Scene.step(
                    MailboxScene.deposit(10, seq: 4),
                    MailboxScene.error(10, "@mbx.alice", "mailbox.unknown-group")
                ),
            ]
        )
    }

    @Test(
        "M§5.2, M§9.4: only the owner's devices are forwarded, only to the group's hub, and an unreached hub is said so"
    )
    func forwarding() throws {
        let forward = { (id: Int, identity: String, group: String, to: String) in
            #"{"forward":{"id":"%\#(id)","device":"\#(identity).phone","identity":"\#(identity)","group":"\#(group)","to":"\#(to)"}}"#
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(),
            [
                Scene.step(
                    forward(1, "@carol", "$G", "@mbx.alice"),
                    MailboxScene.error(1, "@carol.phone", "policy.blocked")
                ),
                Scene.step(
                    forward(2, "@bob", "$G1", "@mbx.alice"),
                    MailboxScene.error(2, "@bob.phone", "mailbox.unknown-group")
                ),
                Scene.step(
                    forward(3, "@bob", "$G", "@mbx.carol"),
                    MailboxScene.error(3, "@bob.phone", "mailbox.unknown-group")
                ),
                Scene.step(forward(4, "@bob", "$G", "@mbx.alice"), #"[{"forward":{"to":"@mbx.alice","id":"%4"}}]"#),
                Scene.step(
                    #"{"forward_failed":{"id":"%4","device":"@bob.phone","to":"@mbx.alice"}}"#,
                    MailboxScene.error(4, "@bob.phone", "mailbox.hub-unreachable")
                ),
            ]
        )
    }

    @Test("M§4.4: the quota is the last thing that refuses a deposit, and never one that is stored already")
    func quota() throws {
        let archive = { (id: Int, seq: Int) in
            #"{"archive":{"id":"%\#(id)","device":"@bob.phone","ref_group":"$G","ref_seq":\#(seq),"size":40}}"#
        }
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(#","quota_bytes":100"#),
            [
                Scene.step(
                    MailboxScene.deposit(1, seq: 1, size: 60),
                    MailboxScene.accepted(1, "@mbx.alice", 1),
                    #"{"used_bytes":60}"#
                ),
                Scene.step(archive(2, 1), MailboxScene.accepted(2, "@bob.phone", 2), #"{"used_bytes":100}"#),
                Scene.step(
                    MailboxScene.deposit(3, seq: 2, size: 1),
                    MailboxScene.error(3, "@mbx.alice", "mailbox.quota-exceeded")
                ),
                Scene.step(
                    MailboxScene.deposit(4, seq: 1, size: 60),
                    MailboxScene.accepted(4, "@mbx.alice", 1, duplicate: true)
                ),
                Scene.step(archive(5, 1), MailboxScene.accepted(5, "@bob.phone", 2, duplicate: true)),
                Scene.step(archive(6, 2), MailboxScene.error(6, "@bob.phone", "mailbox.quota-exceeded")),
                Scene.step(
                    MailboxScene.welcome(7, adder: "@bob", grant: nil, group: "$G1", #","size":1"#),
                    MailboxScene.error(7, "@carol.phone", "mailbox.quota-exceeded"),
                    #"{"groups":{"$G":"joined"},"used_bytes":100}"#
                ),
                Scene.step(
                    MailboxScene.contact(8, "@carol", "introduction"),
                    MailboxScene.accepted(8, "@carol.phone", 3),
                    #"{"used_bytes":100}"#
                ),
            ]
        )
        try Scene.play(
            "mailbox-trace",
            MailboxScene.context(#","quota_bytes":100"#),
            [
                Scene.step(
                    MailboxScene.deposit(1, seq: nil, "group-info", size: 60),
                    MailboxScene.accepted(1, "@mbx.alice", 1)
                ),
                // What it would replace still counts.
                Scene.step(
                    MailboxScene.deposit(2, seq: nil, "group-info", size: 60),
                    MailboxScene.error(2, "@mbx.alice", "mailbox.quota-exceeded"),
                    #"{"items":["c:0000000000000001"]}"#
                ),
                Scene.step(
                    MailboxScene.deposit(3, seq: nil, "group-info", size: 40),
                    MailboxScene.accepted(3, "@mbx.alice", 2),
                    #"{"items":["c:0000000000000002"],"used_bytes":40}"#
                ),
            ]
        )
    }
}
