import DSIPMessaging
import Testing

@Suite("What a client decides") struct ServiceTests {
    private func entry(
        _ mailbox: String,
        priority: Int? = nil,
        profiles: String = #"["messaging/1.0"]"#,
        _ more: String = ""
    ) -> String {
        #"{"uri":"wss://\#(mailbox.dropFirst())/","bindings":["ws/1.0"],"mailbox":"\#(mailbox)","profiles":\#(profiles)"#
            + (priority.map { #","priority":\#($0)"# } ?? "") + more + "}"
    }

    @Test("M§4.2: the lowest usable entry that takes the connection, in the document's order")
    func selection() throws {
        let document =
            "["
            + [entry("@mbx.carol", priority: 1), entry("@mbx.bob"), entry("@mbx.alice", priority: 0)].joined(
                separator: ","
            )
            + "]"
        try Scene.check(
            "mailbox-select",
            #"{"document_entries":\#(document)}"#,
            #"{"source":"did-document","selected":"@mbx.bob","order":["@mbx.bob","@mbx.alice","@mbx.carol"],"#
                + #""sync_targets":["@mbx.bob","@mbx.alice","@mbx.carol"],"discarded":[]}"#
        )
        try Scene.check(
            "mailbox-select",
            #"{"document_entries":\#(document),"reachable":["@mbx.carol"]}"#,
            #"{"source":"did-document","selected":"@mbx.carol","order":["@mbx.bob","@mbx.alice","@mbx.carol"],"#
                + #""sync_targets":["@mbx.bob","@mbx.alice","@mbx.carol"],"discarded":[]}"#
        )
    }

    @Test("M§4.2: hints serve only whose document lists no mailbox at all")
    func hints() throws {
        let hint = entry("@mbx.bob", #","service":"DSIPMailbox""#)
        try Scene.check(
            "mailbox-select",
            #"{"document_entries":[],"hint_entries":[\#(hint),\#(entry("@mbx.alice"))]}"#,
            #"{"source":"hint","selected":"@mbx.bob","order":["@mbx.bob"],"sync_targets":["@mbx.bob"],"discarded":["@mbx.alice"]}"#
        )
        try Scene.check(
            "mailbox-select",
            #"{"document_entries":[\#(entry("@mbx.alice", profiles: "[]"))],"hint_entries":[\#(hint)]}"#,
            #"{"source":null,"selected":null,"order":[],"sync_targets":[],"discarded":["@mbx.alice"]}"#
        )
    }

    @Test("M§15.4: a hint never moves an established conversation")
    func change() throws {
        for (candidate, source, expect) in [
            ("@mbx.alice", "hint", #"{"switch":false,"reason":"unchanged"}"#),
            ("@mbx.bob", "hint", #"{"switch":false,"reason":"hint-sourced"}"#),
            ("@mbx.bob", "did-document", #"{"switch":true,"reason":"did-document"}"#),
        ] {
            try Scene.check(
                "mailbox-switch",
                #"{"established":{"mailbox":"@mbx.alice","source":"did-document"},"candidate":{"mailbox":"\#(candidate)","source":"\#(source)"}}"#,
                expect
            )
        }
    }

    @Test("M§13.2: voicemail is offered when nobody was there, never when somebody said no for good")
    func voicemail() throws {
        let ask = { (type: String, reason: String) in
            #"{"voicemail":{"max_duration_s":180},"can_send":true,"outcome":{"type":"\#(type)","reason":"\#(reason)"}}"#
        }
        for reason in ["user.no-answer", "user.declined", "endpoint.busy", "endpoint.unavailable", "endpoint.asleep"] {
            try Scene.check("voicemail-offer", ask("reject", reason), #"{"offer":true,"max_duration_s":180}"#)
        }
        try Scene.check("voicemail-offer", ask("cancel", "session.timeout"), #"{"offer":true,"max_duration_s":180}"#)
        for reason in [
            "user.blocked", "user.vexed", "policy.blocked", "identity.unknown", "media.unsupported",
            "endpoint.capability", "session.timeout",
        ] {
            try Scene.check("voicemail-offer", ask("reject", reason), #"{"offer":false}"#)
        }
        try Scene.check("voicemail-offer", ask("cancel", "user.cancelled"), #"{"offer":false}"#)
        try Scene.check(
            "voicemail-offer",
            ask("reject", "endpoint.busy").replacing(#"{"max_duration_s":180}"#, with: "null"),
            #"{"offer":false}"#
        )
        try Scene.check(
            "voicemail-offer",
            ask("reject", "endpoint.busy").replacing("true", with: "false"),
            #"{"offer":false}"#
        )
    }

    @Test("M§13.3: a device that rang and was not answered tells its siblings, once a call")
    func callEvents() throws {
        let ask = { (alerted: Bool, here: Bool, by: String, reason: String) in
            #"{"alerted":\#(alerted),"answered_here":\#(here),"ended_by":"\#(by)","reason":"\#(reason)"}"#
        }
        for (input, expect) in [
            (ask(true, false, "remote", "user.cancelled"), #"{"send":true,"outcome":"missed"}"#),
            (ask(true, false, "local", "user.no-answer"), #"{"send":true,"outcome":"missed"}"#),
            (ask(true, false, "local", "user.declined"), #"{"send":true,"outcome":"declined"}"#),
            (ask(true, false, "remote", "user.declined"), #"{"send":true,"outcome":"missed"}"#),
            (ask(true, false, "remote", "session.answered-elsewhere"), #"{"send":false}"#),
            (ask(true, true, "remote", "user.hangup"), #"{"send":false}"#),
            (ask(false, false, "remote", "user.cancelled"), #"{"send":false}"#),
        ] { try Scene.check("call-event", input, expect) }
        try Scene.check(
            "peer-timeline",
            #"{"content":[{"id":"a","at":10},{"id":"b","at":5},{"id":"c","at":30}],"calls":["#
                + #"{"session":"s1","at":7,"outcome":"missed"},{"session":"s2","at":20,"outcome":"missed"},"#
                + #"{"session":"s1","at":8,"outcome":"missed"},{"session":"s3","at":40,"outcome":"declined"}]}"#,
            #"{"timeline":["call:s1","content:a","content:b","call:s2","content:c","call:s3"],"collapsed":["s1"]}"#
        )
    }

    @Test("M§14.2: whoever may only call may leave voicemail, and the rest waits among the requests")
    func inviteOnly() {
        #expect(Admission.mayRender(.voicemail, withInviteOnly: true))
        #expect(Admission.mayRender(.callbackRequest, withInviteOnly: true))
        #expect(!Admission.mayRender(.message, withInviteOnly: true))
        #expect(Admission.mayRender(.message, withInviteOnly: false))
    }
}
