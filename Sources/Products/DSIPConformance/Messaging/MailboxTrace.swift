import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding

/// `mailbox-trace`. M§4–M§6.6, M§7.4, M§14
struct MailboxTrace: TraceMachine {
    private var mailbox: Mailbox
    private var now: Int64

    init(_ context: JSONValue) throws {
        now = context["now"]?.int ?? 0
        var limits = Mailbox.Limits()
        if let value = context["pending_group_ttl"]?.int { limits.pendingLifetime = value }
        if let value = context["pending_group_max_items"]?.int { limits.pendingItems = Int(value) }
        if let value = context["handover_wait"]?.int { limits.handoverWait = value }
        if let value = context["intro_limit"]?.int { limits.introductions = Int(value) }
        if let value = context["intro_window"]?.int { limits.introductionWindow = value }
        if let value = context["inbox_cap"]?.int { limits.inbox = Int(value) }
        limits.quota = context.optional("quota_bytes")?.int
        var groups: [GroupID: GroupRegistration] = [:]
        for (name, value) in context["groups"]?.object?.members ?? [] {
            groups[try JSONValue.string(name).asGroup("groups")] = GroupRegistration(
                hub: try value.needDID("hub"),
                state: value["state"]?.string == "pending" ? .pending(since: now, admitted: 0, from: 1) : .joined
            )
        }
        var stock: [DID: KeyPackageShelf.Stock] = [:]
        for (name, value) in context["key_packages"]?.object?.members ?? [] {
            stock[try JSONValue.string(name).asDID("key_packages")] = .init(
                oneTime: Int(value["one_time"]?.int ?? 0),
                hasLastResort: value["last_resort"]?.bool ?? false
            )
        }
        mailbox = Mailbox(
            did: try context.needDID("mailbox"),
            owner: try context.needDID("owner"),
            serves: Set(try context.dids("serves")),
            devices: Set(try context.dids("devices")),
            mode: context["mode"]?.string.flatMap(MailboxMode.init(rawValue:)) ?? .sync,
            admit: context["admit"]?.string.flatMap(AdmissionPolicy.init(rawValue:)) ?? .grant,
            groups: groups,
            shelf: KeyPackageShelf(stock),
            limits: limits
        )
    }

    mutating func handle(_ event: String, _ value: JSONValue) throws -> [JSONValue] {
        try actions(event, value).compactMap(emission)
    }

    private mutating func actions(_ event: String, _ value: JSONValue) throws -> [MailboxAction] {
        switch event {
        case "welcome": return mailbox.received(try welcome(value), at: now)
        case "hub_deposit": return mailbox.received(try fanOut(value), at: now)
        case "sync":
            let request = SyncRequest(
                since: try value.optional("since")?.asCursor("since"),
                ackThrough: try value.optional("ack_through")?.asCursor("ack_through"),
                limit: value.optional("limit")?.int,
                live: value["live"]?.bool ?? false
            )
            return mailbox.received(request, id: try value.needULID("id"), from: try value.needDID("device"))
        case "unbind": mailbox.unbound(try value.needDID("device"))
        case "config": return try configure(value)
        case "archive":
            return mailbox.receivedArchive(
                id: try value.needULID("id"),
                from: try value.needDID("device"),
                group: try value.needGroup("ref_group"),
                seq: try value.needInt("ref_seq"),
                size: value["size"]?.int ?? 0,
                at: now
            )
        case "kp_upload":
            return mailbox.uploaded(
                Int(value["one_time"]?.int ?? value["count"]?.int ?? Int64(value["key_packages"]?.array?.count ?? 0)),
                hasLastResort: value["last_resort"]?.bool ?? (value.optional("last_resort") != nil),
                id: try value.needULID("id"),
                from: try value.needDID("device")
            )
        case "kp_fetch":
            let fetch = KeyPackageFetch(
                target: try value.needDID("target"),
                successorOf: try value.optional("successor_of")?.asGroup("successor_of")
            )
            return mailbox.received(
                fetch,
                id: try value.needULID("id"),
                from: try value.needDID("from"),
                of: try value.needDID("from_identity"),
                grant: try grant(value),
                at: now
            )
        case "forward":
            return mailbox.forward(
                try value.needULID("id"),
                from: try value.needDID("device"),
                of: try value.needDID("identity"),
                group: try value.needGroup("group"),
                to: try value.needDID("to")
            )
        case "forward_failed":
            return mailbox.failedForward(try value.needULID("id"), from: try value.needDID("device"))
        case "first_contact":
            let isGrant = try value.needString("kind") == "grant"
            let contact = Mailbox.FirstContact(
                id: try value.needULID("id"),
                from: try value.needDID("from"),
                sender: try value.needDID("sender_identity"),
                recipient: try value.needDID("recipient"),
                kind: isGrant
                    ? .grant(session: try value.optional("session").map(ReceiverContext.ulid)) : .introduction,
                expiresAt: try value.needInt("expires_at")
            )
            return mailbox.received(contact, at: now)
        case "advance":
            now += try value.asInt(event)
            return mailbox.advance(to: now)
        case "restart":
            mailbox = Mailbox(
                restoring: mailbox.state,
                did: mailbox.did,
                owner: mailbox.owner,
                serves: mailbox.serves,
                limits: mailbox.limits
            )
        default: throw VectorFault("no such event: \(event)")
        }
        return []
    }

    private mutating func configure(_ value: JSONValue) throws -> [MailboxAction] {
        let (id, device) = (try value.needULID("id"), try value.needDID("device"))
        let mode = value.optional("mode")?.string
        if let mode, MailboxMode(rawValue: mode) == nil {
            // Refused where the message is read, before the machine sees it.
            return [.error(to: device, inReplyTo: id, .mailboxUnsupportedMode, retryAfter: nil)]
        }
        let groups = try value.list("groups") { entry in
            MailboxConfig.Group(
                try entry.needGroup("group"),
                entry["state"]?.string == "left" ? .left : .joined,
                hub: try entry.optional("hub")?.asDID("hub"),
                hubURI: entry["hub_uri"]?.string,
                handoverSeq: entry.optional("handover_seq")?.int
            )
        }
        let config = MailboxConfig(
            subject: mailbox.owner,
            mode: mode.flatMap(MailboxMode.init(rawValue:)),
            retention: value.optional("retention_s")?.int,
            admit: value["admit"]?.string.flatMap(AdmissionPolicy.init(rawValue:)),
            groups: groups,
            revokedGrants: try value.list("revoked_grants", ReceiverContext.ulid),
            introductionsSent: try value.list("introductions_sent", ReceiverContext.ulid)
        )
        return mailbox.received(
            config,
            id: id,
            from: device,
            revokedDevices: try value.dids("revoked_devices"),
            at: now
        )
    }

    private func grant(_ value: JSONValue) throws -> PresentedGrant? {
        guard let grant = value.optional("grant") else { return nil }
        return PresentedGrant(
            id: try grant.needULID("id"),
            from: try grant.needDID("from"),
            to: try grant.needDID("to"),
            scope: try grant.list("scope") { try $0.asString("scope") },
            validUntil: try grant.needInt("valid_until")
        )
    }

    private func welcome(_ value: JSONValue) throws -> Mailbox.WelcomeDeposit {
        Mailbox.WelcomeDeposit(
            id: try value.needULID("id"),
            from: try value.needDID("from"),
            adder: try adder(value),
            recipient: try value.needDID("recipient"),
            group: try value.needGroup("group"),
            hub: try value.needDID("hub"),
            grant: try grant(value),
            successorOf: try value.optional("successor_of")?.asGroup("successor_of"),
            digest: value["digest"]?.string,
            size: value["size"]?.int ?? 0
        )
    }

    /// Of a hub-forwarded welcome, whom its origin proves: whatever the hub says beside it counts for nothing. M§14.2
    private func adder(_ value: JSONValue) throws -> DID? {
        let isHubs = value["from"] == value["hub"] || value["origin"] != nil
        guard isHubs else { return try value.optional("adder_identity")?.asDID("adder_identity") }
        guard let origin = value.optional("origin"), origin["valid"]?.bool ?? true,
            origin["verified"]?.bool ?? true, origin["group"] ?? value["group"] == value["group"]
        else { return nil }
        if let made = origin["issued_at"]?.int,
            !Mailbox.isOriginTimely(originIssuedAt: made, depositIssuedAt: value["issued_at"]?.int ?? now)
        {
            return nil
        }
        if let type = origin["class"]?.string, type != DepositClass.handshake.token { return nil }
        return try (origin.optional("adder_identity") ?? origin.optional("identity"))?.asDID("origin")
    }

    private func fanOut(_ value: JSONValue) throws -> Mailbox.FanOutDeposit {
        Mailbox.FanOutDeposit(
            id: try value.needULID("id"),
            from: try value.needDID("from"),
            recipient: try value.needDID("recipient"),
            group: try value.needGroup("group"),
            itemClass: DepositClass(checked: try value.needString("class")),
            seq: value.optional("seq")?.int,
            size: value["size"]?.int ?? 0,
            expiresAt: value.optional("expires_at")?.int
        )
    }

    private func emission(_ action: MailboxAction) -> JSONValue? {
        switch action {
        case .accepted(let to, let id, let cursor, let duplicate):
            var accepted: JSONObject = ["to": .string(to.string), "in_reply_to": .string(id.description)]
            if let cursor { accepted["cursor"] = .string(cursor.text) }
            if duplicate { accepted["duplicate"] = true }
            return ["accepted": .object(accepted)]
        case .error(let to, let id, let reason, let retryAfter):
            var error: JSONObject = [
                "to": .string(to.string), "in_reply_to": .string(id.description), "reason": .string(reason.token),
            ]
            if let retryAfter { error["retry_after"] = .int(retryAfter) }
            return ["error": .object(error)]
        case .items(let to, let id, let cursors, let next):
            return [
                "items": [
                    "to": .string(to.string), "in_reply_to": .string(id.description),
                    "cursors": .array(cursors.map { .string($0.text) }),
                    "next": next.map { .string($0.text) } ?? .null,
                ]
            ]
        case .push(let to, let cursor): return ["push": ["to": .string(to.string), "cursor": .string(cursor.text)]]
        case .pushEphemeral(let to): return ["push": ["to": .string(to.string), "class": "ephemeral"]]
        case .keyPackages(let to, let id, let served):
            let devices = served.sorted { $0.key < $1.key }.map { ($0.key.string, JSONValue.string($0.value.rawValue)) }
            return [
                "key_packages": [
                    "to": .string(to.string), "in_reply_to": .string(id.description),
                    "devices": .object(JSONObject(devices)),
                ]
            ]
        case .forward(let to, let id): return ["forward": ["to": .string(to.string), "id": .string(id.description)]]
        case .close(let device):
            return ["close": ["device": .string(device.string), "reason": "delegation-revoked"]]
        case .handoverExpired(let group, let hub, let missing):
            return [
                "handover_expired": [
                    "group": .string(group.text), "hub": .string(hub.string),
                    "missing": .array(missing.map { .int($0) }),
                ]
            ]
        case .drop: return nil
        }
    }

    var state: JSONObject {
        let groups = mailbox.groups.sorted { $0.key < $1.key }.map {
            ($0.key.text, JSONValue.string($0.value.isPending ? "pending" : "joined"))
        }
        let packages = mailbox.shelf.stock.sorted { $0.key < $1.key }.map { device, stock in
            (
                device.string,
                [
                    "one_time": .int(Int64(stock.oneTime)), "last_resort": .bool(stock.hasLastResort),
                ] as JSONValue
            )
        }
        var state: JSONObject = [
            "items": .array(mailbox.items.map { .string($0.cursor.text) }), "groups": .object(JSONObject(groups)),
            "key_packages": .object(JSONObject(packages)),
        ]
        if mailbox.limits.quota != nil { state["used_bytes"] = .int(mailbox.usedBytes) }
        return state
    }
}
