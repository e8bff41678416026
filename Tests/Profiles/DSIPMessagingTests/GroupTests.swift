import Crypto
import DSIPIdentity
import DSIPMessaging
import Encoding
import Testing

@Suite("Groups, their leaves and their successors") struct GroupTests {
    private let conversation =
        #"{"conversation":"%9","kind":"group","hub":{"did":"@mbx.alice","uri":"wss://mbx.alice.example/"},"successor_of":null}"#

    @Test("M§6.3: dsip_conversation is read strictly, an unknown kind is a group")
    func extensionShape() throws {
        try Scene.check(
            "conversation-ext",
            #"{"extension":\#(conversation)}"#,
            #"{"verdict":"accept","effective":{"kind":"group"}}"#
        )
        try Scene.check(
            "conversation-ext",
            #"{"extension":\#(conversation.replacing(#""group""#, with: #""channel""#))}"#,
            #"{"verdict":"accept","effective":{"kind":"group"}}"#
        )
        for wrong in [
            conversation.replacing("wss:", with: "ws:"), conversation.replacing(#""kind":"group","#, with: ""),
            conversation.replacing("null", with: #"null,"x":1"#),
        ] {
            try Scene.check(
                "conversation-ext",
                #"{"extension":\#(wrong)}"#,
                #"{"verdict":"reject","code":"schema-invalid"}"#
            )
        }
        let value = try Scene.json(conversation)
        #expect(try ConversationExtension(decoding: value.utf8).json == value)
        for (bytes, code) in [
            ([0xff], "payload-not-utf8"), (Array("{".utf8), "payload-not-json"),
            (Array(#"{"x":1.5}"#.utf8), "payload-float"),
        ] {
            let error = try #require(throws: MessagingError.self) { try ConversationExtension(decoding: bytes) }
            #expect(error.code.rawValue == code)
        }
    }

    @Test("M§7.4: only the hub of a conversation may change; a new address is no move")
    func update() throws {
        let check = { (after: String, expect: String) in
            try Scene.check("conversation-update", #"{"before":\#(self.conversation),"after":\#(after)}"#, expect)
        }
        try check(
            conversation.replacing("wss://mbx.alice.example/", with: "wss://elsewhere/"),
            #"{"verdict":"accept","effective":{"moves_to":null,"hub":{"did":"@mbx.alice","uri":"wss://elsewhere/"}}}"#
        )
        try check(
            conversation.replacing("@mbx.alice", with: "@mbx.bob"),
            #"{"verdict":"accept","effective":{"moves_to":"@mbx.bob","hub":{"did":"@mbx.bob","uri":"wss://mbx.alice.example/"}}}"#
        )
        for wrong in [
            conversation.replacing("%9", with: "%8"),
            conversation.replacing(#""kind":"group""#, with: #""kind":"direct""#),
            conversation.replacing("null", with: #""$G""#),
        ] {
            try check(wrong, #"{"verdict":"reject","code":"conversation-immutable"}"#)
        }
    }

    @Test("RFC 9420 §2.1.2: extensions are written as short as can be, and read only so")
    func wireForm() throws {
        for length in [0, 1, 63, 64, 16_383, 16_384] {
            let value = MLSExtension(type: 0xf0d1, data: Array(repeating: 7, count: length))
            #expect(try MLSExtension(decoding: value.bytes) == value)
            #expect(value.bytes.count == 2 + (length < 64 ? 1 : length < 16_384 ? 2 : 4) + length)
        }
        for (bytes, code) in [
            ([0xf0], "mls-truncated"), ([0xf0, 0xd1, 0x40], "mls-truncated"), ([0xf0, 0xd1, 2, 1], "mls-truncated"),
            ([0xf0, 0xd1, 0xc0, 0, 0, 0, 0, 0, 0, 1, 1], "mls-length-invalid"),
            ([0xf0, 0xd1, 0x40, 1, 1], "mls-length-non-minimal"),
            ([0xf0, 0xd1, 0x80, 0, 0x10, 0], "mls-length-non-minimal"), ([0xf0, 0xd1, 1, 1, 1], "mls-trailing-bytes"),
        ] as [([UInt8], String)] {
            let error = try #require(throws: MessagingError.self) { try MLSExtension(decoding: bytes) }
            #expect(error.code.rawValue == code)
        }
    }

    @Test("M§6.2: a leaf is who its delegation says, in the order of the checks")
    func credential() throws {
        let identity = try SigningKey.make(seed: 1)
        let device = try SigningKey.make(seed: 2)
        let other = try SigningKey.make(seed: 3)
        func delegation(
            by key: SigningKey = identity,
            device named: DID = device.did,
            capabilities: [String] = ["dsip.signaling", "dsip.messaging"],
            until end: Int64 = 2000
        ) throws -> [UInt8] {
            let delegation = Delegation(
                subject: key.did,
                device: named,
                capabilities: capabilities,
                issuedAt: 500,
                expiresAt: end
            )
            return Array(try delegation.issue(by: key).compact.utf8)
        }
        func leaf(
            type: UInt16 = 1,
            name: [UInt8] = Array(device.did.string.utf8),
            key: SigningKey = device,
            _ extensions: [[UInt8]],
            revocations: Revocations = Revocations()
        ) throws -> LeafCredential {
            try LeafCredential(
                credentialType: type,
                credentialIdentity: name,
                signatureKey: key.rawPublicKey,
                extensions: extensions.map { MLSExtension(type: LeafCredential.extensionType, data: $0) },
                at: 1000,
                document: { _ in nil },
                revocations: revocations
            )
        }
        let good = try delegation()
        let verified = try leaf([good])
        #expect(verified.identity == identity.did && verified.device == device.did)
        let cases: [(MessagingError.Code, () throws -> LeafCredential)] = [
            (.credentialType, { try leaf(type: 2, name: [0xff], []) }),
            (.credentialIdentity, { try leaf(name: [0xff], []) }),
            (.credentialIdentity, { try leaf(name: Array("bob".utf8), [good]) }),
            (.delegationMissing, { try leaf([]) }),
            (.delegationMissing, { try leaf([good, good]) }), (.delegationInvalid, { try leaf([[1, 2]]) }),
            (.delegationInvalid, { try leaf([Array((try delegation()).dropLast())]) }),
            (.delegationInvalid, { try leaf([try delegation(device: other.did)]) }),
            (.delegationCapability, { try leaf([try delegation(capabilities: ["dsip.signaling"])]) }),
            (.delegationExpired, { try leaf([try delegation(until: 1000)]) }),
            (.credentialKeyMismatch, { try leaf(key: other, [good]) }),
        ]
        for (code, make) in cases {
            let error = try #require(throws: MessagingError.self) { try make() }
            #expect(error.code == code)
        }
    }

    @Test("M§6.8: an external commit brings exactly its sender, into a group its identity is in")
    func externalJoin() throws {
        let tablet = #"{"identity":"@bob","device":"@bob.tablet"}"#
        let phone = #"{"identity":"@bob","device":"@bob.phone"}"#
        func check(
            _ adds: String,
            _ removes: String,
            roster: String = #""@alice","@bob""#,
            kind: String = "direct",
            _ more: String = ""
        ) -> String {
            #"{"kind":"\#(kind)","roster":[\#(roster)],"joiner":\#(tablet),"adds":[\#(adds)],"removes":[\#(removes)]\#(more)}"#
        }
        let refused = { (code: String) in #"{"verdict":"reject","code":"\#(code)"}"# }
        try Scene.check("external-join", check(tablet, ""), #"{"verdict":"accept"}"#)
        try Scene.check("external-join", check(tablet, phone), #"{"verdict":"accept"}"#)
        try Scene.check("external-join", check("", ""), refused("external-join-adds"))
        try Scene.check("external-join", check(tablet + "," + phone, ""), refused("external-join-adds"))
        try Scene.check("external-join", check(phone, ""), refused("external-join-adds"))
        try Scene.check("external-join", check(tablet, "", roster: #""@alice""#), refused("external-join-not-member"))
        try Scene.check(
            "external-join",
            check(tablet, #"{"identity":"@alice","device":"@alice.phone"}"#),
            refused("external-join-removes-other")
        )
        // A leaf of the joiner's own device that no longer authenticates counts as the joiner's.
        try Scene.check(
            "external-join",
            check(tablet, #"{"identity":"@carol","device":"@bob.tablet","delegation_valid":false}"#),
            #"{"verdict":"accept"}"#
        )
        try Scene.check(
            "external-join",
            check(tablet, "", roster: "", kind: "personal", #","owner":"@bob""#),
            #"{"verdict":"accept"}"#
        )
        try Scene.check(
            "external-join",
            check(tablet, "", roster: "", kind: "personal", #","owner":"@alice""#),
            refused("external-join-not-member")
        )
        try Scene.check(
            "registration-on-removal",
            #"{"me":"@bob","remaining_identities":["@alice","@bob"]}"#,
            #"{"left":false}"#
        )
        try Scene.check(
            "registration-on-removal",
            #"{"me":"@bob","remaining_identities":["@alice"]}"#,
            #"{"left":true}"#
        )
    }

    @Test("M§7.2: of two direct conversations the lower id goes on, unless it was backdated")
    func direct() throws {
        try Scene.check(
            "direct-select",
            #"{"candidates":[{"conversation":"%2","issued_at":1760000000},{"conversation":"%1","issued_at":1760000299}]}"#,
            #"{"winner":"%1","discarded":["%2"]}"#
        )
        try Scene.check(
            "direct-select",
            #"{"candidates":[{"conversation":"%2","issued_at":1760000000},{"conversation":"%1","issued_at":1760003600}]}"#,
            #"{"winner":"%2","discarded":["%1"]}"#
        )
        try Scene.check("direct-select", #"{"candidates":[]}"#, #"{"winner":null,"discarded":[]}"#)
    }

    @Test("M§7.5: devices converge on the lowest valid successor, whatever order they meet them in")
    func successors() throws {
        let context = #"{"groups":{"$G":["@alice","@bob","@carol"]}}"#
        let welcome = { (group: String, creator: String, roster: String) in
            #"{"welcome":{"group":"\#(group)","successor_of":"$G","creator":"\#(creator)","roster":[\#(roster)]}}"#
        }
        let all = #""@alice","@bob","@carol""#
        try Scene.play(
            "successor-trace",
            context,
            [
                Scene.step(welcome("$G5", "@bob", all), #"[{"join":"$G5"}]"#),
                Scene.step(welcome("$G7", "@carol", all), #"[{"decline":"$G7"}]"#),
                Scene.step(
                    welcome("$G3", "@carol", #""@carol","@bob""#),
                    #"[{"leave":"$G5"},{"join":"$G3"}]"#,
                    #"{"$G":{"successor":"$G3","candidates":["$G5","$G7","$G3"]}}"#
                ),
                Scene.step(welcome("$G2", "@bob", all + #","@mallory""#), #"[{"first_contact":"$G2"}]"#),
                Scene.step(welcome("$G1", "@mallory", all), #"[{"first_contact":"$G1"}]"#),
                Scene.step(#"{"create":{"predecessor":"$G"}}"#, #"[{"use":"$G3"}]"#),
                Scene.step(#"{"create":{"predecessor":"$G9"}}"#, #"[{"refuse":"$G9"}]"#),
                Scene.step(
                    welcome("$G4", "@bob", all).replacing(#""successor_of":"$G""#, with: #""successor_of":"$G8""#),
                    #"[{"first_contact":"$G4"}]"#
                ),
            ]
        )
        try Scene.play(
            "successor-trace",
            context,
            [
                Scene.step(
                    #"{"create":{"predecessor":"$G"}}"#,
                    #"[{"create":{"successor_of":"$G","roster":["@alice","@bob","@carol"]}}]"#
                ),
                Scene.step(#"{"created":{"group":"$G5","successor_of":"$G"}}"#, #"[{"use":"$G5"}]"#),
                Scene.step(welcome("$G3", "@carol", all), #"[{"leave":"$G5"},{"join":"$G3"}]"#),
            ]
        )
        try Scene.check(
            "successor-select",
            #"{"candidates":["$G3","$G1","AAAA"]}"#,
            #"{"winner":"$G1","discarded":["$G3","AAAA"]}"#
        )
        try Scene.check(
            "successor-check",
            #"{"predecessor_roster":[\#(all)],"creator":"@bob","roster":["@bob"]}"#,
            #"{"verdict":"accept"}"#
        )
    }

    @Test("M§7.5: whatever the order of arrival, everybody ends in the same successor")
    func convergence() throws {
        let group = { (number: Int) throws -> GroupID in try #require(GroupID(Scene.group(number))) }
        let alice = try #require(DID("did:web:alice.example"))
        var generator = SplitMix(state: 42)
        for _ in 0..<200 {
            var tracker = SuccessorTracker(rosters: [try group(0): [alice]])
            for number in (1...6).shuffled(using: &generator) {
                _ = tracker.receivedWelcome(
                    try group(number),
                    successorOf: try group(0),
                    creator: alice,
                    roster: [alice]
                )
            }
            #expect(tracker.successors[try group(0)] == (try group(1)))
        }
    }
}

extension SigningKey {
    fileprivate static func make(seed: UInt8) throws -> SigningKey {
        SigningKey(selfIssued: try Curve25519.Signing.PrivateKey(rawRepresentation: Array(repeating: seed, count: 32)))
    }

    /// The 32 bytes of the Ed25519 public key.
    fileprivate var rawPublicKey: [UInt8] {
        // A did:key is the multicodec ed25519-pub and the key.
        Base58.decode(did.identifier.dropFirst()).map { Array($0.dropFirst(2)) } ?? []
    }
}
