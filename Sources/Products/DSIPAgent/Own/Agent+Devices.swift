import DSIPIdentity
import DSIPMessaging
import DSIPSession
import DSIPSignaling
import Encoding

/// What a new device shows to be added.
public struct PairingOffer: Sendable {
    /// To be typed, scanned or pasted on a device that has the identity.
    public var code: String
    /// The code as a QR code.
    public var svg: String
    /// Two words for the eye to compare on both devices.
    public var words: String
    public var expiresAt: Int64

    var json: JSONValue {
        [
            "code": .string(code), "uri": .string(code), "svg": .string(svg), "words": .string(words),
            "expires_at": .int(expiresAt),
        ]
    }
}

/// The devices of the current identity.
extension Agent {
    public func devices() throws(AgentError) -> [Device] { keyring.devices(of: current) }

    func thisDevice() -> Device {
        keyring.devices(of: current).first(where: \.isThis)
            ?? Device(
                did: desks[current]?.key.did ?? current,
                name: configuration.deviceName,
                kind: configuration.deviceKind,
                isThis: true,
                issuedAt: 0,
                expiresAt: .max
            )
    }

    /// On the new device: the code that one of the person's other devices signs a delegation for.
    public func beginPairing() async throws(AgentError) -> PairingOffer {
        let pairing = try keyring.beginPairing(at: now())
        let svg: String
        do {
            svg = try QRCode(pairing.code).svg(label: "QR code to add this device")
        } catch {
            throw AgentError(.internal, "The QR code could not be drawn: \(error.reason).")
        }
        await awaitAnswer(device: pairing.device)
        return PairingOffer(code: pairing.code, svg: svg, words: pairing.words, expiresAt: pairing.expiresAt)
    }

    /// On an existing device: who asks, and two words to compare with those on its screen.
    public func inspectPairing(_ code: String) throws(AgentError) -> JSONValue {
        let request = try keyring.inspectPairing(code, at: now())
        return [
            "device": .string(request.device.string), "kind": .string(request.kind), "name": .string(request.name),
            "words": .string(request.words),
        ]
    }

    /// Signs the delegation and sends it, sealed to the new device, through the relay.
    public func approvePairing(_ code: String, name: String) throws(AgentError) -> Device {
        try approve(code, name: name).device
    }

    /// The same, with the sealed answer for the new device, to be carried there another way.
    public func approve(_ code: String, name: String) throws(AgentError) -> (device: Device, answer: String) {
        guard !rotating.contains(current) else {
            throw AgentError(.busy, "The key of this identity is being replaced. Try again in a moment.")
        }
        let (device, answer, relay) = try keyring.approvePairing(
            code,
            name: name,
            identity: current,
            sharing: try sharedContacts(),
            at: now()
        )
        if let desk = desks[current] { send(pairingAnswer: answer, to: device.did, at: relay ?? desk.relay, desk) }
        hub.publish(.devices(try devices()))
        return (device, answer)
    }

    /// The answer travels as a `notify` to the new device; it is sealed to that device's key, so that the relay learns nothing.
    private func send(pairingAnswer answer: String, to device: DID, at relay: String, _ desk: Desk) {
        let stamp = Message.Stamp(id: makeID(), from: desk.key.did, issuedAt: now(), lifetime: 290)
        let body = Notify(
            subscription: makeID(),
            seq: 1,
            state: .terminated,
            content: ["type": "pairing", "answer": .string(answer)]
        )
        transmit(Message(stamp, to: device, body), desk, path: relay)
    }

    /// On the new device: takes part in the identity that an answer is for.
    public func completePairing(_ answer: String) async throws(AgentError) -> OwnIdentity {
        let granted = try keyring.identity(grantedBy: answer)
        var document: DIDDocument?
        if granted.method != "key" {
            document = try? await directory.resolver.resolve(granted).document
            guard document != nil else {
                throw AgentError(.unreachable, "The document of the identity cannot be read. Try again.")
            }
        }
        let (record, contacts) = try keyring.completePairing(answer, document: document, at: now())
        // One device is bound once to one relay (DSIP §13.2): the waiting connections make room for the identity's own.
        for device in waiting { links.remove(owner: device) }
        waiting = []
        take(contacts, for: record.did)
        try openDesk(record)
        try keyring.select(record.did)
        hub.publish(.stateChanged)
        guard let identity = ownIdentities().first(where: { $0.did == record.did }) else {
            throw AgentError(.internal, "The identity could not be opened.")
        }
        return identity
    }

    /// The contacts a new device starts with; the answer has to fit into one envelope.
    private func sharedContacts() throws(AgentError) -> JSONValue {
        .array(
            try store.contacts(of: current).prefix(100).map { contact in
                [
                    "did": .string(contact.did.string), "name": .string(contact.name),
                    "alias": .optional(contact.alias),
                    "relay": .optional(contact.relay), "allowed": .bool(contact.allowed),
                    "blocked": .bool(contact.blocked),
                ]
            }
        )
    }

    private func take(_ contacts: JSONValue?, for owner: DID) {
        for json in contacts?.array?.prefix(100) ?? [] {
            guard let did = json["did"]?.string.flatMap({ DID($0) }), let name = json["name"]?.string else { continue }
            let contact = Contact(
                id: makeID().description,
                owner: owner,
                did: did,
                name: name,
                alias: json["alias"]?.string,
                relay: json["relay"]?.string.flatMap { RelayURL.isValid($0) ? $0 : nil },
                addedAt: now(),
                blocked: json["blocked"]?.bool ?? false,
                allowed: json["allowed"]?.bool ?? false,
                // Whatever the other devices say of it is later.
                changedAt: 0
            )
            try? store.save(contact)
        }
    }

    /// Waits at the relay, under the new device's own key, for the answer to a pairing request.
    private func awaitAnswer(device: DID) async {
        guard let key = keyring.pairingKey(of: device) else { return }
        waiting.insert(device)
        links.add(owner: device, key: key, delegations: [], home: configuration.relay)
        // The relay refuses what is for a device it has never seen; without a relay the answer can still be carried by hand.
        _ = await links.link(owner: device, url: configuration.relay).ready(within: .seconds(5))
    }

    /// A `notify` to a device of ours that waits to be paired.
    func receivePairingAnswer(_ notify: Notify, at device: DID) {
        guard keyring.pairingKey(of: device) != nil, notify.content["type"]?.string == "pairing",
            let answer = notify.content["answer"]?.string
        else { return }
        Task {
            do throws(AgentError) {
                let identity = try await completePairing(answer)
                hub.publish(.notice(level: .info, sentence: "This device now belongs to \(identity.name)."))
            } catch {
                hub.publish(.notice(level: .error, sentence: error.message))
            }
        }
    }

    /// - Parameter name: 1 to 64 characters.
    public func renameDevice(_ did: String, to name: String) throws(AgentError) -> Device {
        let name = name.trimmed
        guard let device = DID(did) else { throw AgentError(.badRequest, "“did” names no device.") }
        guard (1...64).contains(name.count) else {
            throw AgentError(.badRequest, "The name of a device has 1 to 64 characters.")
        }
        let renamed = try keyring.rename(device, of: current, to: name)
        hub.publish(.devices(try devices()))
        return renamed
    }

    /// Takes a device's authority back and tells whoever verifies it: our relay, and the contacts we have (DSIP §7.4).
    public func revokeDevice(_ did: String, reason: String) throws(AgentError) -> Device {
        guard ["lost", "compromised", "retired"].contains(reason) else {
            throw AgentError(.badRequest, "“reason” must be lost, compromised or retired.")
        }
        guard let device = DID(did) else { throw AgentError(.badRequest, "“did” names no device.") }
        guard let desk = desks[current], device != desk.key.did else {
            throw AgentError(.notAllowed, "This is the device in front of you. Revoke it from another one.")
        }
        let (revoked, record) = try keyring.revoke(device, of: current, reason: reason, at: now())
        distribute(record, desk)
        publishRevocations(of: desk.identity)
        if desk.mail != nil {
            work(desk) { (mail, now) throws(MessagingError) in
                try mail.removeDevice(device, revocation: record, at: now)
            }
        }
        hub.publish(.devices(try devices()))
        return revoked
    }

    /// The record is a credential of its own: it travels as it was signed.
    func distribute(_ record: Envelope, _ desk: Desk, to isMeant: (String) -> Bool = { _ in true }) {
        var paths: Set<String> = [desk.relay]
        for contact in (try? store.contacts(of: desk.identity)) ?? [] {
            if let relay = contact.relay { paths.insert(relay) }
        }
        for path in paths.filter(isMeant).sorted().prefix(RelayLinks.maximumForeign) {
            links.link(owner: desk.identity, url: path)
                .enqueue(RelayLink.Item(envelope: record, expiresAt: now() + ProtocolLimits.replayWindow))
        }
    }

    /// A revocation of somebody's device came in: from now on nothing it signs counts.
    func receiveRevocation(_ message: Verified<Message>) {
        guard let document = directory.document(of: message.principal),
            let revocation = try? DelegationRevocation.verify(message.envelope, document: document)
        else { return }
        links.add(revocation)
    }
}
