import Crypto
import Encoding
import Foundation
import Support
import Testing

@testable import DSIPIdentity

extension ScryptCost {
    /// Cheap, for tests that are not about the cost.
    static let test = ScryptCost(logN: 10, r: 1, p: 1)
}

/// A folder that goes away with the test.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "dsip-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? [] }
    func bytes(_ name: String) -> [UInt8]? { FileManager.default.contents(atPath: "\(path)/\(name)").map { Array($0) } }
    func put(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }
}

let laptop = DeviceDescription(name: "Alice's laptop", kind: .computer)
let phone = DeviceDescription(name: "Phone 📱", kind: .phone)

@Suite("The wallet") struct WalletTests {
    let now: Int64 = 1_760_000_000

    @Test("an identity is its phrase: what it signs holds, and the words bring it back")
    func identity() throws {
        var wallet = Wallet()
        let identity = try wallet.createIdentity(name: "Alice", device: laptop, relay: "wss://r.example/dsip", at: now)
        let delegation = try Delegation.verify(
            try #require(identity.delegation),
            device: identity.device.did,
            subject: identity.did,
            at: now,
            document: identity.document()
        )
        #expect(
            delegation.deviceClass == .computer && identity.presented(at: now).count == 1
                && !identity.needsRenewal(at: now)
        )
        #expect(identity.needsRenewal(at: now + 91 * 86_400))
        var older = delegation
        older.capabilities.removeAll { $0 == Delegation.Capability.messaging }
        #expect(!delegation.needsRenewal(at: now) && older.needsRenewal(at: now))
        let words = try #require(identity.controller).phrase.words.joined(separator: " ")
        var other = Wallet()
        let restored = try other.restoreIdentity(from: RecoveryPhrase(words), name: "Alice", device: phone, at: now)
        #expect(restored.did == identity.did && restored.device.did != identity.device.did)
        #expect(throws: IdentityError(.refused, "")) {
            try other.restoreIdentity(from: RecoveryPhrase(words), name: "Again", device: phone, at: now)
        }
        #expect(throws: IdentityError(.malformed, "")) { try wallet.createIdentity(name: " ", device: laptop, at: now) }
        #expect(throws: IdentityError(.malformed, "")) {
            try wallet.createIdentity(name: "A", device: laptop, relay: "http://x", at: now)
        }
    }

    @Test("throw-away identities share nothing with others")
    func throwaway() throws {
        var wallet = Wallet()
        let main = try wallet.createIdentity(name: "Alice", device: laptop, at: now)
        let contact = SigningKey(seeded: 1).did
        let throwaway = try wallet.createIdentity(name: "For the plumber", device: laptop, for: contact, at: now)
        #expect(throwaway.isThrowaway && throwaway.contact == contact && !main.isThrowaway)
        #expect(Set([main.did, main.device.did, throwaway.did, throwaway.device.did]).count == 4)
        #expect(wallet.remove(throwaway.did) && !wallet.remove(throwaway.did) && wallet.identities.count == 1)
    }

    @Test("a did:web identity publishes its key, key agreement, relay and revocations")
    func published() throws {
        var wallet = Wallet()
        let did = DID("did:web:example.com:users:alice")!
        try wallet.createIdentity(publishedAs: did, name: "Alice", device: laptop, relay: "wss://r.example", at: now)
        let lost = SigningKey(seeded: 4).did
        try wallet.update(did) { identity throws(IdentityError) in
            _ = try identity.delegate(to: lost, phone, at: now)
            try identity.revoke(lost, at: now)
        }
        let identity = try #require(wallet[did])
        let document = try DIDDocument(parsing: try identity.document().json.utf8, expecting: did)
        #expect(document.signalingEndpoint == "wss://r.example" && document.keyAgreement.count == 1)
        #expect(document.delegationRevocations == identity.revocations && identity.revocations.count == 1)
        _ = try Delegation.verify(
            try #require(identity.delegation),
            device: identity.device.did,
            subject: did,
            at: now,
            document: document
        )
        #expect(throws: IdentityError(.unsupported, "")) {
            try wallet.createIdentity(publishedAs: lost, name: "x", device: laptop, at: now)
        }
    }

    @Test("a revoked device is out, and can be enrolled again even in the same second")
    func revocation() throws {
        var wallet = Wallet()
        let did = try wallet.createIdentity(name: "Alice", device: laptop, at: now).did
        let device = SigningKey(seeded: 4).did
        let first = try wallet.update(did) { identity throws(IdentityError) in
            try identity.delegate(to: device, phone, at: now)
        }
        let record = try wallet.update(did) { identity throws(IdentityError) in try identity.revoke(device, at: now) }
        let document = try #require(DIDKey.document(of: did))
        var held = Revocations()
        held.insert(try DelegationRevocation.verify(record, document: document))
        #expect(throws: DelegationFault.revoked) {
            try Delegation.verify(first, device: device, subject: did, at: now, document: document, revocations: held)
        }
        #expect(wallet[did]?.devices.first { $0.did == device }?.revokedAt == now)
        let again = try wallet.update(did) { identity throws(IdentityError) in
            try identity.delegate(to: device, phone, at: now)
        }
        _ = try Delegation.verify(
            again,
            device: device,
            subject: did,
            at: now + 1,
            document: document,
            revocations: held
        )
        #expect(throws: IdentityError(.notFound, "")) {
            try wallet.update(DID("did:web:nobody")!) { identity throws(IdentityError) in identity.name = "x" }
        }
    }

    private func filled() throws -> Wallet {
        var wallet = Wallet()
        let did = try wallet.createIdentity(name: "Alice Ä 漢", device: laptop, relay: "wss://r.example", at: now).did
        try wallet.createIdentity(name: "For Bob", device: laptop, for: SigningKey(seeded: 1).did, at: now)
        try wallet.update(did) { identity throws(IdentityError) in
            identity.alias = Alias("alice@example.com")
            identity.backedUpAt = now
            _ = try identity.delegate(to: SigningKey(seeded: 4).did, phone, at: now)
            try identity.revoke(SigningKey(seeded: 4).did, at: now)
        }
        _ = try wallet.pins.observe(DID("did:web:example.com")!, keys: [SigningKey(seeded: 2).publicKey], at: now)
        _ = try wallet.requestPairing(as: phone, at: now)
        return wallet
    }

    @Test("a wallet reads back as it was written")
    func coding() throws {
        let wallet = try filled()
        let text = wallet.plaintext(.everything)
        #expect(try Wallet(plaintext: text).plaintext(.everything) == text)
        let backup = try Wallet(plaintext: wallet.plaintext(.backup))
        #expect(backup.identities.map(\.did) == wallet.identities.map(\.did) && backup.pendingPairings.isEmpty)
        #expect(backup.identities.allSatisfy { $0.delegation == nil })
    }

    @Test("unknown or missing members are damage, not something to lose by saving")
    func strictCoding() throws {
        var json = try JSONValue(parsing: try filled().plaintext(.everything))
        for name in ["did", "name", "devices", "device_kind", "created_at"] {
            var object = try #require(json["identities"]?[0]?.object)
            object[name] = nil
            let text = JSONValue.object(["identities": [.object(object)], "pins": [], "pairings": []]).utf8
            #expect(throws: IdentityError(.damaged, "")) { try Wallet(plaintext: text) }
        }
        guard case .object(var object) = json else { return }
        object["later"] = true
        json = .object(object)
        #expect(throws: IdentityError(.damaged, "")) { try Wallet(plaintext: json.utf8) }
    }

    @Test("on disk: created once, private, opened by the right passphrase only")
    func file() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/wallet"
        var wallet = try filled()
        var file = try WalletFile.create(at: path, wallet, secret: .passphrase("correct horse"), cost: .test)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        #expect(try WalletFile.wantsPassphrase(path) == true)
        #expect(try WalletFile.wantsPassphrase(path + "x") == nil)
        #expect(throws: IdentityError(.refused, "")) {
            try WalletFile.create(at: path, Wallet(), secret: .passphrase("x"), cost: .test)
        }
        let before = folder.bytes("wallet")
        #expect(throws: IdentityError(.wrongPassphrase, "")) { try WalletFile.open(path, secret: .passphrase("wrong")) }
        #expect(throws: IdentityError(.wrongPassphrase, "")) { try WalletFile.open(path, secret: .passphrase("")) }
        #expect(throws: IdentityError(.refused, "")) {
            try WalletFile.open(path, secret: .key([UInt8](repeating: 0, count: 32)))
        }
        #expect(throws: IdentityError(.notFound, "")) { try WalletFile.open(path + "x", secret: .passphrase("x")) }
        #expect(folder.bytes("wallet") == before)
        wallet.remove(wallet.identities[1].did)
        try file.save(wallet)
        let (_, read) = try WalletFile.open(path, secret: .passphrase("correct horse"))
        #expect(read.plaintext(.everything) == wallet.plaintext(.everything))
        #expect(folder.names == ["wallet", "wallet.lock"])
        let text = String(decoding: try #require(folder.bytes("wallet")), as: UTF8.self)
        #expect(!text.contains("Alice") && !text.contains("did:key"))
    }

    @Test("two programs do not overwrite each other")
    func twoWriters() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/wallet"
        var one = try WalletFile.create(at: path, filled(), secret: .passphrase("p"), cost: .test)
        var (two, wallet) = try WalletFile.open(path, secret: .passphrase("p"))
        try one.save(Wallet())
        #expect(throws: IdentityError(.refused, "")) { try two.save(wallet) }
        #expect(try WalletFile.open(path, secret: .passphrase("p")).wallet.identities.isEmpty)
        (two, wallet) = try WalletFile.open(path, secret: .passphrase("p"))
        try two.save(wallet)
    }

    @Test("the secret can be changed, to a key file as well; a key file that others can read is refused")
    func secrets() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/wallet"
        let wallet = try filled()
        var file = try WalletFile.create(at: path, wallet, secret: .passphrase("p"), cost: .test)
        let secret = try KeyFile.create(at: folder.path + "/key")
        try file.change(secret: secret, wallet)
        #expect(try WalletFile.wantsPassphrase(path) == false)
        #expect(throws: IdentityError(.refused, "")) { try WalletFile.open(path, secret: .passphrase("p")) }
        #expect(throws: IdentityError(.wrongPassphrase, "")) {
            try WalletFile.open(path, secret: .key([UInt8](repeating: 0, count: 32)))
        }
        _ = try WalletFile.open(path, secret: try KeyFile.read(folder.path + "/key"))
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: folder.path + "/key")
        #expect(throws: IdentityError(.refused, "")) { try KeyFile.read(folder.path + "/key") }
        try folder.put(Array("short".utf8), "bad")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder.path + "/bad")
        #expect(throws: IdentityError(.malformed, "")) { try KeyFile.read(folder.path + "/bad") }
        #expect(throws: IdentityError(.refused, "")) { try KeyFile.create(at: folder.path + "/key") }
    }

    @Test("every flipped byte and every truncation is damage, told as such before a passphrase is tried")
    func damage() throws {
        let key = try SealedContainer.newKey(for: .passphrase("p"), format: .wallet, cost: .test)
        // Short contents, so that each byte of the frame can have its turn.
        let good = try SealedContainer.seal([1, 2, 3], with: key)
        let opened = try SealedContainer(good, format: .wallet).open(with: .passphrase("p"))
        #expect(opened.plaintext == [1, 2, 3])
        func code(_ bytes: [UInt8]) -> IdentityError.Code? {
            do {
                _ = try SealedContainer(bytes, format: .wallet)
                return nil
            } catch { return error.code }
        }
        var random = SeededRandom(seed: 11)
        var newer = 0
        for i in good.indices {
            var bytes = good
            bytes[i] ^= 1 << UInt8.random(in: 0...7, using: &random)
            switch code(bytes) {
            case .damaged: break
            case .unsupported: newer += 1
            default: Issue.record("byte \(i) flipped: \(String(describing: code(bytes)))")
            }
        }
        // Only the digit of the version itself can look like a newer version.
        #expect(newer <= 1)
        for length in 0..<good.count { #expect(code(Array(good[..<length])) == .damaged) }
        #expect(code(good + [0x0a]) == .damaged && code([0x20] + good) == .damaged)
    }

    @Test("a damaged wallet file is left as it is")
    func damagedFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/wallet"
        var file = try WalletFile.create(at: path, filled(), secret: .passphrase("p"), cost: .test)
        var bytes = try #require(folder.bytes("wallet"))
        for i in stride(from: 0, to: bytes.count, by: 211) {
            bytes[i] ^= 0x20
            try folder.put(bytes, "wallet")
            #expect(throws: IdentityError(.damaged, "")) { try WalletFile.open(path, secret: .passphrase("p")) }
            #expect(throws: IdentityError(.refused, "")) { try file.save(Wallet()) }
            #expect(folder.bytes("wallet") == bytes)
            bytes[i] ^= 0x20
        }
        try folder.put([], "wallet")
        #expect(throws: IdentityError(.damaged, "")) { try WalletFile.open(path, secret: .passphrase("p")) }
    }

    @Test("a new controller key takes over: record, delegations, revocations and document")
    func rotation() throws {
        var wallet = Wallet()
        let did = DID("did:web:example.com:users:alice")!
        try wallet.createIdentity(publishedAs: did, name: "Alice", device: laptop, at: now)
        let (kept, lost) = (SigningKey(seeded: 4).did, SigningKey(seeded: 5).did)
        try wallet.update(did) { identity throws(IdentityError) in
            _ = try identity.delegate(to: kept, phone, at: now)
            _ = try identity.delegate(to: lost, phone, at: now)
            try identity.revoke(lost, at: now)
        }
        let before = try #require(wallet[did])
        var pins = PinStore()
        _ = try pins.observe(did, keys: before.document().verificationMethods.map(\.publicKey), at: now)
        let rotation = try wallet.update(did) { identity throws(IdentityError) in
            try identity.rotateController(at: now + 9)
        }
        let after = try #require(wallet[did])
        let document = try after.document()
        #expect(document.verificationMethods.map(\.id.fragment) == ["key-2"])
        #expect(Set(rotation.delegations.keys) == [after.device.did, kept] && after.backedUpAt == nil)
        for (device, envelope) in rotation.delegations {
            _ = try Delegation.verify(envelope, device: device, subject: did, at: now + 9, document: document)
        }
        #expect(throws: DelegationFault.invalid) {
            try Delegation.verify(
                before.delegation!,
                device: after.device.did,
                subject: did,
                at: now + 9,
                document: document
            )
        }
        // Published with the document, the new ones bind what the devices signed before, and no device that was taken out.
        var published = document
        published.delegations = Array(rotation.delegations.values)
        published.keyRotations = [rotation.record]
        published = try DIDDocument(json: published.json, expecting: did)
        #expect(published.delegations.count == 2 && published.keyRotations == [rotation.record])
        let device = after.device.did
        for time in [now, now + 9] {
            let bound = try Delegation.verify(
                before.delegation!,
                device: device,
                subject: did,
                at: time,
                document: published
            )
            #expect(bound.device == device)
        }
        let thief = SigningKey(seeded: 77)
        let stolen = try Delegation(subject: did, device: thief.did, issuedAt: now, expiresAt: now + 900)
            .issue(by: try #require(before.controller).key)
        #expect(throws: DelegationFault.invalid) {
            try Delegation.verify(stolen, device: thief.did, subject: did, at: now, document: published)
        }
        #expect(after.presented(at: now + 10) == [before.delegation!, after.delegation!])
        #expect(after.presented(at: now + 9 + 3600) == [after.delegation!] && !after.isRotating)
        #expect(try DelegationRevocation.verify(after.revocations[0], document: document).device == lost)
        let announced = pins.announce(rotation.record)
        #expect(announced)
        guard
            case .changed(let change) = try pins.observe(
                did,
                keys: document.verificationMethods.map(\.publicKey),
                at: now + 9
            )
        else {
            Issue.record("not noticed")
            return
        }
        #expect(change.isExplained)
        // The new phrase brings the identity back.
        var other = Wallet()
        let controller = try #require(after.controller)
        let restored = try other.restoreIdentity(
            from: controller.phrase,
            publishedAs: controller.key.kid,
            name: "Alice",
            device: phone,
            at: now + 10
        )
        #expect(try restored.document().verificationMethods == document.verificationMethods)
        var keyed = Wallet()
        let fixed = try keyed.createIdentity(name: "A", device: laptop, at: now).did
        #expect(throws: IdentityError(.refused, "")) {
            try keyed.update(fixed) { identity throws(IdentityError) in try identity.rotateController(at: now) }
        }
    }

    @Test("a key that is to follow is kept with the wallet and its backup until it has followed")
    func preparedRotation() throws {
        var wallet = Wallet()
        let did = DID("did:web:example.com:users:alice")!
        let phrase = RecoveryPhrase.generate()
        let key = PublicKey.ed25519(try phrase.controllerKey().publicKey)
        let kid = DIDURL(did: did, fragment: key.multibase)
        try wallet.restoreIdentity(from: phrase, publishedAs: kid, name: "Alice", device: laptop, at: now)
        let before = try #require(wallet[did]).document()
        func prepare(_ wallet: inout Wallet) throws -> PublicKey {
            try wallet.update(did) { identity throws(IdentityError) in try identity.prepareRotation() }
        }
        let next = try prepare(&wallet)
        for extent in [Wallet.Extent.everything, .backup] {
            var read = try Wallet(plaintext: wallet.plaintext(extent))
            #expect(try prepare(&read) == next)
            let identity = try #require(read[did])
            #expect(identity.isRotating && !identity.hasRotated(in: before))
            var after = before
            after.verificationMethods = [
                .init(id: DIDURL(did: did, fragment: next.multibase), controller: did, publicKey: next)
            ]
            #expect(identity.hasRotated(in: after))
            _ = try read.update(did) { identity throws(IdentityError) in try identity.rotateController(at: now + 1) }
            #expect(read[did]?.controller?.key.publicKey == next && read[did]?.isRotating == false)
        }
    }

    @Test("a whole file of another version, format or cost is told apart")
    func foreign() throws {
        let key = try SealedContainer.newKey(for: .passphrase("p"), format: .wallet, cost: .test)
        let good = try SealedContainer.seal([1, 2, 3], with: key)
        func rewritten(_ change: (inout JSONObject) -> Void) throws -> [UInt8] {
            var object = try #require(try JSONValue(parsing: good).object)
            change(&object)
            object["checksum"] = nil
            let digest = SHA256.hash(data: JSONValue.object(object).canonical)
            object["checksum"] = .string(Base64URL.encode(Array(digest)))
            return JSONValue.object(object).canonical
        }
        let newer = try rewritten { $0["version"] = 2 }
        #expect(throws: IdentityError(.unsupported, "")) { try SealedContainer(newer, format: .wallet) }
        let backup = try rewritten { $0["format"] = "dsip-backup" }
        #expect(throws: IdentityError(.malformed, "")) { try SealedContainer(backup, format: .wallet) }
        for (name, value) in [("log_n", 40), ("log_n", 3), ("r", 17), ("p", 0), ("p", -1)] as [(String, Int64)] {
            let costly = try rewritten { object in
                guard case .object(var lock)? = object["lock"] else { return }
                lock[name] = .int(value)
                object["lock"] = .object(lock)
            }
            #expect(throws: IdentityError(.damaged, "")) { try SealedContainer(costly, format: .wallet) }
        }
        // An honest checksum over someone's changed lock does not open: the lock is authenticated.
        let changed = try rewritten { object in
            guard case .object(var lock)? = object["lock"] else { return }
            lock["r"] = 2
            object["lock"] = .object(lock)
        }
        #expect(throws: IdentityError(.wrongPassphrase, "")) {
            try SealedContainer(changed, format: .wallet).open(with: .passphrase("p"))
        }
        let contents = try rewritten { $0["contents"] = .string(Base64URL.encode([UInt8](repeating: 0, count: 40))) }
        #expect(throws: IdentityError(.damaged, "")) {
            try SealedContainer(contents, format: .wallet).open(with: .passphrase("p"))
        }
    }

    @Test("what a killed save left behind goes when the wallet is next opened, and nothing else does")
    func sweep() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/wallet.json"
        _ = try WalletFile.create(at: path, Wallet(), secret: .key([UInt8](repeating: 7, count: 32)))
        let old = ["wallet.json.tmp-17-4294967295", "wallet.json.tmp-1-0"]
        let kept = [
            "wallet.json.tmp-18-9", "wallet.json.tmp-x-1", "wallet.json.tmp-1", "wallet.json.tmp-1-2-3",
            "other.tmp-1-2",
            "wallet.json.tmp-1-", "wallet.json.bak",
        ]
        for name in old + kept { try Data("half".utf8).write(to: URL(filePath: folder.path + "/" + name)) }
        try FileManager.default.createDirectory(
            atPath: folder.path + "/wallet.json.tmp-3-3",
            withIntermediateDirectories: false
        )
        // All but the first of those kept are old, too; that one may be in the making.
        for name in old + kept.dropFirst() + ["wallet.json.tmp-3-3"] {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -120)],
                ofItemAtPath: folder.path + "/" + name
            )
        }
        _ = try WalletFile.open(path, secret: .key([UInt8](repeating: 7, count: 32)))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasSuffix(".lock") }
        #expect(left.sorted() == (kept + ["wallet.json", "wallet.json.tmp-3-3"]).sorted())
    }

    @Test(
        "a write that ends at any step leaves the old file or the new one, whole",
        arguments: AtomicFile.Step.allCases
    )
    func crash(step: AtomicFile.Step) throws {
        let folder = try TemporaryFolder()
        try folder.put(Array("old".utf8), "file")
        let path = folder.path + "/file"
        #expect(throws: IdentityError(.storage, "")) {
            try AtomicFile.write(Array("new".utf8), to: path) { (done: AtomicFile.Step) throws(IdentityError) in
                if done == step { throw IdentityError(.storage, "the power failed") }
            }
        }
        #expect(folder.bytes("file") == Array((step == .renamed ? "new" : "old").utf8))
        #expect(folder.names == ["file"])
    }

    @Test("a disk that is full or a folder that is missing is told, and nothing is left behind")
    func storage() throws {
        let folder = try TemporaryFolder()
        #expect(throws: IdentityError(.storage, "")) { try AtomicFile.write([1], to: folder.path + "/none/file") }
        // The device that is always full takes the place of a full disk.
        #expect(throws: IdentityError(.storage, "")) { try AtomicFile.read("/dev/full", limit: 10) }
        try folder.put([UInt8](repeating: 0, count: 100), "big")
        #expect(throws: IdentityError(.tooLarge, "")) { try AtomicFile.read(folder.path + "/big", limit: 99) }
        #expect(folder.names == ["big"])
    }

    @Test("the standard cost opens within a few seconds even unoptimised")
    func standardCost() throws {
        let folder = try TemporaryFolder()
        _ = try WalletFile.create(at: folder.path + "/w", Wallet(), secret: .passphrase("p"))
        #expect(try WalletFile.open(folder.path + "/w", secret: .passphrase("p")).wallet.identities.isEmpty)
    }
}

@Suite("Backups") struct BackupTests {
    let now: Int64 = 1_760_000_000

    @Test("a backup brings back everything but the device: its key is new, its delegation fresh")
    func roundTrip() throws {
        var wallet = Wallet()
        let old = try wallet.createIdentity(name: "Alice", device: laptop, relay: "wss://r.example", at: now)
        _ = try wallet.pins.observe(DID("did:web:example.com")!, keys: [SigningKey(seeded: 2).publicKey], at: now)
        let bytes = try Backup.export(wallet, passphrase: "p", cost: .test)
        let restored = try Backup.restore([0x20] + bytes + [0x0d, 0x0a], passphrase: "p", device: phone, at: now + 10)
        let identity = try #require(restored[old.did])
        #expect(identity.device.did != old.device.did && identity.relay == old.relay && restored.pins == wallet.pins)
        #expect(identity.controller?.phrase == old.controller?.phrase && identity.deviceDescription == phone)
        let delegation = try Delegation.verify(
            try #require(identity.delegation),
            device: identity.device.did,
            subject: old.did,
            at: now + 10,
            document: DIDKey.document(of: old.did)!
        )
        #expect(delegation.deviceClass == .phone)
        #expect(identity.devices.map(\.did) == [old.device.did, identity.device.did])
    }

    @Test("wrong passphrase, damage and other files are told apart")
    func errors() throws {
        let bytes = try Backup.export(Wallet(), passphrase: "p", cost: .test)
        func code(_ bytes: [UInt8], _ passphrase: String = "p") -> IdentityError.Code? {
            do {
                _ = try Backup.restore(bytes, passphrase: passphrase, device: phone, at: now)
                return nil
            } catch { return error.code }
        }
        #expect(code(bytes) == nil && code(bytes, "q") == .wrongPassphrase && code(bytes, "") == .wrongPassphrase)
        #expect(
            code(Array(bytes.dropLast())) == .damaged && code([]) == .damaged && code(Array("hello".utf8)) == .damaged
        )
        let key = try SealedContainer.newKey(for: .passphrase("p"), format: .wallet, cost: .test)
        #expect(code(try SealedContainer.seal(Wallet().plaintext(.everything), with: key)) == .malformed)
        #expect(throws: IdentityError(.wrongPassphrase, "")) { try Backup.export(Wallet(), passphrase: "") }
    }
}
