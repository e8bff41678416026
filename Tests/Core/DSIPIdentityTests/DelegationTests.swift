import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

@Suite("Delegations") struct DelegationTests {
    let controller = SigningKey(seeded: 1)
    let device = SigningKey(seeded: 2)
    let mallory = SigningKey(seeded: 3)
    let now: Int64 = 1_760_000_000

    private func delegation(
        capabilities: [String] = [Delegation.Capability.signaling],
        from: Int64 = -10,
        until: Int64 = 1000
    ) -> Delegation {
        Delegation(
            subject: controller.did,
            device: device.did,
            capabilities: capabilities,
            issuedAt: now + from,
            expiresAt: now + until,
            deviceClass: .computer
        )
    }

    private func fault(
        _ envelope: Envelope,
        device: DID? = nil,
        subject: DID? = nil,
        revocations: Revocations = Revocations()
    ) -> DelegationFault? {
        let subject = subject ?? controller.did
        do {
            _ = try Delegation.verify(
                envelope,
                device: device ?? self.device.did,
                subject: subject,
                at: now,
                document: DIDKey.document(of: subject)!,
                revocations: revocations
            )
            return nil
        } catch { return error }
    }

    private func revocation(at instant: Int64) -> DelegationRevocation {
        DelegationRevocation(
            id: ULID("01J5Y0QJR0T00AAAAAAAAAAAAH")!,
            subject: controller.did,
            device: device.did,
            revokedAt: instant,
            reason: DelegationRevocation.Reason.lost,
            issuedAt: instant,
            expiresAt: instant + 300
        )
    }

    @Test("a delegation signed by its subject binds its device")
    func valid() throws {
        let envelope = try delegation().issue(by: controller)
        let verified = try Delegation.verify(
            envelope,
            device: device.did,
            subject: controller.did,
            at: now,
            document: DIDKey.document(of: controller.did)!
        )
        #expect(verified == delegation() && verified.deviceClass == .computer)
        #expect(Delegation.decode(envelope) == delegation())
    }

    @Test("nobody but the subject delegates: not a stranger, not a device, not another key")
    func forged() throws {
        #expect(throws: IdentityError(.refused, "")) { try delegation().issue(by: mallory) }
        let forged = try Envelope(signing: delegation().json.utf8, by: mallory)
        #expect(fault(forged) == .invalid)
        #expect(fault(try Envelope(signing: delegation().json.utf8, by: device)) == .invalid)
        let impostor = SigningKey(kid: controller.kid, key: Curve25519.Signing.PrivateKey())
        #expect(fault(try Envelope(signing: delegation().json.utf8, by: impostor)) == .invalid)
        let good = try delegation().issue(by: controller)
        #expect(fault(good, device: mallory.did) == .invalid)
        #expect(fault(good, subject: mallory.did) == .invalid)
    }

    @Test("capability comes before validity, validity before revocation; the window is half open")
    func order() throws {
        var held = Revocations()
        held.insert(revocation(at: now))
        let neither = try delegation(capabilities: ["dsip.messaging"], until: 0).issue(by: controller)
        #expect(fault(neither, revocations: held) == .capability)
        let expired = try delegation(until: 0).issue(by: controller)
        #expect(fault(expired, revocations: held) == .expired)
        #expect(fault(try delegation(from: 1).issue(by: controller)) == .expired)
        #expect(fault(try delegation(from: 0, until: 1).issue(by: controller)) == nil)
        #expect(fault(try delegation().issue(by: controller), revocations: held) == .revoked)
    }

    @Test("a later delegation enrols a revoked device again")
    func reenrolment() throws {
        var held = Revocations()
        held.insert(revocation(at: now - 10))
        #expect(fault(try delegation(from: -10).issue(by: controller), revocations: held) == .revoked)
        #expect(fault(try delegation(from: -9).issue(by: controller), revocations: held) == nil)
        // An older record does not undo a newer one.
        held.insert(revocation(at: now - 100))
        #expect(fault(try delegation(from: -10).issue(by: controller), revocations: held) == .revoked)
    }

    @Test("revocations published in the subject's document count; forged ones do not")
    func published() throws {
        var document = try #require(DIDKey.document(of: controller.did))
        let envelope = try delegation().issue(by: controller)
        document.delegationRevocations = [try Envelope(signing: revocation(at: now).json.utf8, by: device)]
        _ = try Delegation.verify(envelope, device: device.did, subject: controller.did, at: now, document: document)
        document.delegationRevocations.append(try revocation(at: now).issue(by: controller))
        #expect(throws: DelegationFault.revoked) {
            try Delegation.verify(envelope, device: device.did, subject: controller.did, at: now, document: document)
        }
    }

    @Test("a revocation is signed by the subject, never by a device")
    func revocationSigner() throws {
        let document = try #require(DIDKey.document(of: controller.did))
        let good = try revocation(at: now).issue(by: controller)
        #expect(try DelegationRevocation.verify(good, document: document) == revocation(at: now))
        let byDevice = try Envelope(signing: revocation(at: now).json.utf8, by: device)
        #expect(throws: IdentityError(.refused, "")) { try DelegationRevocation.verify(byDevice, document: document) }
        #expect(throws: IdentityError(.refused, "")) { try revocation(at: now).issue(by: device) }
        var other = revocation(at: now).json.object!
        other["from"] = .string(device.did.string)
        #expect(DelegationRevocation.decode(try Envelope(signing: JSONValue.object(other).utf8, by: controller)) == nil)
    }

    @Test("held revocations are bounded; the earliest goes first")
    func bounded() {
        var held = Revocations(capacity: 3)
        for instant in 1...10 as ClosedRange<Int64> {
            var record = revocation(at: instant)
            record.device = SigningKey(seeded: UInt8(instant) + 100).did
            held.insert(record)
        }
        #expect(held.count == 3)
        var last = delegation()
        last.device = SigningKey(seeded: 110).did
        last.issuedAt = 10
        #expect(held.cover(last))
    }

    @Test("payloads with fractions, wrong types or missing members are no delegations")
    func malformed() throws {
        for change in ["subject", "device", "capabilities", "issued_at", "expires_at", "type"] {
            for value in [nil, .null, .double(1.5), "x", -1] as [JSONValue?] {
                var object = delegation().json.object!
                object[change] = value
                let envelope = try Envelope(signing: JSONValue.object(object).utf8, by: controller)
                #expect(fault(envelope) == .invalid, "\(change) = \(value?.text ?? "nothing")")
            }
        }
    }

    @Test("a header with critical parameters or another algorithm is refused")
    func header() throws {
        let good = try delegation().issue(by: controller)
        for header in [
            #"{"alg":"EdDSA","kid":"KID","crit":["b64"],"b64":false}"#, #"{"alg":"ES256","kid":"KID"}"#,
            #"{"alg":"none","kid":"KID"}"#, #"{"alg":"EdDSA"}"#, "[]",
        ] {
            let text = Base64URL.encode(header.replacing("KID", with: controller.kid.description).utf8)
            let signature = try controller.sign(Array((text + "." + good.payloadText).utf8))
            let envelope = try #require(
                Envelope(protected: text, payload: good.payloadText, signature: Base64URL.encode(signature))
            )
            #expect(fault(envelope) == .invalid, "\(header)")
        }
    }

    @Test("ES256 delegations hold only where policy allows them")
    func es256() throws {
        let key = P256.Signing.PrivateKey()
        let did = DID("did:web:example.com")!
        let kid = DIDURL(did: did, fragment: "k")
        let document = DIDDocument(
            id: did,
            verificationMethods: [.init(id: kid, controller: did, publicKey: .p256(key.publicKey))]
        )
        var body = delegation()
        body.subject = did
        let header = Base64URL.encode(#"{"alg":"ES256","kid":"\#(kid)"}"#.utf8)
        let payload = Base64URL.encode(body.json.utf8)
        let signature = try key.signature(for: Data((header + "." + payload).utf8)).rawRepresentation
        let envelope = try #require(
            Envelope(protected: header, payload: payload, signature: Base64URL.encode(signature))
        )
        #expect(throws: DelegationFault.invalid) {
            try Delegation.verify(envelope, device: device.did, subject: did, at: now, document: document)
        }
        _ = try Delegation.verify(
            envelope,
            device: device.did,
            subject: did,
            at: now,
            document: document,
            allowES256: true
        )
    }

    @Test("the delegations of the vectors verify under the documents of the vectors")
    func vectors() throws {
        for file in Vectors.files("dsip") where file.lastPathComponent == "fixtures.json" {
            let fixtures = try Vectors.json(file)
            let delegations = try #require(fixtures["delegations"]?.array)
            #expect(!delegations.isEmpty)
            for json in delegations {
                let envelope = try #require(Envelope(published: json))
                let claim = try #require(Delegation.decode(envelope))
                let document: DIDDocument =
                    if claim.subject.method == "key" {
                        try #require(DIDKey.document(of: claim.subject))
                    } else {
                        try DIDDocument(
                            json: fixtures["did_documents"]?[claim.subject.string] ?? .null,
                            expecting: claim.subject
                        )
                    }
                let verified = try Delegation.verify(
                    envelope,
                    device: claim.device,
                    subject: claim.subject,
                    at: now,
                    document: document
                )
                #expect(verified == claim)
            }
        }
    }

    @Test("a rotation is signed by the key it retires, or by a recovery key that says so")
    func rotation() throws {
        let did = DID("did:web:example.com:users:bob")!
        let previous = SigningKey(kid: DIDURL(did: did, fragment: "key-1"), key: Curve25519.Signing.PrivateKey())
        let next = SigningKey(kid: DIDURL(did: did, fragment: "key-2"), key: Curve25519.Signing.PrivateKey())
        var record = KeyRotation(
            id: ULID("01J5Y0QJR0T00AAAAAAAAAAAAF")!,
            subject: did,
            previous: previous.kid,
            next: next.kid,
            nextPublicKey: next.publicKey,
            reason: KeyRotation.Reason.scheduled,
            devices: [device.did],
            issuedAt: now,
            expiresAt: now + 86_400
        )
        let envelope = try record.issue(by: previous)
        #expect(previous.publicKey.isValidSignature(envelope.decodedSignature(), for: envelope.signingInput))
        #expect(throws: IdentityError(.refused, "")) { try record.issue(by: next) }
        record.recovery = true
        _ = try record.issue(by: next)
        record.next = record.previous
        #expect(throws: IdentityError(.refused, "")) { try record.issue(by: previous) }
    }
}
