/// `/libp2p/autonat/2`: a peer asks others to dial one of its addresses, and learns by a number that they did.
///
/// ```
/// dial-request: 1 request { 1 addrs …   2 nonce fixed64 }   2 response { 1 status   2 addrIdx   3 dialStatus }
///               3 data request { 1 addrIdx   2 numBytes }   4 data { 1 data }
/// dial-back:    1 nonce fixed64, answered by an empty message: status 0, OK
/// ```
package enum AutoNAT2Message: Hashable, Sendable {
    static let protocolID = "/libp2p/autonat/2/dial-request"
    static let dialBackID = "/libp2p/autonat/2/dial-back"
    /// Of a message, in bytes: a request of addresses, or a portion of data.
    static let maximumLength = 8 << 10
    static let maximumAddresses = 16
    /// Of the data in one message, in bytes.
    static let maximumPortion = 4096

    package enum Status: UInt64, Hashable, Sendable {
        case internalError = 0
        case requestRejected = 100
        case dialRefused = 101
        case ok = 200
    }

    package enum DialStatus: UInt64, Hashable, Sendable {
        case unused = 0
        case dialError = 100
        case dialBackError = 101
        case ok = 200
    }

    case request([Multiaddr], nonce: UInt64)
    /// - Parameter index: of the address that was dialled, among those of the request.
    case response(Status, index: Int, DialStatus)
    /// What it costs to have an address dialled that is not the asker's own, in bytes.
    case dataRequest(index: Int, count: Int)
    /// So many bytes of it.
    case data(Int)

    /// Addresses that mean nothing here keep their place among the others, for the index: nobody dials them.
    package init(bytes: [UInt8]) throws(Libp2pError) {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() {
            guard (1...4).contains(field.number) else { continue }
            var inner = ProtobufReader(try field.bytes())
            switch field.number {
            case 1:
                self = try AutoNAT2Message.request(&inner)
                return
            case 2:
                let numbers = try AutoNAT2Message.numbers(&inner)
                guard let status = Status(rawValue: numbers[0]), let dialStatus = DialStatus(rawValue: numbers[2])
                else {
                    throw Libp2pError(.unsupported, "an unknown status")
                }
                self = .response(status, index: Int(clamping: numbers[1]), dialStatus)
                return
            case 3:
                let numbers = try AutoNAT2Message.numbers(&inner)
                self = .dataRequest(index: Int(clamping: numbers[0]), count: Int(clamping: numbers[1]))
                return
            default:
                var count = 0
                while let part = try inner.next() { if part.number == 1 { count = try part.bytes().count } }
                guard count <= AutoNAT2Message.maximumPortion else { throw Libp2pError(.limit, "too much at once") }
                self = .data(count)
                return
            }
        }
        throw Libp2pError(.malformed, "no AutoNAT message")
    }

    private static func request(_ reader: inout ProtobufReader) throws(Libp2pError) -> AutoNAT2Message {
        var (addresses, nonce): ([Multiaddr], UInt64?) = ([], nil)
        while let part = try reader.next() {
            if part.number == 2 { nonce = try part.fixed64() }
            guard part.number == 1, addresses.count < maximumAddresses else { continue }
            addresses.append((try? Multiaddr(bytes: try part.bytes())) ?? unknown)
        }
        guard let nonce else { throw Libp2pError(.malformed, "a request without a nonce") }
        return .request(addresses, nonce: nonce)
    }

    /// In the place of an address that means nothing here.
    private static let unknown = Multiaddr(IPAddress("0.0.0.0")!, tcp: 0)

    /// The varints of fields 1 to 3; 0 where there is none.
    private static func numbers(_ reader: inout ProtobufReader) throws(Libp2pError) -> [UInt64] {
        var numbers: [UInt64] = [0, 0, 0]
        while let part = try reader.next() {
            if (1...3).contains(part.number) { numbers[Int(part.number) - 1] = try part.varint() }
        }
        return numbers
    }

    package var bytes: [UInt8] {
        var (writer, inner) = (ProtobufWriter(), ProtobufWriter())
        switch self {
        case .request(let addresses, let nonce):
            for address in addresses.prefix(AutoNAT2Message.maximumAddresses) { inner.bytes(1, address.bytes) }
            inner.fixed64(2, nonce)
            writer.bytes(1, inner.bytes)
        case .response(let status, let index, let dialStatus):
            inner.varint(1, status.rawValue)
            inner.varint(2, UInt64(max(0, index)))
            inner.varint(3, dialStatus.rawValue)
            writer.bytes(2, inner.bytes)
        case .dataRequest(let index, let count):
            inner.varint(1, UInt64(max(0, index)))
            inner.varint(2, UInt64(max(0, count)))
            writer.bytes(3, inner.bytes)
        case .data(let count):
            inner.bytes(1, [UInt8](repeating: 0, count: min(max(0, count), AutoNAT2Message.maximumPortion)))
            writer.bytes(4, inner.bytes)
        }
        return writer.bytes
    }

    /// The message of a dial-back.
    static func dialBack(_ nonce: UInt64) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.fixed64(1, nonce)
        return writer.bytes
    }

    static func nonce(ofDialBack bytes: [UInt8]) throws(Libp2pError) -> UInt64 {
        var reader = ProtobufReader(bytes)
        while let field = try reader.next() { if field.number == 1 { return try field.fixed64() } }
        throw Libp2pError(.malformed, "a dial-back without a nonce")
    }
}
