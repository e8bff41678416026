import Crypto
import DSIPIdentity
import DSIPMessaging
import DSIPSignaling
import Encoding
import Foundation
import MLS

@testable import DSIPRelay

/// A device in conversations: real MLS groups over real connections, and nothing that a relay could lean on.
final class TestMember {
    let device: TestDevice
    let relay: Relay.Running
    private(set) var groups: [GroupID: Group] = [:]
    private(set) var texts: [String] = []
    private(set) var cursor: Cursor?
    private var processed: [GroupID: Set<Int64>] = [:]
    private let signer: SignaturePrivateKey
    private var bundles: [KeyPackageBundle] = []
    private var random = SystemRandomNumberGenerator()

    struct Failure: Error { var what: String }

    init(_ device: TestDevice, at relay: Relay.Running) throws {
        self.device = device
        self.relay = relay
        signer = try SignaturePrivateKey(.x25519AES128, rawRepresentation: Secret(device.key.rawRepresentation))
    }

    private var now: Int64 { unixNow() }

    private var contents: LeafNode.Contents {
        let types = [LeafCredential.extensionType, ConversationExtension.extensionType, MailboxHint.extensionType]
        return LeafNode.Contents(
            credential: .basic(identity: Array(device.did.string.utf8)),
            capabilities: Capabilities(extensions: types.map(ExtensionType.init(rawValue:)), credentials: [.basic]),
            extensions: [
                Extension(
                    ExtensionType(rawValue: LeafCredential.extensionType),
                    Array(device.delegation!.compact.utf8)
                ),
                MailboxHint.leafExtension(MailboxService(uri: relay.url, mailbox: relay.did)),
            ]
        )
    }

    private static var configuration: GroupConfiguration {
        var configuration = GroupConfiguration()
        configuration.encryptsHandshakes = false
        return configuration
    }

    /// Leaves KeyPackages, and lets strangers write.
    func settle(open: Bool = true) async throws {
        let config = MailboxConfig(subject: device.identity, admit: open ? .open : .grant)
        _ = try await device.ask(.mailboxConfig(config), of: relay.did)
        let made = try (0..<3).map { _ in
            try KeyPackageBundle(
                .x25519AES128,
                contents,
                signer: signer,
                lifetime: Lifetime(notBefore: UInt64(now - 3600), notAfter: UInt64(now + 3600)),
                using: &random
            )
        }
        bundles += made
        let packages = made.map { EncodedBytes($0.keyPackage.encoded) }
        let upload = KeyPackages(subject: device.identity, packages: packages, lastResort: nil)
        _ = try await device.ask(.keyPackages(upload), of: relay.did)
    }

    /// Makes a direct conversation with whoever lives at `other`, hubbed at the own relay.
    ///
    /// - Parameter visitor: connected to the other's relay.
    func converse(with other: DID, at service: DID, through visitor: TestDevice) async throws -> GroupID {
        let id = ulid(now)
        let group = GroupID(id)
        let conversation = ConversationExtension(
            conversation: id,
            kind: .direct,
            hub: HubReference(did: relay.did, uri: relay.url),
            successorOf: nil
        )
        let types = [LeafCredential.extensionType, ConversationExtension.extensionType]
        groups[group] = try Group(
            creating: Array(id.description.utf8),
            .x25519AES128,
            contents,
            signer: signer,
            extensions: [
                Extension(ExtensionType(rawValue: ConversationExtension.extensionType), conversation.json.utf8),
                .requiredCapabilities(
                    RequiredCapabilities(
                        extensions: types.map(ExtensionType.init(rawValue:)),
                        credentials: [.basic]
                    )
                ),
            ],
            configuration: Self.configuration,
            validator: DeviceCredentials(),
            at: UInt64(now),
            using: &random
        )
        try await publishInfo(of: group)
        let fetch = visitor.mailboxMessage(.keyPackageFetch(KeyPackageFetch(target: other)), to: service)
        try await visitor.post(fetch)
        let packages = try await visitor.mail("KeyPackages") { message -> [EncodedBytes]? in
            guard case .keyPackages(let packages) = message.body, packages.inReplyTo == fetch.id else { return nil }
            return packages.packages
        }
        let adds = try packages.map { Proposal.add(try Unverified<KeyPackage>(decoding: $0.bytes ?? [])) }
        let bundle = try groups[group]!.commit(CommitOptions(adds), at: UInt64(now), using: &random)
        let handshake = Deposit.Handshake(
            mls: EncodedBytes(bundle.commit.encoded),
            welcome: bundle.welcome.map { EncodedBytes(MLSMessage.welcome($0).encoded) }
        )
        let accepted = try await device.ask(.deposit(Deposit(group: group, .handshake(handshake))), of: relay.did)
        try groups[group]!.mergePendingCommit()
        processed[group, default: []].insert(accepted.seq ?? 0)
        try await publishInfo(of: group)
        return group
    }

    private func publishInfo(of group: GroupID) async throws {
        let info = EncodedBytes(try groups[group]!.groupInfo().encoded)
        let deposit = Deposit(group: group, .groupInfo(mls: info, ratchetTree: nil, handoverSeq: nil))
        _ = try await device.ask(.deposit(deposit), of: relay.did)
    }

    func encrypt(_ text: String, in group: GroupID) throws -> EncodedBytes {
        EncodedBytes(try groups[group]!.protect(Array(text.utf8), using: &random).encoded)
    }

    func deposit(_ mls: EncodedBytes, in group: GroupID, blobs: [BlobReference] = []) -> MailboxMessage.Body {
        .deposit(Deposit(group: group, .application(mls: mls, blobs: blobs)))
    }

    /// Says something, and waits until the hub has it.
    @discardableResult
    func say(_ text: String, in group: GroupID, blobs: [BlobReference] = [], hub: DID? = nil) async throws -> Int64 {
        let mls = try encrypt(text, in: group)
        let accepted = try await device.ask(deposit(mls, in: group, blobs: blobs), of: hub ?? relay.did)
        processed[group, default: []].insert(accepted.seq ?? 0)
        return accepted.seq ?? 0
    }

    func ownSeq(_ seq: Int64, in group: GroupID) { processed[group, default: []].insert(seq) }

    /// Asks for what there is, from where it has read to; what is new is pushed from then on.
    func sync(live: Bool = true) async throws {
        while true {
            let request = SyncRequest(since: cursor, ackThrough: cursor, live: live)
            let message = device.mailboxMessage(.sync(request), to: relay.did)
            try await device.post(message)
            let delivery = try await device.mail("items") { answer -> ItemsDelivery? in
                guard case .items(let items) = answer.body, items.inReplyTo == message.id else { return nil }
                return items
            }
            for item in delivery.items { try await take(item) }
            guard delivery.next != nil else { return }
        }
    }

    /// Takes what is pushed until `count` texts have been read.
    func read(_ count: Int, seconds: Double = 20) async throws {
        while texts.count < count {
            let delivery = try await device.mail("a push", seconds: seconds) { answer -> ItemsDelivery? in
                guard case .items(let items) = answer.body, items.inReplyTo == nil else { return nil }
                return items
            }
            for item in delivery.items { try await take(item) }
        }
    }

    private(set) var manifests: [[BlobReference]] = []

    private func take(_ item: ItemsDelivery.Item) async throws {
        guard case .stored(let item) = item, let group = item.group else { return }
        if let known = cursor?.position, let position = item.cursor.position, position <= known { return }
        cursor = item.cursor
        if !item.blobs.isEmpty { manifests.append(item.blobs) }
        switch item.itemClass {
        case .welcome where groups[group] == nil: try await join(item, group)
        case .handshake, .application:
            guard let seq = item.seq, groups[group] != nil, processed[group, default: []].insert(seq).inserted else {
                return
            }
            let message = try MLSMessage(decoding: item.mls?.bytes ?? [])
            if case .application(let received) = try groups[group]!.process(message, at: UInt64(now)) {
                texts.append(String(decoding: received.data, as: UTF8.self))
            }
        default: return
        }
    }

    private func join(_ item: StoredItem, _ group: GroupID) async throws {
        guard case .welcome(let welcome) = try MLSMessage(decoding: item.mls?.bytes ?? []) else { return }
        for bundle in bundles {
            guard
                let joined = try? Group(
                    joining: welcome,
                    with: bundle,
                    configuration: Self.configuration,
                    validator: DeviceCredentials()
                )
            else { continue }
            groups[group] = joined
            if let seq = item.seq { processed[group, default: []].formUnion(1...seq) }
            let config = MailboxConfig(subject: device.identity, groups: [.init(group, .joined)])
            _ = try await device.ask(.mailboxConfig(config), of: relay.did)
            return
        }
        throw Failure(what: "a welcome with none of its KeyPackages")
    }

    /// Reads everything again from the beginning, as a device that lost its cursor.
    func startOver() { cursor = nil }

    /// The same member on a new connection, as after its relay restarted.
    func moved(to device: TestDevice, at relay: Relay.Running) throws -> TestMember {
        let member = try TestMember(device, at: relay)
        member.groups = groups
        member.texts = texts
        member.cursor = cursor
        member.processed = processed
        member.bundles = bundles
        return member
    }
}

/// A `PUT` or `GET` of blobs at a relay.
struct TestBlobs {
    let relay: Relay.Running

    static func name(_ bytes: [UInt8]) -> String { Hex.encode(Array(SHA256.hash(data: bytes))) }

    func reference(_ bytes: [UInt8]) -> BlobReference {
        let name = TestBlobs.name(bytes)
        return BlobReference(
            uri: "https://127.0.0.1:\(relay.port)/blobs/\(name)",
            sha256: name,
            size: Int64(bytes.count)
        )
    }
}
