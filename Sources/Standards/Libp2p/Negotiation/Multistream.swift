import Encoding

/// multistream-select 1.0: two sides agree on one protocol over a stream of bytes.
///
/// ```
/// varint length | text | "\n"        text: "/multistream/1.0.0", a protocol, or "na"
/// ```
///
/// Both roles are one machine. The dialling side sends its header and first proposal at once, so that agreement costs one round
/// trip; with a single proposal its data may follow without waiting (`isOptimistic`). `ls` is answered "na": what a peer offers
/// is told by identify.
struct Multistream {
    enum Role { case dialler, listener }

    enum Outcome: Hashable {
        case undecided
        case selected(String)
    }

    static let header = "/multistream/1.0.0"
    /// Of one message without its length.
    static let maximumMessage = 256
    /// Proposals that a listener hears before it gives up.
    static let maximumProposals = 16

    private let role: Role
    /// What a dialler has yet to propose, or a listener offers.
    private var protocols: [String]
    private var proposed: String?
    private var heardHeader = false
    private var heardProposals = 0
    private(set) var outcome: Outcome = .undecided

    /// - Parameter protocols: a dialler's proposals in order of preference, or what a listener offers.
    init(_ role: Role, _ protocols: [String]) {
        self.role = role
        self.protocols = protocols
    }

    /// A dialler with one proposal may send data right behind it.
    var isOptimistic: Bool { role == .dialler && protocols.isEmpty }

    /// What is sent first.
    mutating func start() -> [UInt8] {
        guard role == .dialler, !protocols.isEmpty else { return Multistream.message(Multistream.header) }
        return Multistream.message(Multistream.header) + propose()
    }

    /// Reads what has come in; bytes behind the decision stay in `input`.
    ///
    /// - Returns: what to send.
    /// - Throws: `noCommonProtocol` when the dialler has nothing left to propose or the listener heard too many proposals;
    ///   `malformed`, `limit` and `protocolViolation` for a peer that speaks something else.
    mutating func receive(_ input: inout ByteQueue) throws(Libp2pError) -> [UInt8] {
        var output: [UInt8] = []
        while outcome == .undecided, let frame = try input.takeDelimited(limit: Multistream.maximumMessage) {
            guard frame.last == UInt8(ascii: "\n"), let text = String(validating: frame.dropLast(), as: UTF8.self)
            else {
                throw Libp2pError(.malformed, "no multistream message")
            }
            guard heardHeader else {
                guard text == Multistream.header else {
                    throw Libp2pError(.protocolViolation, "the peer does not speak multistream-select 1.0")
                }
                heardHeader = true
                continue
            }
            switch role {
            case .dialler:
                if text == proposed {
                    outcome = .selected(text)
                } else if text == "na" {
                    guard !protocols.isEmpty else {
                        throw Libp2pError(.noCommonProtocol, "the peer declined every protocol")
                    }
                    output += propose()
                } else {
                    throw Libp2pError(.protocolViolation, "the peer selected what was not proposed")
                }
            case .listener:
                if protocols.contains(text) {
                    outcome = .selected(text)
                    output += Multistream.message(text)
                } else {
                    heardProposals += 1
                    guard heardProposals < Multistream.maximumProposals else {
                        throw Libp2pError(.noCommonProtocol, "the peer proposed nothing that is offered")
                    }
                    output += Multistream.message("na")
                }
            }
        }
        return output
    }

    private mutating func propose() -> [UInt8] {
        let next = protocols.removeFirst()
        proposed = next
        return Multistream.message(next)
    }

    private static func message(_ text: String) -> [UInt8] { (Array(text.utf8) + [UInt8(ascii: "\n")]).delimited }
}
