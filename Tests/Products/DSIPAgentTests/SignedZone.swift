import Crypto
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A zone signed with one Ed25519 key (RFC 4034, RFC 8080), as little of it as a validator asks for.
struct SignedZone {
    enum RecordType: UInt16 {
        case ns = 2
        case txt = 16
        case srv = 33
        case ds = 43
        case rrsig = 46
        case nsec = 47
        case dnskey = 48
    }

    struct Record {
        var name: String
        var type: RecordType
        var rdata: [UInt8]
    }

    let name: String
    private let key = Curve25519.Signing.PrivateKey()
    private(set) var records: [Record] = []

    init(_ name: String) {
        self.name = name
        records = [Record(name: name, type: .dnskey, rdata: dnskey)]
    }

    /// Flags 257, protocol 3, algorithm 15 (Ed25519), the key.
    private var dnskey: [UInt8] { [1, 1, 3, 15] + key.publicKey.rawRepresentation }

    /// RFC 4034, appendix B.
    private var keyTag: UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in dnskey.enumerated() { sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte) }
        return UInt16(truncatingIfNeeded: sum + sum >> 16)
    }

    /// For a validator's configuration.
    var anchor: String { "\(name). IN DNSKEY 257 3 15 \(key.publicKey.rawRepresentation.base64EncodedString())" }

    /// What the zone above says of this one's key.
    var ds: Record {
        let digest = SHA256.hash(data: SignedZone.wire(name) + dnskey)
        return Record(name: name, type: .ds, rdata: SignedZone.bytes(keyTag) + [15, 2] + digest)
    }

    mutating func add(_ record: Record) { records.append(record) }

    mutating func addText(_ name: String, _ text: String) {
        add(Record(name: name, type: .txt, rdata: [UInt8(text.utf8.count)] + text.utf8))
    }

    /// That `name` is delegated and has no DS: what lies below is not signed.
    mutating func addUnsignedDelegation(_ name: String) {
        // Types NS (2), RRSIG (46) and NSEC (47) as a bitmap of window 0.
        add(Record(name: name, type: .nsec, rdata: SignedZone.wire("zz.\(self.name)") + [0, 6, 0x20, 0, 0, 0, 0, 3]))
    }

    /// The signature over all records of a name and type (RFC 4034 §3.1.8.1).
    func signature(of name: String, _ type: RecordType) -> Record {
        let set = records.filter { $0.name == name && $0.type == type }.sorted {
            $0.rdata.lexicographicallyPrecedes($1.rdata)
        }
        let now = UInt32(Date().timeIntervalSince1970)
        let head =
            SignedZone.bytes(type.rawValue) + [15, UInt8(name.split(separator: ".").count)]
            + SignedZone.bytes(SignedZone.ttl) + SignedZone.bytes(now + 86_400) + SignedZone.bytes(now - 3_600)
            + SignedZone.bytes(keyTag) + SignedZone.wire(self.name)
        let covered = head + set.flatMap { SignedZone.wire($0) }
        let signature = (try? key.signature(for: covered)).map { Array($0) } ?? []
        return Record(name: name, type: .rrsig, rdata: head + signature)
    }

    static let ttl: UInt32 = 300

    static func wire(_ record: Record) -> [UInt8] {
        wire(record.name) + bytes(record.type.rawValue) + [0, 1] + bytes(ttl) + bytes(UInt16(record.rdata.count))
            + record.rdata
    }

    static func wire(_ name: String) -> [UInt8] {
        name.lowercased().split(separator: ".").flatMap { [UInt8($0.utf8.count)] + $0.utf8 } + [0]
    }

    static func bytes(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}

/// Answers over UDP on loopback what is put into it, signatures beside it; everything else with nothing.
final class TestNameServer: Sendable {
    private let channel: any Channel
    var address: String { "127.0.0.1@\(channel.localAddress?.port ?? 0)" }

    init(
        _ answers: [(
            question: (name: String, type: SignedZone.RecordType), answer: [SignedZone.Record],
            authority: [SignedZone.Record]
        )]
    )
        async throws
    {
        channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answers))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func stop() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>

        private var answers: [[UInt8]: ([SignedZone.Record], [SignedZone.Record])] = [:]

        init(
            _ all: [(
                question: (name: String, type: SignedZone.RecordType), answer: [SignedZone.Record],
                authority: [SignedZone.Record]
            )]
        ) {
            for item in all {
                let question = SignedZone.wire(item.question.name) + SignedZone.bytes(item.question.type.rawValue)
                answers[question] = (item.answer, item.authority)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let envelope = unwrapInboundIn(data)
            let query = Array(envelope.data.readableBytesView)
            guard query.count > 17, let end = query[12...].firstIndex(of: 0), end + 5 <= query.count else { return }
            let question = query[12..<(end + 5)]
            // Names may come in any case, against forgery.
            let key = query[12...end].map { (0x41...0x5a).contains($0) ? $0 + 32 : $0 } + query[(end + 1)..<(end + 3)]
            let (answer, authority) = answers[key] ?? ([], [])
            var reply = Array(query[0..<2]) + [0x85, 0x80, 0, 1]
            reply +=
                SignedZone.bytes(UInt16(answer.count)) + SignedZone.bytes(UInt16(authority.count)) + [0, 1] + question
            reply += (answer + authority).flatMap { SignedZone.wire($0) }
            // EDNS, signatures wanted and given (RFC 3225).
            reply += [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0]
            let datagram = AddressedEnvelope(
                remoteAddress: envelope.remoteAddress,
                data: context.channel.allocator.buffer(bytes: reply)
            )
            context.channel.writeAndFlush(datagram, promise: nil)
        }
    }
}
