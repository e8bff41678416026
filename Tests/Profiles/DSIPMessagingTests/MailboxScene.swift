import Testing

/// Events and answers of a mailbox in few words.
enum MailboxScene {
    static func context(
        _ more: String = "",
        groups: String = #""$G":{"hub":"@mbx.alice","state":"joined"}"#,
        mode: String = "sync",
        packages: String = ""
    ) -> String {
        #"{"mailbox":"@mbx.bob","owner":"@bob","serves":["@bob"],"devices":["@bob.phone","@bob.laptop"],"now":1760000000,"#
            + #""mode":"\#(mode)","admit":"grant","pending_group_ttl":604800,"pending_group_max_items":2,"#
            + #""groups":{\#(groups)},"key_packages":{\#(packages)}\#(more)}"#
    }

    static func accepted(_ id: Int, _ to: String, _ position: Int?, duplicate: Bool = false) -> String {
        "[" + answer(id, to, position, duplicate: duplicate) + "]"
    }

    static func answer(_ id: Int, _ to: String, _ position: Int?, duplicate: Bool = false) -> String {
        #"{"accepted":{"to":"\#(to)","in_reply_to":"%\#(id)""#
            + (position.map { #","cursor":"\#(cursor($0))""# } ?? "") + (duplicate ? #","duplicate":true}}"# : "}}")
    }

    static func error(_ id: Int, _ to: String, _ reason: String, retryAfter: Int? = nil) -> String {
        #"[{"error":{"to":"\#(to)","in_reply_to":"%\#(id)","reason":"\#(reason)""#
            + (retryAfter.map { #","retry_after":\#($0)"# } ?? "") + "}}]"
    }

    static func cursor(_ position: Int) -> String {
        let digits = String(position, radix: 16)
        return "c:" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func grant(
        to: String = "@carol",
        scope: String = "dsip.message",
        until: Int = 1_760_086_400
    ) -> String {
        #"{"id":"%30","from":"@bob","to":"\#(to)","scope":["\#(scope)"],"valid_until":\#(until)}"#
    }

    static func welcome(
        _ id: Int,
        adder: String,
        grant: String?,
        group: String = "$G",
        _ more: String = ""
    ) -> String {
        #"{"welcome":{"id":"%\#(id)","from":"@carol.phone","adder_identity":"\#(adder)","recipient":"@bob","#
            + #""group":"\#(group)","hub":"@mbx.alice","grant":\#(grant ?? "null")\#(more)}}"#
    }

    static func deposit(
        _ id: Int,
        seq: Int?,
        from: String = "@mbx.alice",
        _ itemClass: String = "application",
        size: Int = 0,
        _ more: String = ""
    ) -> String {
        #"{"hub_deposit":{"id":"%\#(id)","from":"\#(from)","recipient":"@bob","group":"$G","#
            + #""seq":\#(seq.map(String.init) ?? "null"),"class":"\#(itemClass)","size":\#(size)\#(more)}}"#
    }

    /// The owner's device names the new hub.
    static func moved(_ id: Int, _ seq: Int, to hub: String = "@mbx.bob") -> Scene.Step {
        Scene.step(
            #"{"config":{"id":"%\#(id)","device":"@bob.phone","groups":[{"group":"$G","state":"joined","#
                + #""hub":"\#(hub)","handover_seq":\#(seq)}]}}"#,
            accepted(id, "@bob.phone", nil)
        )
    }

    static func sync(_ id: Int, _ device: String, since: Int? = nil, _ more: String = "") -> String {
        #"{"sync":{"id":"%\#(id)","device":"\#(device)","since":\#(since.map { #""\#(cursor($0))""# } ?? "null")\#(more)}}"#
    }

    static func items(_ id: Int, _ to: String, _ positions: [Int], next: Int? = nil) -> String {
        let cursors = positions.map { #""\#(cursor($0))""# }.joined(separator: ",")
        return #"[{"items":{"to":"\#(to)","in_reply_to":"%\#(id)","cursors":[\#(cursors)],"#
            + #""next":\#(next.map { #""\#(cursor($0))""# } ?? "null")}}]"#
    }

    static func push(_ to: String, _ position: Int) -> String {
        #"{"push":{"to":"\#(to)","cursor":"\#(cursor(position))"}}"#
    }

    static func contact(
        _ id: Int,
        _ sender: String,
        _ kind: String,
        to: String = "@bob",
        until: Int = 1_760_604_800,
        _ more: String = ""
    ) -> String {
        #"{"first_contact":{"id":"%\#(id)","from":"\#(sender).phone","sender_identity":"\#(sender)","#
            + #""recipient":"\#(to)","kind":"\#(kind)","expires_at":\#(until)\#(more)}}"#
    }
}
