import DSIPIdentity
import DSIPSignaling
import Encoding

/// The devices that an identity whose key stays offline points to (hints profile §9.1), signed by the identity.
public struct PkarrPointer: Hashable, Sendable {
    /// The longest TTL of a pointer's record: seven days.
    public static let maximumTTL: UInt32 = 604_800
    static let label = "_dsip-devices"

    public let subject: DID
    /// The signed timestamp, µs.
    public let seq: UInt64
    /// Unix seconds.
    public let expiresAt: Int64
    /// did:keys in the order of the records, each once.
    public let devices: [DID]

    /// - Throws: as `PkarrHint`, and `.badPointer`, `.noDevices`.
    public init(_ payload: [UInt8], of subject: DID, at now: Int64) throws(DiscoveryError) {
        let key = try PkarrKey(subject)
        let packet = try PkarrPacket(payload)
        let message = try packet.open(under: key, at: now)
        var devices: [DID] = []
        let records = message.texts(key.name(PkarrPointer.label))
        for record in records {
            let device = try PkarrPointer.device(try message.strings(of: record))
            if !devices.contains(device) { devices.append(device) }
        }
        guard let shortest = records.map(\.ttl).min() else {
            throw DiscoveryError(.noDevices, "the zone names no device")
        }
        guard records.allSatisfy({ $0.ttl <= PkarrPointer.maximumTTL }) else {
            throw DiscoveryError(.ttlTooLong, "a pointer holds seven days at most")
        }
        self.subject = subject
        self.seq = packet.timestamp
        self.expiresAt = Int64(packet.timestamp / 1_000_000) + Int64(shortest)
        self.devices = devices
        guard now < expiresAt else { throw DiscoveryError(.expired, "the pointer has expired") }
    }

    private static func device(_ strings: [[UInt8]]) throws(DiscoveryError) -> DID {
        let values = strings.filter { $0.starts(with: "dev=".utf8) }
        guard values.count == 1, let device = DID(String(decoding: values[0].dropFirst(4), as: UTF8.self)),
            (try? PkarrKey(device)) != nil
        else { throw DiscoveryError(.badPointer, "a pointer's record names one device by its did:key") }
        return device
    }
}

/// The hint of a device in its own zone, with the delegation that makes it its identity's (hints profile §9.1).
public struct PkarrDeviceHint: Hashable, Sendable {
    static let label = "_dsip-delegation"

    public enum Fault: Error, Hashable, Sendable {
        /// No packet of the device's zone was to be had.
        case unavailable
        case hint(DiscoveryError)
        /// The zone holds no delegation.
        case delegationMissing
        case delegation(DelegationFault)

        /// The reason token of the vectors.
        public var token: String {
            switch self {
            case .unavailable: "unavailable"
            case .hint(let error): error.code.rawValue
            case .delegationMissing: "delegation-missing"
            case .delegation(let fault): fault.rawValue
            }
        }
    }

    public let device: DID
    public let endpoints: [ReachabilityHint.Endpoint]
    /// The earlier end of the hint and its delegation, Unix seconds.
    public let expiresAt: Int64

    /// - Parameters:
    ///   - payload: of the device's zone; nil when there is none.
    ///   - document: of the identity that points to the device.
    ///   - revocations: those the reader holds.
    public init(
        _ payload: [UInt8]?,
        of device: DID,
        for document: DIDDocument,
        at now: Int64,
        revocations: Revocations
    ) throws(Fault) {
        guard let payload else { throw .unavailable }
        let (hint, texts) = try PkarrDeviceHint.read(payload, of: device, at: now)
        guard let first = texts.first else { throw .delegationMissing }
        guard texts.count == 1, let text = first, let envelope = Envelope(compact: text) else {
            throw .delegation(.invalid)
        }
        let delegation: Delegation
        do {
            delegation = try Delegation.verify(
                envelope,
                device: device,
                subject: document.id,
                at: now,
                document: document,
                revocations: revocations
            )
        } catch {
            throw .delegation(error)
        }
        self.device = device
        self.endpoints = hint.endpoints
        self.expiresAt = min(hint.expiresAt, delegation.expiresAt)
    }

    /// The hint, and the text of each delegation record; nil for one that does not split into strings.
    private static func read(
        _ payload: [UInt8],
        of device: DID,
        at now: Int64
    ) throws(Fault) -> (PkarrHint, [String?]) {
        do throws(DiscoveryError) {
            let key = try PkarrKey(device)
            let packet = try PkarrPacket(payload)
            let message = try packet.open(under: key, at: now)
            let hint = try PkarrHint(packet, message, key: key, subject: device, at: now)
            let texts = message.texts(key.name(label)).map { record in
                (try? message.strings(of: record)).map { String(decoding: $0.joined(), as: UTF8.self) }
            }
            return (hint, texts)
        } catch {
            throw .hint(error)
        }
    }
}
