import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("The hub of a group") struct HubTests {
    private func context(_ more: String = #""kind":"group","#) -> String {
        #"{\#(more)"hub":"@mbx.alice","group":"$G","now":1760000000,"epoch":1,"#
            + #""roster":{"@alice":["@alice.phone","@alice.laptop"],"@bob":["@bob.phone"]}}"#
    }

    private func deposit(
        _ id: Int,
        _ device: String,
        _ itemClass: String = "application",
        epoch: Int = 1,
        digest: String? = nil,
        _ more: String = ""
    ) -> String {
        let identity = device.prefix { $0 != "." }
        return #"{"deposit":{"id":"%\#(id)","device":"\#(device)","identity":"\#(identity)","class":"\#(itemClass)","#
            + #""epoch":\#(epoch),"digest":"\#(digest ?? "d\(id)")"\#(more)}}"#
    }

    private func commit(_ adds: String = "", removes: String = "", _ more: String = "") -> String {
        #","commit":{"adds":[\#(adds)],"removes":[\#(removes)]\#(more)}"#
    }

    private func leaf(_ device: String, _ more: String = "") -> String {
        #"{"identity":"\#(device.prefix { $0 != "." })","device":"\#(device)"\#(more)}"#
    }

    private func accepted(_ id: Int, _ device: String, _ seq: Int?, duplicate: Bool = false) -> String {
        #"{"accepted":{"to":"\#(device)","in_reply_to":"%\#(id)""# + (seq.map { #","seq":\#($0)"# } ?? "")
            + (duplicate ? #","duplicate":true}}"# : "}}")
    }

    private func error(_ id: Int, _ device: String, _ reason: String) -> String {
        #"[{"error":{"to":"\#(device)","in_reply_to":"%\#(id)","reason":"\#(reason)"}}]"#
    }

    private func fanout(_ to: String, _ seq: Int, _ itemClass: String = "application") -> String {
        #"{"fanout":{"to":"\#(to)","seq":\#(seq),"class":"\#(itemClass)"}}"#
    }

    private func list(_ emissions: String...) -> String { "[" + emissions.joined(separator: ",") + "]" }

    private func ack(_ identity: String, _ seq: Int, welcome: Bool = false) -> String {
        #"{"ack":{"identity":"\#(identity)","seq":\#(seq)\#(welcome ? #","class":"welcome""# : "")}}"#
    }

    @Test(
        "M§6.5 rules 4–5: items are numbered, answered, and brought to every member in order, the sender's own included"
    )
    func sequence() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@alice.phone"),
                    list(accepted(1, "@alice.phone", 1), fanout("@alice", 1), fanout("@bob", 1)),
                    #"{"epoch":1,"next_seq":2,"pending":{"@alice":[1],"@bob":[1]}}"#
                ),
                Scene.step(deposit(2, "@bob.phone"), list(accepted(2, "@bob.phone", 2))),
                Scene.step(ack("@bob", 2), "[]"), Scene.step(ack("@bob", 1), list(fanout("@bob", 2))),
                Scene.step(ack("@bob", 2), "[]", #"{"pending":{"@alice":[1,2]}}"#),
                Scene.step(#"{"restart":{}}"#, list(fanout("@alice", 1))),
                Scene.step(ack("@carol", 1), "[]"),
            ]
        )
    }

    @Test("M§6.5 rule 2: the first commit of an epoch wins; later ones learn that they lost, or are too old")
    func conflict() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@alice.phone", "handshake", commit()),
                    list(
                        accepted(1, "@alice.phone", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake")
                    ),
                    #"{"epoch":2}"#
                ),
                Scene.step(
                    deposit(2, "@bob.phone", "handshake", commit()),
                    error(2, "@bob.phone", "mailbox.commit-conflict")
                ),
                Scene.step(
                    deposit(3, "@bob.phone", "handshake"),
                    error(3, "@bob.phone", "mailbox.stale-epoch")
                ),
                Scene.step(
                    deposit(4, "@alice.phone", "handshake", epoch: 2, commit()),
                    list(accepted(4, "@alice.phone", 2)),
                    #"{"epoch":3}"#
                ),
                Scene.step(
                    deposit(5, "@bob.phone", "handshake", commit()),
                    error(5, "@bob.phone", "mailbox.stale-epoch")
                ),
                Scene.step(
                    deposit(6, "@bob.phone", "handshake", epoch: 4, commit()),
                    error(6, "@bob.phone", "mailbox.stale-epoch")
                ),
                Scene.step(
                    deposit(7, "@bob.phone", "handshake", epoch: 3),
                    list(accepted(7, "@bob.phone", 3)),
                    #"{"epoch":3}"#
                ),
            ]
        )
    }

    @Test("M§6.5 rule 3: application messages of this epoch and the last are taken, others are stale")
    func staleness() throws {
        try Scene.play(
            "hub-trace",
            context().replacing(#""epoch":1"#, with: #""epoch":5"#),
            [
                Scene.step(deposit(1, "@bob.phone", epoch: 3), error(1, "@bob.phone", "mailbox.stale-epoch")),
                Scene.step(deposit(2, "@bob.phone", epoch: 6), error(2, "@bob.phone", "mailbox.stale-epoch")),
                Scene.step(
                    deposit(3, "@bob.phone", epoch: 4),
                    list(accepted(3, "@bob.phone", 1), fanout("@alice", 1), fanout("@bob", 1))
                ),
            ]
        )
    }

    @Test("M§9.3, M§6.5 order 4: the same bytes again get their first seq, even from somebody removed since")
    func redeposit() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@bob.phone", digest: "same"),
                    list(accepted(1, "@bob.phone", 1), fanout("@alice", 1), fanout("@bob", 1))
                ),
                Scene.step(
                    deposit(2, "@alice.phone", "handshake", commit(removes: leaf("@bob.phone"))),
                    list(accepted(2, "@alice.phone", 2)),
                    #"{"roster":{"@alice":["@alice.laptop","@alice.phone"]},"pending":{"@alice":[1,2],"@bob":[1,2]}}"#
                ),
                Scene.step(
                    deposit(3, "@bob.phone", digest: "same"),
                    list(accepted(3, "@bob.phone", 1, duplicate: true))
                ),
                Scene.step(deposit(4, "@bob.phone"), error(4, "@bob.phone", "policy.blocked")),
                Scene.step(ack("@bob", 1), list(fanout("@bob", 2, "handshake"))),
            ]
        )
    }

    @Test("M§6.5: who was removed, and whose mailbox has left the group, is sent nothing of it any more")
    func parted() throws {
        let (alice, bob) = try people()
        var hub = try hub(of: alice, and: bob, after: 0)
        let isMemberParted = hub.parted(bob)
        #expect(!isMemberParted && hub.queues[bob] != nil)
        let actions = hub.received(try removal(of: bob, by: alice), at: 1_760_000_000)
        #expect(!actions.isEmpty && hub.queues[bob] != nil)
        let isParted = hub.parted(bob)
        #expect(isParted && hub.queues[bob] == nil)
        let again = hub.retry()
        #expect(again.allSatisfy { if case .fanOut(let to, _, _) = $0 { to == alice } else { true } })
    }

    @Test("M§7.4: who is removed where the group moved to is told, though their mailbox has not heard of the move yet")
    func partedUnheard() throws {
        let (alice, bob) = try people()
        var hub = try hub(of: alice, and: bob, after: 20)
        _ = hub.received(try removal(of: bob, by: alice), at: 1_760_000_000)
        hub = Hub(restoring: hub.state)
        let isParted = hub.parted(bob)
        #expect(!isParted && hub.nextSeq == 22 && hub.queues[bob]?.seqs(before: 22) == [21])
        let retried = hub.retry()
        #expect(retried.contains { if case .fanOut(bob, 21, _) = $0 { true } else { false } })
        _ = hub.acknowledged(21, by: bob)
        #expect(hub.queues[bob] == nil)
    }

    private func people() throws -> (alice: DID, bob: DID) {
        (try #require(DID("did:web:alice.example")), try #require(DID("did:web:bob.example")))
    }

    /// A hub of two with a device each, which is their identity's own.
    private func hub(of alice: DID, and bob: DID, after handoverSeq: Int64) throws -> Hub {
        let roster = Roster([alice: [alice], bob: [bob]])
        return Hub(group: try #require(GroupID("Zw")), kind: .group, epoch: 1, roster: roster, handoverSeq: handoverSeq)
    }

    private func removal(of bob: DID, by alice: DID) throws -> HubDeposit {
        HubDeposit(
            id: try #require(ULID("01J5Y0QBD8EF9GH0JK1MN2PQ3R")),
            device: alice,
            identity: alice,
            depositClass: .handshake,
            epoch: 1,
            digest: "removal",
            commit: .init(removes: [.init(identity: bob, device: bob)])
        )
    }

    @Test("M§6.5 rule 1: strangers and classes a hub does not take are refused, in that order's right place")
    func refusals() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(deposit(1, "@mallory.phone"), error(1, "@mallory.phone", "policy.blocked")),
                Scene.step(
                    deposit(2, "@mallory.phone", "archive"),
                    error(2, "@mallory.phone", "mailbox.unsupported-class")
                ),
                Scene.step(
                    deposit(3, "@mallory.phone", "handshake", epoch: 9, commit()),
                    error(3, "@mallory.phone", "policy.blocked")
                ),
                Scene.step(
                    deposit(4, "@bob.phone", "handshake", epoch: 9, commit("", removes: "", #","valid":false"#)),
                    error(4, "@bob.phone", "mailbox.stale-epoch")
                ),
                Scene.step(
                    deposit(5, "@bob.phone", "handshake", commit("", removes: "", #","valid":false"#)),
                    error(5, "@bob.phone", "policy.blocked"),
                    #"{"epoch":1,"next_seq":1,"pending":{}}"#
                ),
            ]
        )
    }

    @Test("M§6.5 rule 5: who is brought in gets the welcome, and the rest only once its mailbox has taken it")
    func welcome() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@alice.phone", "handshake", commit(leaf("@carol.phone"))),
                    list(
                        accepted(1, "@alice.phone", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake"),
                        fanout("@carol", 1, "welcome")
                    ),
                    #"{"welcomes":{"@carol":[1]},"pending":{"@alice":[1],"@bob":[1]}}"#
                ),
                Scene.step(deposit(2, "@alice.phone", epoch: 2), list(accepted(2, "@alice.phone", 2))),
                Scene.step(deposit(3, "@bob.phone", epoch: 2), list(accepted(3, "@bob.phone", 3))),
                // An acknowledgement from one still waiting moves its queue and sends nothing.
                Scene.step(ack("@carol", 2), "[]", #"{"pending":{"@alice":[1,2,3],"@bob":[1,2,3],"@carol":[3]}}"#),
                Scene.step(
                    #"{"restart":{}}"#,
                    list(
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake"),
                        fanout("@carol", 1, "welcome")
                    )
                ),
                Scene.step(ack("@carol", 1, welcome: true), list(fanout("@carol", 3)), #"{"welcomes":{}}"#),
            ]
        )
    }

    @Test("M§6.5 rule 5: a member's own new device is welcomed, and its identity's queue is not held")
    func ownDevice() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@bob.phone", "handshake", commit(leaf("@bob.laptop"))),
                    list(
                        accepted(1, "@bob.phone", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake"),
                        fanout("@bob", 1, "welcome")
                    )
                ),
                Scene.step(ack("@bob", 1, welcome: true), "[]"), Scene.step(ack("@bob", 1, welcome: true), "[]"),
                Scene.step(deposit(2, "@alice.phone", epoch: 2), list(accepted(2, "@alice.phone", 2))),
                Scene.step(ack("@bob", 1), list(fanout("@bob", 2))),
                Scene.step(
                    deposit(3, "@bob.phone", "handshake", epoch: 2, commit(leaf("@bob.laptop"))),
                    list(accepted(3, "@bob.phone", 3)),
                    #"{"welcomes":{}}"#
                ),
            ]
        )
    }

    @Test("M§7.3: devices are their identity's affair; whole identities and lapsed leaves may be removed by anybody")
    func roster() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@bob.phone", "handshake", commit(#"{"identity":"@alice","device":"@bob.tablet"}"#)),
                    error(1, "@bob.phone", "policy.blocked")
                ),
                Scene.step(
                    deposit(2, "@bob.phone", "handshake", commit(removes: leaf("@alice.laptop"))),
                    error(2, "@bob.phone", "policy.blocked")
                ),
                Scene.step(
                    deposit(
                        3,
                        "@bob.phone",
                        "handshake",
                        commit(removes: leaf("@alice.laptop", #","delegation_valid":false"#))
                    ),
                    list(
                        accepted(3, "@bob.phone", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake")
                    ),
                    #"{"roster":{"@alice":["@alice.phone"],"@bob":["@bob.phone"]}}"#
                ),
                Scene.step(
                    deposit(4, "@bob.phone", "handshake", epoch: 2, commit(removes: leaf("@alice.phone"))),
                    list(accepted(4, "@bob.phone", 2)),
                    #"{"roster":{"@bob":["@bob.phone"]}}"#
                ),
            ]
        )
    }

    @Test("M§6.8: an external commit joins a device of a member and nothing else")
    func externalCommit() throws {
        let external = #","external":true"#
        try Scene.play(
            "hub-trace",
            context(#""kind":"direct","#),
            [
                Scene.step(
                    deposit(1, "@mallory.phone", "handshake", commit(leaf("@mallory.phone"), removes: "", external)),
                    error(1, "@mallory.phone", "policy.blocked")
                ),
                Scene.step(
                    deposit(
                        2,
                        "@bob.tablet",
                        "handshake",
                        commit(leaf("@bob.tablet"), removes: leaf("@alice.phone"), external)
                    ),
                    error(2, "@bob.tablet", "policy.blocked")
                ),
                Scene.step(
                    deposit(
                        3,
                        "@bob.tablet",
                        "handshake",
                        commit(leaf("@bob.tablet"), removes: leaf("@bob.phone"), external)
                    ),
                    list(
                        accepted(3, "@bob.tablet", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake")
                    ),
                    #"{"epoch":2,"welcomes":{}}"#
                ),
            ]
        )
        try Scene.play(
            "hub-trace",
            #"{"kind":"personal","owner":"@bob","group":"$G","now":0,"epoch":1,"roster":{}}"#,
            [
                Scene.step(
                    deposit(1, "@bob.tablet", "handshake", commit(leaf("@bob.tablet"), removes: "", external)),
                    list(accepted(1, "@bob.tablet", 1)),
                    #"{"pending":{},"roster":{"@bob":["@bob.tablet"]}}"#
                )
            ]
        )
    }

    @Test("M§7.4: a hub orders the commit that moves its group, drains its queues, and takes nothing more")
    func move() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@bob.phone", "handshake", commit("", removes: "", #","moves_to":"@mbx.bob""#)),
                    list(
                        accepted(1, "@bob.phone", 1),
                        fanout("@alice", 1, "handshake"),
                        fanout("@bob", 1, "handshake")
                    ),
                    #"{"moved_to":"@mbx.bob"}"#
                ),
                Scene.step(deposit(2, "@bob.phone", epoch: 2), error(2, "@bob.phone", "mailbox.unknown-group")),
                Scene.step(
                    deposit(1, "@bob.phone", "handshake", digest: "d1"),
                    error(1, "@bob.phone", "mailbox.unknown-group")
                ),
                Scene.step(ack("@bob", 1), "[]", #"{"pending":{"@alice":[1]}}"#),
            ]
        )
        let group = try #require(GroupID(Scene.group(0)))
        let next = Hub(group: group, kind: .group, epoch: 2, roster: Roster(), handoverSeq: 7)
        #expect(next.nextSeq == 8)
    }

    @Test("M§11.2: activity is passed on to others, never numbered, never kept, and not after its end")
    func ephemeral() throws {
        let say = { (id: Int, end: Int) in
            self.deposit(id, "@alice.phone", "ephemeral", #","expires_at":\#(1_760_000_000 + end)"#)
        }
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    say(1, 10),
                    #"[{"forward":{"to":"@bob","class":"ephemeral"}}]"#,
                    #"{"next_seq":1,"pending":{}}"#
                ),
                Scene.step(say(2, -1), "[]"),
                Scene.step(
                    deposit(3, "@mallory.phone", "ephemeral", #","expires_at":1760000010"#),
                    error(3, "@mallory.phone", "policy.blocked")
                ),
            ]
        )
    }

    @Test("M§6.5: a GroupInfo is kept as the latest and has no number")
    func groupInfo() throws {
        try Scene.play(
            "hub-trace",
            context(),
            [
                Scene.step(
                    deposit(1, "@alice.phone", "group-info"),
                    list(
                        accepted(1, "@alice.phone", nil),
                        #"{"forward":{"to":"@alice","class":"group-info"}}"#,
                        #"{"forward":{"to":"@bob","class":"group-info"}}"#
                    ),
                    #"{"group_info":true,"next_seq":1}"#
                )
            ]
        )
    }
}
