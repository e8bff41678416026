import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("A device in a conversation") struct ConversationTests {
    private func context(_ policy: String, members: Int = 2, me: String = "@bob") -> String {
        #"{"me":"\#(me)","now":1760000000,"member_identities":\#(members),"policy":{\#(policy)}}"#
    }

    private func content(_ seq: Int, _ id: String, _ sender: String = "@alice", kind: String = "text") -> String {
        #"{"seq":\#(seq),"object":{"object":"content","id":"\#(id)","sender":"\#(sender)","kind":"\#(kind)"}}"#
    }

    private func receipt(_ seq: Int, _ kind: String, _ sender: String, _ about: String, at: Int = 1_760_000_000)
        -> String
    {
        #"{"seq":\#(seq),"object":{"object":"receipt","kind":"\#(kind)","sender":"\#(sender)","sent_at":\#(at),\#(about)}}"#
    }

    private func sync(_ items: String...) -> String { #"{"sync":{"items":[\#(items.joined(separator: ","))]}}"# }

    @Test("M§10.2: one delivered receipt for a batch, without what a sibling has told already")
    func delivered() throws {
        try Scene.play(
            "client-trace",
            context(#""delivered":true"#),
            [
                Scene.step(
                    sync(
                        content(1, "%1"),
                        content(2, "%2"),
                        content(3, "%3", "@bob"),
                        receipt(4, "delivered", "@bob", #""targets":["%1"]"#)
                    ),
                    #"[{"archive":{"seq":4}},{"send":{"to":"conversation","receipt":"delivered","targets":["%2"]}}]"#,
                    #"{"timeline":["%1","%2","%3"],"delivered":{"%1":{"@bob":1760000000}}}"#
                ),
                Scene.step(sync(content(1, "%1"), content(9, "%2")), "[]", #"{"timeline":["%1","%2","%3"]}"#),
            ]
        )
    }

    @Test("M§10.2: nothing is told in a group of more than 32 identities, nor when the person says no")
    func deliveredOff() throws {
        for context in [context(#""delivered":true"#, members: 33), context(#""delivered":false"#)] {
            try Scene.play("client-trace", context, [Scene.step(sync(content(1, "%1")), "[]")])
        }
    }

    @Test("M§10.2: a batch of more than 256 is told in several receipts")
    func deliveredBatches() throws {
        let me = try #require(DID("did:web:bob.example"))
        let alice = try #require(DID("did:web:alice.example"))
        var client = ConversationClient(me: me, memberIdentities: 2)
        var generator = SystemRandomNumberGenerator()
        let items = (1...600).map { seq in
            (
                seq: Int64(seq),
                item: ConversationClient.Item.content(
                    .init(id: ULID(milliseconds: UInt64(seq), using: &generator), sender: alice, kind: .text)
                )
            )
        }
        let sizes = client.received(items, at: 0).map {
            if case .send(.delivered(let targets), to: .conversation) = $0 { targets.count } else { 0 }
        }
        #expect(sizes == [256, 256, 88])
        #expect(client.unread == 600)
    }

    @Test("M§10.2: receipts collapse to the lowest seq, the sender's own is ignored, and only a change is archived")
    func collapse() throws {
        try Scene.play(
            "client-trace",
            context("", me: "@alice"),
            [
                Scene.step(
                    sync(
                        content(1, "%1"),
                        receipt(3, "delivered", "@bob", #""targets":["%1"]"#, at: 1_760_000_003),
                        receipt(4, "delivered", "@bob", #""targets":["%1"]"#, at: 1_760_000_004),
                        receipt(5, "delivered", "@alice", #""targets":["%1"]"#),
                        receipt(6, "delivered", "@bob", #""targets":["%9"]"#)
                    ),
                    #"[{"archive":{"seq":3}}]"#,
                    #"{"delivered":{"%1":{"@bob":1760000003}}}"#
                ),
                Scene.step(
                    sync(receipt(2, "delivered", "@bob", #""targets":["%1"]"#, at: 1_760_000_002)),
                    "[]",
                    #"{"delivered":{"%1":{"@bob":1760000002}}}"#
                ),
            ]
        )
    }

    @Test("M§10.3: watermarks only advance, at most one in five seconds, the latest last")
    func read() throws {
        let send = { (id: String) in #"[{"send":{"to":"conversation","receipt":"read","through":"\#(id)"}}]"# }
        try Scene.play(
            "client-trace",
            context(#""read":true"#),
            [
                Scene.step(sync(content(1, "%1"), content(2, "%2"), content(3, "%3"), content(4, "%4")), "[]"),
                Scene.step(#"{"read":{"through":"%1"}}"#, send("%1"), #"{"read_through":{"@bob":"%1"}}"#),
                Scene.step(#"{"read":{"through":"%9"}}"#, "[]"), Scene.step(#"{"advance":1}"#, "[]"),
                Scene.step(#"{"read":{"through":"%2"}}"#, "[]", #"{"read_through":{"@bob":"%2"}}"#),
                Scene.step(#"{"read":{"through":"%3"}}"#, "[]"), Scene.step(#"{"read":{"through":"%2"}}"#, "[]"),
                Scene.step(#"{"advance":3}"#, "[]"), Scene.step(#"{"advance":1}"#, send("%3")),
                Scene.step(#"{"advance":60}"#, "[]"),
                Scene.step(
                    sync(
                        receipt(5, "read", "@alice", #""through":"%1""#),
                        receipt(6, "read", "@alice", #""through":"%1""#)
                    ),
                    #"[{"archive":{"seq":5}}]"#,
                    #"{"read_through":{"@bob":"%3","@alice":"%1"}}"#
                ),
            ]
        )
    }

    @Test("M§10.3: a sibling's watermark takes the place of one that was about to be told")
    func siblingReads() throws {
        try Scene.play(
            "client-trace",
            context(#""read":true"#),
            [
                Scene.step(sync(content(1, "%1"), content(2, "%2"), content(3, "%3")), "[]"),
                Scene.step(
                    #"{"read":{"through":"%1"}}"#,
                    #"[{"send":{"to":"conversation","receipt":"read","through":"%1"}}]"#
                ),
                Scene.step(#"{"read":{"through":"%2"}}"#, "[]"),
                Scene.step(sync(receipt(4, "read", "@bob", #""through":"%3""#)), #"[{"archive":{"seq":4}}]"#),
                Scene.step(#"{"advance":10}"#, "[]"), Scene.step(#"{"read":{"through":"%2"}}"#, "[]"),
            ]
        )
    }

    @Test("M§10.5: what others are not to know goes to the person's own devices only")
    func readPrivately() throws {
        try Scene.play(
            "client-trace",
            context(""),
            [
                Scene.step(sync(content(1, "%1")), "[]"),
                Scene.step(
                    #"{"read":{"through":"%1"}}"#,
                    #"[{"send":{"to":"personal","receipt":"read","through":"%1"}}]"#
                ),
            ]
        )
    }

    @Test("M§10.4: played is told once, for recordings of others, and only when the person agreed")
    func played() throws {
        try Scene.play(
            "client-trace",
            context(#""played":true"#),
            [
                Scene.step(
                    sync(
                        content(1, "%1", kind: "audio"),
                        content(2, "%2"),
                        content(3, "%3", "@bob", kind: "video"),
                        content(4, "%4", kind: "video"),
                        receipt(5, "played", "@bob", #""targets":["%4","%2"]"#)
                    ),
                    #"[{"archive":{"seq":5}}]"#,
                    #"{"played":{"%4":{"@bob":1760000000}}}"#
                ),
                Scene.step(
                    #"{"play":{"id":"%1"}}"#,
                    #"[{"send":{"to":"conversation","receipt":"played","targets":["%1"]}}]"#
                ),
                Scene.step(#"{"play":{"id":"%1"}}"#, "[]"), Scene.step(#"{"play":{"id":"%2"}}"#, "[]"),
                Scene.step(#"{"play":{"id":"%3"}}"#, "[]"), Scene.step(#"{"play":{"id":"%4"}}"#, "[]"),
            ]
        )
        try Scene.play(
            "client-trace",
            context(""),
            [
                Scene.step(sync(content(1, "%1", kind: "audio")), "[]"), Scene.step(#"{"play":{"id":"%1"}}"#, "[]"),
            ]
        )
    }

    @Test("M§11.2: typing is refreshed every five seconds at most, and stopping is always told")
    func typing() throws {
        let act = { (state: String) in #"{"activity":{"activity":"typing","state":"\#(state)"}}"# }
        let send = { (state: String) in #"[{"send":{"to":"conversation","activity":"typing","state":"\#(state)"}}]"# }
        try Scene.play(
            "client-trace",
            context(#""activity":true"#),
            [
                Scene.step(act("active"), send("active")), Scene.step(#"{"advance":4}"#, "[]"),
                Scene.step(act("active"), "[]"), Scene.step(#"{"advance":1}"#, "[]"),
                Scene.step(act("active"), send("active")), Scene.step(act("stopped"), send("stopped")),
                Scene.step(act("active"), send("active")),
            ]
        )
        try Scene.play(
            "client-trace",
            context(""),
            [Scene.step(act("active"), "[]"), Scene.step(act("stopped"), "[]")]
        )
    }

    @Test("M§11.2: somebody's typing shows until its deposit ends, unless they stop")
    func typingShown() throws {
        let act = { (state: String, end: Int) in
            #"{"activity_in":{"sender":"@alice","activity":"typing","state":"\#(state)","expires_at":\#(1_760_000_000 + end)}}"#
        }
        try Scene.play(
            "client-trace",
            context(""),
            [
                Scene.step(act("active", -1), "[]", #"{"activity":{}}"#),
                Scene.step(act("active", 10), "[]", #"{"activity":{"@alice":{"typing":1760000010}}}"#),
                Scene.step(#"{"advance":5}"#, "[]"),
                Scene.step(act("active", 15), "[]", #"{"activity":{"@alice":{"typing":1760000015}}}"#),
                Scene.step(#"{"advance":10}"#, "[]", #"{"activity":{"@alice":{"typing":1760000015}}}"#),
                Scene.step(#"{"advance":1}"#, "[]", #"{"activity":{}}"#),
                Scene.step(act("active", 20), "[]"), Scene.step(act("stopped", 20), "[]", #"{"activity":{}}"#),
            ]
        )
    }

    @Test("M§12.2: restored history is shown and nothing is said about it")
    func restored() throws {
        try Scene.play(
            "client-trace",
            context(#""delivered":true"#),
            [
                Scene.step(
                    #"{"restore":{"items":[\#(content(1, "%1")),\#(receipt(2, "read", "@carol", #""through":"%1""#))]}}"#,
                    "[]",
                    #"{"timeline":["%1"],"read_through":{"@carol":"%1"}}"#
                ),
                Scene.step(
                    sync(content(3, "%3")),
                    #"[{"send":{"to":"conversation","receipt":"delivered","targets":["%3"]}}]"#
                ),
            ]
        )
    }
}
