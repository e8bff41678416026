import DSIPIdentity
import Encoding

/// What its sender said before and somebody could not open, said once more with the place that it had (`docs/messaging.md`): to all, or,
/// when somebody has come in since who could not have read it, sealed to one device that asked.
public struct SaidAgain: Hashable, Sendable {
    public static let objectName = "said-again"
    private static let purpose = "dsip said again v1"

    private enum Body: Hashable, Sendable {
        case open(JSONObject)
        case sealed([UInt8], to: DID)
    }

    public var id: ULID
    public var conversation: ULID
    public var sender: DID
    public var sentAt: Int64
    /// The group in which it was said, and its `seq` there.
    public var group: GroupID
    public var seq: Int64
    private var body: Body

    public init(
        id: ULID,
        conversation: ULID,
        sender: DID,
        sentAt: Int64,
        group: GroupID,
        seq: Int64,
        payload: JSONObject
    ) {
        self.id = id
        self.conversation = conversation
        self.sender = sender
        self.sentAt = sentAt
        self.group = group
        self.seq = seq
        body = .open(payload)
    }

    init(_ value: JSONValue) throws(MessagingError) {
        var members = try Members(value, Self.objectName)
        (id, conversation, sender, sentAt) = try members.head(Self.objectName)
        group = try members.required("group", Read.group)
        seq = try members.required("seq", Read.positive)
        if let device = try members.optional("to", Read.did) {
            guard let sealed = try members.required("sealed", Read.encoded).bytes else {
                throw Members.fault("sealed is no base64url")
            }
            body = .sealed(sealed, to: device)
        } else {
            body = .open(try Self.payload(members.required("payload")))
        }
        try members.finish()
    }

    private static func payload(_ value: JSONValue) throws(MessagingError) -> JSONObject {
        guard let said = value.object, said["object"] != nil else {
            throw Members.fault("payload is no object of the profile")
        }
        return said
    }

    /// The object, of this sender; nil while it is sealed.
    public var payload: JSONObject? { if case .open(let payload) = body { payload } else { nil } }

    var isSealed: Bool { payload == nil }

    // MARK: Sealed

    /// The same for one device alone.
    ///
    /// - Throws: `sealed-open-failed` when the device's DID names no key to seal to.
    func sealed(to device: DID) throws(MessagingError) -> Self {
        guard case .open(let payload) = body else { return self }
        var sealed = self
        do throws(IdentityError) {
            let bytes = JSONValue.object(payload).utf8
            sealed.body = .sealed(
                try DeviceSeal.seal(bytes, to: device, purpose: Self.purpose, context: context),
                to: device
            )
        } catch {
            throw MessagingError(.sealedOpenFailed, "nothing can be sealed to the device")
        }
        return sealed
    }

    /// - Returns: nil when it is sealed to another device, or holds no object of the profile.
    func opened(by device: SigningKey) -> Self? {
        guard case .sealed(let bytes, let recipient) = body, recipient == device.did,
            let plaintext = try? DeviceSeal.open(bytes, with: device, purpose: Self.purpose, context: context),
            let payload = try? Self.payload(MessagingObject.parse(plaintext))
        else { return nil }
        var opened = self
        opened.body = .open(payload)
        return opened
    }

    /// Whatever names what is sealed.
    private var context: [UInt8] { Array("\(id)\u{0}\(sender)\u{0}\(group.text)\u{0}\(seq)".utf8) }

    public var json: JSONValue {
        var object: JSONObject = [
            "object": .string(Self.objectName), "id": .string(id.description),
            "conversation": .string(conversation.description), "sender": .string(sender.string),
            "sent_at": .int(sentAt), "group": .string(group.text), "seq": .int(seq),
        ]
        switch body {
        case .open(let payload): object["payload"] = .object(payload)
        case .sealed(let bytes, let device):
            object["to"] = .string(device.string)
            object["sealed"] = .string(Base64URL.encode(bytes))
        }
        return .object(object)
    }
}
