import DSIPMessaging
import DSIPSignaling
import Encoding
import Testing

@Suite("A device reading its mailbox") struct DeviceTests {
    @Test("M§6.5: a handshake beyond a gap waits for the gap, and application items behind it wait too")
    func heldHandshake() throws {
        try Scene.play(
            "gap-trace",
            #"{"now":0,"contiguous":1}"#,
            [
                Scene.step(
                    #"{"item":{"seq":3,"class":"handshake"}}"#,
                    #"[{"hold":3}]"#,
                    #"{"contiguous":1,"held":[3]}"#
                ),
                Scene.step(#"{"item":{"seq":4,"class":"application"}}"#, #"[{"hold":4}]"#),
                Scene.step(#"{"item":{"seq":3,"class":"handshake"}}"#, #"[{"duplicate":3}]"#),
                Scene.step(
                    #"{"item":{"seq":2,"class":"application"}}"#,
                    #"[{"process":2},{"process":3},{"process":4}]"#,
                    #"{"contiguous":4,"held":[]}"#
                ),
            ]
        )
    }

    @Test("M§6.5: an application item beyond a gap with no handshake held before it is processed at once")
    func applicationBeyondGap() throws {
        try Scene.play(
            "gap-trace",
            #"{"now":0,"contiguous":0}"#,
            [
                Scene.step(#"{"item":{"seq":3,"class":"application"}}"#, #"[{"process":3}]"#, #"{"contiguous":0}"#),
                Scene.step(#"{"item":{"seq":5,"class":"handshake"}}"#, #"[{"hold":5}]"#),
                Scene.step(#"{"item":{"seq":4,"class":"application"}}"#, #"[{"process":4}]"#),
                Scene.step(
                    #"{"item":{"seq":1,"class":"handshake"}}"#,
                    #"[{"process":1}]"#,
                    #"{"contiguous":1,"held":[5]}"#
                ),
                Scene.step(
                    #"{"item":{"seq":2,"class":"application"}}"#,
                    #"[{"process":2},{"process":5}]"#,
                    #"{"contiguous":5,"held":[]}"#
                ),
                Scene.step(#"{"item":{"seq":4,"class":"application"}}"#, #"[{"duplicate":4}]"#),
            ]
        )
    }

    @Test("M§6.5: a gap that does not fill in time is given up by re-joining, and what was held is dropped")
    func rejoin() throws {
        try Scene.play(
            "gap-trace",
            #"{"now":1760000000,"contiguous":1,"gap_timeout":5}"#,
            [
                Scene.step(#"{"item":{"seq":3,"class":"handshake"}}"#, #"[{"hold":3}]"#),
                Scene.step(#"{"advance":4}"#, "[]"),
                Scene.step(#"{"item":{"seq":6,"class":"application"}}"#, #"[{"hold":6}]"#),
                Scene.step(#"{"advance":1}"#, #"[{"rejoin":{"held":[3,6]}}]"#, #"{"contiguous":6,"held":[]}"#),
                Scene.step(#"{"item":{"seq":2,"class":"application"}}"#, #"[{"duplicate":2}]"#),
                Scene.step(#"{"advance":500}"#, "[]"),
            ]
        )
    }

    @Test("M§6.5: a hub that leaves endless holes fills no memory")
    func bounds() {
        var position = GroupPosition(contiguous: 0)
        for seq in stride(from: Int64(2), through: 200_000, by: 2) { position.pass(seq) }
        #expect(position.beyond.count <= GroupPosition.maximumBeyond)
        #expect(position.highest == 200_000)
        var tracker = GapTracker(position: GroupPosition(contiguous: 0))
        var rejoined = false
        for seq in Int64(2)...2_000 {
            for action in tracker.received(seq, isHandshake: true, at: 0) {
                if case .rejoin = action { rejoined = true }
            }
        }
        #expect(rejoined && tracker.held.count <= GapTracker.maximumHeld)
        let behind = tracker.rejoined(at: .max)
        #expect(behind.isEmpty)
        #expect(tracker.missed.count == GapTracker.maximumMissed && tracker.missed.last == .max)
    }

    @Test("M§6.5: what this device sent counts as processed")
    func ownItems() {
        var tracker = GapTracker(position: GroupPosition(contiguous: 4))
        #expect(tracker.received(6, isHandshake: true, at: 0) == [.hold(6)])
        #expect(tracker.sent(5) == [.process(6)])
        #expect(tracker.received(5, isHandshake: true, at: 0) == [.duplicate(5)])
    }

    @Test("M§6.5, M§8.5: the welcome says where a device starts; what is later and lower is still its own")
    func startingPosition() throws {
        try Scene.play(
            "resume-trace",
            #"{"cursor":null,"groups":{},"joined":[]}"#,
            [
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:1","class":"welcome","group":"$G","sibling":true,"seq":3},"#
                        + #"{"cursor":"c:2","class":"welcome","group":"$G","seq":7},"#
                        + #"{"cursor":"c:3","class":"application","group":"$G","seq":9}]}}"#,
                    #"[{"sibling":"c:1"},{"process":"c:2"},{"process":"c:3"}]"#,
                    #"{"cursor":"c:3","groups":{"$G":{"contiguous":7,"seen":[9]}},"joined":["$G"]}"#
                ),
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:4","class":"application","group":"$G","seq":8},"#
                        + #"{"cursor":"c:5","class":"application","group":"$G","seq":6},"#
                        + #"{"cursor":"c:6","class":"welcome","group":"$G","seq":9}]}}"#,
                    #"[{"process":"c:4"},{"duplicate":"c:5"},{"duplicate":"c:6"}]"#,
                    #"{"groups":{"$G":{"contiguous":9,"seen":[]}}}"#
                ),
            ]
        )
    }

    @Test("M§8.5: a welcome without a seq starts at the first item processed, and GroupInfo is applied every time")
    func startWithoutSeq() throws {
        try Scene.play(
            "resume-trace",
            #"{"cursor":null,"groups":{},"joined":[]}"#,
            [
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:1","class":"welcome","group":"$G"},"#
                        + #"{"cursor":"c:2","class":"application","group":"$G","seq":4},"#
                        + #"{"cursor":"c:3","class":"group-info","group":"$G"},"#
                        + #"{"cursor":"c:4","class":"group-info","group":"$G"}]}}"#,
                    #"[{"process":"c:1"},{"process":"c:2"},{"process":"c:3"},{"process":"c:4"}]"#,
                    #"{"groups":{"$G":{"contiguous":4,"seen":[]}}}"#
                )
            ]
        )
    }

    @Test("M§5.4: a crash before the commit rolls the item back, and the next sync asks for it again")
    func crash() throws {
        try Scene.play(
            "resume-trace",
            #"{"cursor":"c:1","groups":{"$G":{"contiguous":1,"seen":[]}},"joined":["$G"]}"#,
            [
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:2","class":"application","group":"$G","seq":2},"#
                        + #"{"cursor":"c:3","class":"application","group":"$G","seq":3}],"crash_at":"c:3"}}"#,
                    #"[{"process":"c:2"},{"crash":"c:3"}]"#,
                    #"{"cursor":"c:2","groups":{"$G":{"contiguous":2,"seen":[]}}}"#
                ),
                Scene.step(#"{"restart":{}}"#, "[]"),
                Scene.step(#"{"sync":{}}"#, #"[{"sync":{"since":"c:2","ack_through":"c:2"}}]"#),
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:3","class":"application","group":"$G","seq":3}]}}"#,
                    #"[{"process":"c:3"}]"#
                ),
            ]
        )
    }

    @Test("M§5.4, M§6.5, M§6.8: own items, an unknown cursor and a re-join leave nothing to be processed twice")
    func passed() throws {
        try Scene.play(
            "resume-trace",
            #"{"cursor":"c:1","groups":{"$G":{"contiguous":1,"seen":[]}},"joined":["$G"]}"#,
            [
                Scene.step(
                    #"{"sent":{"group":"$G","seq":3}}"#,
                    "[]",
                    #"{"groups":{"$G":{"contiguous":1,"seen":[3]}}}"#
                ),
                Scene.step(#"{"cursor_invalid":{}}"#, "[]", #"{"cursor":null}"#),
                Scene.step(#"{"sync":{}}"#, #"[{"sync":{"since":null}}]"#),
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:9","class":"application","group":"$G","seq":1},"#
                        + #"{"cursor":"c:a","class":"application","group":"$G","seq":3}]}}"#,
                    #"[{"duplicate":"c:9"},{"duplicate":"c:a"}]"#,
                    #"{"cursor":"c:a"}"#
                ),
                Scene.step(
                    #"{"rejoined":{"group":"$G","seq":6}}"#,
                    "[]",
                    #"{"groups":{"$G":{"contiguous":6,"seen":[]}}}"#
                ),
                Scene.step(
                    #"{"items":{"items":[{"cursor":"c:b","class":"handshake","group":"$G","seq":5},"#
                        + #"{"cursor":"c:c","class":"handshake","group":"$G","seq":7}]}}"#,
                    #"[{"duplicate":"c:b"},{"process":"c:c"}]"#
                ),
            ]
        )
    }

    @Test(
        "M§12.2–M§12.3: records wait for their key, copies collapse, and what was said before the join is passed over"
    )
    func history() throws {
        try Scene.play(
            "history-trace",
            #"{"keys":[],"joined":{"$G":4}}"#,
            [
                Scene.step(
                    #"{"archive":{"cursor":"c:1","akid":"%1","group":"$G","seq":1,"id":"a"}}"#,
                    #"[{"hold":"c:1"}]"#,
                    #"{"held":["c:1"],"timeline":[],"current_akid":null}"#
                ),
                Scene.step(
                    #"{"archive":{"cursor":"c:2","akid":"%2","group":"$G","seq":2,"id":"b","object":"receipt"}}"#,
                    #"[{"hold":"c:2"}]"#
                ),
                Scene.step(#"{"mls":{"group":"$G","seq":4,"epoch":4,"id":"d"}}"#, #"[{"show":"d"}]"#),
                Scene.step(
                    #"{"archive_key":{"akid":"%2","created_at":50}}"#,
                    #"[{"apply":"c:2"}]"#,
                    #"{"held":["c:1"]}"#
                ),
                Scene.step(
                    #"{"archive_key":{"akid":"%1","created_at":60}}"#,
                    #"[{"show":"a"}]"#,
                    #"{"timeline":["a","d"],"current_akid":"%1"}"#
                ),
                Scene.step(#"{"mls":{"group":"$G","seq":3,"epoch":3,"id":"c"}}"#, #"[{"prejoin":"c"}]"#),
                Scene.step(#"{"mls":{"group":"$G","seq":1,"epoch":4,"id":"a"}}"#, #"[{"duplicate":"a"}]"#),
                Scene.step(
                    #"{"sent":{"group":"$G","seq":5,"id":"e"}}"#,
                    #"[{"show":"e"},{"archive":{"group":"$G","seq":5,"akid":"%1"}}]"#
                ),
                Scene.step(
                    #"{"sent":{"group":"$G","seq":6,"id":"f","object":"receipt"}}"#,
                    #"[{"archive":{"group":"$G","seq":6,"akid":"%1"}}]"#,
                    #"{"timeline":["a","d","e"]}"#
                ),
                Scene.step(#"{"archive_key":{"akid":"%3","created_at":60}}"#, "[]", #"{"current_akid":"%3"}"#),
            ]
        )
    }

    @Test("M§6.5: a refused commit is made anew at most three times, and only for reasons of order")
    func commitRetry() throws {
        let conflict = Scene.step(#"{"answer":{"reason":"mailbox.commit-conflict"}}"#, #"[{"discard":{}},{"sync":{}}]"#)
        let needed = #"{"synced":{"still_needed":true}}"#
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                conflict, Scene.step(needed, #"[{"repropose":{"attempt":2}}]"#, #"{"attempt":2,"state":"pending"}"#),
                Scene.step(#"{"answer":{"reason":"mailbox.stale-epoch"}}"#, #"[{"discard":{}},{"sync":{}}]"#),
                Scene.step(needed, #"[{"repropose":{"attempt":3}}]"#),
                Scene.step(
                    #"{"answer":{"reason":"mailbox.commit-conflict"}}"#,
                    #"[{"discard":{}},{"surface":"mailbox.commit-conflict"}]"#,
                    #"{"attempt":3,"state":"surfaced"}"#
                ),
                Scene.step(#"{"answer":{}}"#, "[]"),
            ]
        )
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                conflict, Scene.step(#"{"synced":{"still_needed":false}}"#, #"[{"done":{}}]"#, #"{"state":"done"}"#),
            ]
        )
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                Scene.step(
                    #"{"answer":{"reason":"mailbox.quota-exceeded"}}"#,
                    #"[{"discard":{}},{"surface":"mailbox.quota-exceeded"}]"#
                )
            ]
        )
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [Scene.step(#"{"answer":{}}"#, #"[{"merge":{}}]"#, #"{"state":"merged"}"#)]
        )
    }

    @Test("DSIP §15.3, M§7.4: an unknown condition has one retry of its own; an unknown group only when the hub moved")
    func commitFallback() throws {
        let needed = #"{"synced":{"still_needed":true}}"#
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                Scene.step(#"{"answer":{"reason":"mailbox.draining"}}"#, #"[{"discard":{}},{"sync":{}}]"#),
                Scene.step(needed, #"[{"repropose":{"attempt":2}}]"#),
                Scene.step(
                    #"{"answer":{"reason":"mailbox.draining"}}"#,
                    #"[{"discard":{}},{"surface":"mailbox.draining"}]"#
                ),
            ]
        )
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                Scene.step(#"{"answer":{"reason":"mailbox.unknown-group"}}"#, #"[{"discard":{}},{"sync":{}}]"#),
                Scene.step(needed, #"[{"surface":"mailbox.unknown-group"}]"#, #"{"state":"surfaced"}"#),
            ]
        )
        try Scene.play(
            "commit-retry-trace",
            "{}",
            [
                Scene.step(#"{"answer":{"reason":"mailbox.unknown-group"}}"#, #"[{"discard":{}},{"sync":{}}]"#),
                Scene.step(
                    #"{"synced":{"still_needed":true,"hub_moved":true}}"#,
                    #"[{"repropose":{"attempt":2}}]"#
                ),
                Scene.step(#"{"answer":{}}"#, #"[{"merge":{}}]"#),
            ]
        )
    }

    @Test("M§9.4: the outbox backs off to a minute, flushes in order, and ends an outage with the first accepted")
    func outage() throws {
        let down = #"{"answer":{"id":"%1","reason":"mailbox.hub-unreachable"}}"#
        var steps = [
            Scene.step(#"{"deposit":{"id":"%1"}}"#, #"[{"forward":"%1"}]"#, #"{"state":"up","pending":["%1"]}"#)
        ]
        for (index, seconds) in [1, 2, 4, 8, 16, 32, 60, 60].enumerated() {
            let answer = index == 2 ? #"{"no_answer":{"id":"%1"}}"# : index == 3 ? down.quota : down
            steps.append(
                Scene.step(answer, #"[{"retry_in":\#(seconds)}]"#, #"{"attempt":\#(index + 1),"state":"down"}"#)
            )
            steps.append(Scene.step(#"{"advance":\#(seconds)}"#, #"[{"forward":"%1"}]"#))
        }
        steps += [
            Scene.step(#"{"deposit":{"id":"%2"}}"#, #"[{"queued":"%2"}]"#),
            Scene.step(#"{"deposit":{"id":"%3"}}"#, #"[{"queued":"%3"}]"#),
            Scene.step(
                #"{"answer":{"id":"%1"}}"#,
                #"[{"sent":"%1"},{"forward":"%2"},{"forward":"%3"}]"#,
                #"{"state":"up","attempt":0,"down_for":null,"pending":["%2","%3"]}"#
            ),
            Scene.step(
                #"{"answer":{"id":"%2","reason":"policy.blocked"}}"#,
                #"[{"refused":{"id":"%2","reason":"policy.blocked"}}]"#,
                #"{"state":"up","pending":["%3"]}"#
            ),
            Scene.step(#"{"answer":{"id":"%3"}}"#, #"[{"sent":"%3"}]"#), Scene.step(#"{"answer":{"id":"%3"}}"#, "[]"),
        ]
        try Scene.play("hub-outage-trace", #"{"now":1760000000}"#, steps)
    }

    @Test(
        "M§7.5, M§9.4: a hub that stays away is given up, its pending items are handed over, and a failed hand-over is tried again"
    )
    func abandoned() throws {
        try Scene.play(
            "hub-outage-trace",
            #"{"now":1760000000,"hub_timeout":10}"#,
            [
                Scene.step(#"{"handover_failed":{}}"#, "[]"),
                Scene.step(#"{"deposit":{"id":"%1"}}"#, #"[{"forward":"%1"}]"#),
                Scene.step(#"{"no_answer":{"id":"%1"}}"#, #"[{"retry_in":1}]"#),
                Scene.step(#"{"deposit":{"id":"%2"}}"#, #"[{"queued":"%2"}]"#),
                Scene.step(
                    #"{"advance":10}"#,
                    #"[{"successor":{"pending":["%1","%2"]}}]"#,
                    #"{"state":"abandoned","pending":[],"down_for":10,"handover_attempt":0}"#
                ),
                Scene.step(#"{"deposit":{"id":"%3"}}"#, #"[{"refuse":"group-abandoned"}]"#),
                Scene.step(#"{"handover_failed":{}}"#, #"[{"handover_retry_in":1}]"#),
                Scene.step(#"{"handover_failed":{}}"#, #"[{"handover_retry_in":2}]"#, #"{"handover_attempt":2}"#),
                Scene.step(#"{"advance":1}"#, "[]"), Scene.step(#"{"advance":1}"#, #"[{"handover":"retry"}]"#),
                Scene.step(#"{"advance":100}"#, "[]"),
            ]
        )
    }

    @Test("M§9.4: an outbox whose items were all refused while the hub was down still wakes for the next")
    func wakesAfterRefusals() throws {
        try Scene.play(
            "hub-outage-trace",
            #"{"now":0}"#,
            [
                Scene.step(#"{"deposit":{"id":"%1"}}"#, #"[{"forward":"%1"}]"#),
                Scene.step(#"{"no_answer":{"id":"%1"}}"#, #"[{"retry_in":1}]"#),
                Scene.step(#"{"advance":1}"#, #"[{"forward":"%1"}]"#),
                Scene.step(
                    #"{"answer":{"id":"%1","reason":"policy.blocked"}}"#,
                    #"[{"refused":{"id":"%1","reason":"policy.blocked"}}]"#,
                    #"{"state":"down","pending":[]}"#
                ),
                Scene.step(#"{"deposit":{"id":"%2"}}"#, #"[{"queued":"%2"}]"#),
                Scene.step(#"{"advance":1}"#, #"[{"forward":"%2"}]"#),
                Scene.step(#"{"answer":{"id":"%2"}}"#, #"[{"sent":"%2"}]"#, #"{"state":"up"}"#),
            ]
        )
    }

    @Test("M§9.4: an outage in which nothing waits wakes nobody, and gives no hub up")
    func emptyOutage() throws {
        let (first, next) = (try #require(ULID(Scene.id(1))), try #require(ULID(Scene.id(2))))
        var outbox = HubOutage(timeout: 100)
        _ = outbox.deposit(first, at: 0)
        _ = outbox.missedAnswer(first, at: 10)
        let refusal = outbox.receivedRefusal(first, .policyBlocked, at: 10)
        #expect(refusal == [.refused(first, .policyBlocked)] && outbox.state == .down && outbox.deadline == nil)
        let later = outbox.advance(to: 5000)
        #expect(later.isEmpty)
        let queued = outbox.deposit(next, at: 6000)
        #expect(queued == [.queued(next)] && (outbox.deadline ?? .max) <= 6000)
        let tried = outbox.advance(to: 6000)
        #expect(tried == [.deposit(next)])
    }

    @Test("M§9.4: an outbox read from disk retries at once and keeps the start of its outage")
    func restored() throws {
        let id = try #require(ULID(Scene.id(1)))
        var outbox = HubOutage(timeout: 100, pending: [id], downSince: 950, attempt: 3, at: 1000)
        #expect(outbox.advance(to: 1000) == [.deposit(id)])
        #expect(outbox.advance(to: 1050) == [.createSuccessor(pending: [id])])
    }
}

extension String {
    /// The same refusal for want of storage, which is an outage too. M§9.3
    fileprivate var quota: String { replacing("hub-unreachable", with: "quota-exceeded") }
}
