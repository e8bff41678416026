import Crypto
import DSIPDiscovery
import DSIPIdentity
import DSIPSignaling
import Encoding
import Libp2p

/// What DHTs, Pkarr relays, hosts of logs and zones of names hand out.
let discoveryFuzzEntries: [FuzzEntry] = [
    FuzzEntry("dns-rdata", seeds: [Array("\u{3}did".utf8), [0, 1, 0, 2, 0, 3, 1, 0x61, 0]]) { bytes in
        let text = DNSTexts.text(bytes)
        precondition(text == nil || text!.utf8.count < max(1, bytes.count), "a text out of nothing")
        if let service = DNSService(bytes) { _ = AliasDNS.relay([service]) }
    },
    FuzzEntry("dns-message", seeds: dnsSeeds) { bytes in
        guard let message = try? DNSMessage(bytes) else { return }
        for record in message.answers { _ = try? message.strings(of: record) }
        guard let kept = try? PkarrZone.carried(from: message, zone: fuzzZone.zone) else { return }
        // What was carried over must be readable in the message that carries it.
        var zone = PkarrZone(fuzzZone)
        guard (try? zone.carry(message)) != nil, let written = try? zone.message() else { return }
        guard let again = try? DNSMessage(written) else { preconditionFailure("a message that cannot be read again") }
        precondition((try? PkarrZone.carried(from: again, zone: fuzzZone.zone)) == kept, "a carried record changed")
    },
    FuzzEntry(
        "bencode",
        seeds: [
            "d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa5:nodes26:bbbbbbbbbbbbbbbbbbbbccccdd3:seqi7e5:token2:xx1:v4:spame1:t2:\0\01:y1:re",
            "d1:eli302e5:oldere1:t2:\0\01:y1:ee", "l4:spami-7ede0:e",
        ].map { Array($0.utf8) }
    ) { bytes in
        if let value = try? Bencode(bytes) { precondition(value.encoded == bytes, "a value changed when written") }
        let node = MainlineNode(address: [127, 0, 0, 1], port: 1)
        var search = MainlineSearch(
            for: fuzzZoneKey,
            from: [node],
            id: [UInt8](repeating: 1, count: 20),
            firstTransaction: 0
        )
        _ = search?.advance(to: 0)
        search?.receive(bytes, from: node.place)
        precondition(search?.found == nil, "an item that nobody signed")
        precondition(search?.advance(to: 1).count ?? 0 <= 8, "one answer leads to more questions than may be open")
    },
    FuzzEntry("pkarr-packet", seeds: dnsSeeds) { bytes in
        // Signed here, so that what lies behind the signature is reached.
        guard let packet = try? PkarrPacket(signing: bytes, at: fuzzTime * 1_000_000, by: fuzzPerson) else {
            _ = try? PkarrHint(bytes, of: fuzzPerson.did, at: Int64(fuzzTime))
            return
        }
        _ = try? PkarrHint(packet.payload, of: fuzzPerson.did, at: Int64(fuzzTime))
        _ = try? PkarrPointer(packet.payload, of: fuzzPerson.did, at: Int64(fuzzTime))
        guard let document = DIDKey.document(of: fuzzPerson.did) else { return }
        _ = try? PkarrDeviceHint(
            packet.payload,
            of: fuzzPerson.did,
            for: document,
            at: Int64(fuzzTime),
            revocations: Revocations()
        )
        var shelf = PkarrShelf()
        _ = shelf.offer(packet.payload, zone: fuzzZone.zone, at: Int64(fuzzTime))
        _ = shelf.offer(bytes, zone: fuzzZone.zone, at: Int64(fuzzTime))
    },
    FuzzEntry("directory-record", seeds: [presenceSeed, homeSeed]) { bytes in
        let validator = DirectoryValidator()
        let key = DiscoveryKey.presence(fuzzPerson.did)
        _ = try? validator.validate(key: key, value: bytes, at: Int64(fuzzTime) * 1000)
        _ = validator.select(key: key, values: [bytes, presenceSeed, bytes])
        // Signed here, so that what lies behind the signature is reached.
        guard let json = try? JSONValue(parsing: bytes), var object = json.object else { return }
        object["sig"] = nil
        object["did"] = .string(fuzzPerson.did.string)
        guard let signature = try? fuzzPerson.sign(JSONValue.object(object).canonical) else { return }
        object["sig"] = .string(Base64URL.encode(signature))
        let record = JSONValue.object(object).utf8
        _ = try? HomeRecord(verifying: record, at: Int64(fuzzTime))
        if let presence = try? PresenceRecord(verifying: record, at: Int64(fuzzTime)),
            let reader = try? fuzzPerson.keyAgreementKey()
        {
            _ = presence.reach(openedWith: reader)
        }
    },
    FuzzEntry("hint-node", seeds: ["GET /dsip/v1/hints/did%3Akey%3Az6Mk", "POST /dsip/v1/hints {}", "PUT /ybn x"]) {
        bytes in
        let parts = bytes.split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2 else { return }
        var node = HintNode(verifier: HintVerifier())
        let request = HintNode.Request(
            method: String(decoding: parts[0], as: UTF8.self),
            path: String(decoding: parts[1], as: UTF8.self),
            body: parts.count > 2 ? Array(parts[2]) : []
        )
        _ = node.wantsNewer(request, at: Int64(fuzzTime))
        _ = node.answer(request, at: Int64(fuzzTime))
    },
    FuzzEntry("webvh-log", seeds: [webVHSeed]) { bytes in
        let did = "did:webvh:QmXpnm4R7BPTnL6iWNL5HJhq1sSUjkc3dudv2BRuSJWBbC:example.com"
        _ = try? WebVHLog(verifying: bytes, of: did, witness: bytes, seen: "1-x", at: Int64(fuzzTime))
        _ = WebVHIdentifier(String(decoding: bytes, as: UTF8.self))
    },
    FuzzEntry(
        "alias-claim",
        seeds: ["did=did:web:example.com", #"{"did":"did:web:example.com","relay":"wss://r.example"}"#]
    ) {
        bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? AliasDNS.claim(DNSTexts([text], verdict: .secure))
        _ = AliasDNS.relay([DNSService(priority: 1, port: text.utf8.count, target: text)])
        _ = try? AliasFile.claim(bytes)
        if let alias = Alias(text) { _ = (AliasDNS.name(of: alias), AliasFile.url(of: alias)) }
        _ = WebFingerResponder(hosts: ["example.com"]).answer(resource: text) { _ in nil }
        _ = Geohash(text)
        _ = try? ZBase32.key(text)
    },
    FuzzEntry(
        "document-proof",
        seeds: [
            #"{"did":"did:webvh:Qm:example.com","log":"{}\n","witness":"[]"}"#, #"{"did":"did:dht:y","packet":"AAAA"}"#,
        ]
    ) { bytes in
        for text in ["did:webvh:Qm:example.com", "did:dht:y"] {
            guard let did = DID(text), let proof = try? DocumentProof(parsing: bytes, expecting: did) else { continue }
            let again = try? DocumentProof(parsing: proof.encoded, expecting: did)
            precondition(again == proof, "a proof that cannot be read again")
        }
    },
    FuzzEntry("ethereum-event", seeds: [ethereumSeed, Array("mainnet=https://node.example".utf8)]) { bytes in
        let topics = [EthrHistory.ownerTopic, EthrHistory.delegateTopic, EthrHistory.attributeTopic]
        guard let first = bytes.first, let did = DID("did:ethr:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed") else {
            return
        }
        var history = EthrHistory()
        if let event = EthrHistory.read(topic: topics[Int(first) % 3], data: Array(bytes.dropFirst())) {
            history.append(event.change)
        }
        _ = try? history.document(of: did, at: Int64(fuzzTime))
        let text = String(decoding: bytes, as: UTF8.self)
        if let did = DID("did:ethr:\(text)") { _ = try? EthrIdentifier(did) }
        _ = EthereumNetwork.isValid(text)
    },
    FuzzEntry(
        "derived-did",
        seeds: ["jwk:eyJrdHkiOiJPS1AifQ", "ion:EiDyOQbbZAa3aiRzeCkV7LOx3SERjjH93EXoIM3UoN4oWg:e30"]
    ) {
        bytes in
        guard let did = DID("did:" + String(decoding: bytes, as: UTF8.self)) else { return }
        _ = try? JWKResolver.document(of: did)
        _ = try? SidetreeResolver.document(of: did)
    },
]

private let fuzzTime: UInt64 = 1_790_000_000
private let fuzzPerson = SigningKey()
private let fuzzZone: PkarrKey = {
    guard let key = try? PkarrKey(fuzzPerson.did) else { preconditionFailure("an Ed25519 key has a zone") }
    return key
}()

private let dnsSeeds: [[UInt8]] = {
    var zone = PkarrZone(fuzzZone)
    try? zone.add(.init(uri: "wss://relay.example/dsip", parameters: ["service": "DSIPMailbox"]), ttl: 600)
    try? zone.add(device: fuzzPerson.did, ttl: 86_400)
    if let delegation = try? Delegation(subject: fuzzPerson.did, device: fuzzPerson.did, issuedAt: 0, expiresAt: .max)
        .issue(by: fuzzPerson)
    {
        zone.add(delegation: delegation, ttl: 600)
    }
    // An MX whose exchange points back to the owner's name.
    let mail: [UInt8] = [
        0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0x61, 0, 0, 15, 0, 1, 0, 0, 0, 9, 0, 6, 0, 1, 1, 0x62, 0xc0, 12,
    ]
    return [(try? zone.message()) ?? [], mail]
}()

private let presenceSeed: [UInt8] = {
    var random = SystemRandomNumberGenerator()
    var publisher = PresencePublisher(subject: fuzzPerson.did)
    publisher.reach.relays = ["wss://relay.example/dsip"]
    let contact = DIDKey.keyAgreement(of: fuzzPerson.did).map { [$0.publicKey] } ?? []
    publisher.visibility = .contacts(contact)
    return (try? publisher.sign(at: Int64(fuzzTime), by: fuzzPerson, using: &random)) ?? []
}()

private let homeSeed: [UInt8] = {
    let places = HomeRecord.Places(relays: ["wss://relay.example/dsip"], prekeys: ["https://box.example/p"])
    return (try? HomeRecord.sign(places, of: fuzzPerson.did, at: Int64(fuzzTime), seq: 1, by: fuzzPerson)) ?? []
}()

/// An attribute's words, behind the number of its event's kind.
private let ethereumSeed: [UInt8] = {
    func word(_ number: UInt8) -> [UInt8] { [UInt8](repeating: 0, count: 31) + [number] }
    let name = Array("did/svc/DSIPSignaling".utf8)
    let start = [2] + name + [UInt8](repeating: 0, count: 32 - name.count)
    let endpoint = Array("wss://relay.example/dsip".utf8)
    return start + word(128) + [UInt8](repeating: 0x7f, count: 32) + word(0) + word(24) + endpoint
        + [UInt8](repeating: 0, count: 8)
}()

private let webVHSeed: [UInt8] = Array(
    #"{"versionId":"1-QmZtE78CoY9hn9xqXR7akcdj9JyRb32v32ZqFbLsuVq1EC","versionTime":"2026-01-01T00:01:00Z","parameters":{"method":"did:webvh:1.0","scid":"QmXpnm4R7BPTnL6iWNL5HJhq1sSUjkc3dudv2BRuSJWBbC","updateKeys":["z6Mko9phBKc1B4rXcZuVrDQsbJ27V6N3KXH7ZPzAydAD8RHD"],"ttl":60,"portable":true},"state":{"id":"did:webvh:QmXpnm4R7BPTnL6iWNL5HJhq1sSUjkc3dudv2BRuSJWBbC:example.com"},"proof":[{"type":"DataIntegrityProof","verificationMethod":"did:key:z6Mk#z6Mk"}]}"#
        .utf8
)

private let fuzzZoneKey: [UInt8] = {
    guard case .ed25519(let key) = fuzzZone.publicKey else { return [] }
    return Array(key.rawRepresentation)
}()
