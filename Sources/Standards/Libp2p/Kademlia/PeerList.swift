/// The peers that a message names, as they stand in it until somebody wants to know them: of most answers to a search nobody is asked, and
/// what a node says of a neighbour is the same each time.
///
/// Those whose id means nothing are passed over.
struct PeerList: Hashable, Sendable {
    private enum Form {
        case read([KademliaPeer])
        case written([ArraySlice<UInt8>])
    }

    private var form: Form

    init(_ peers: [KademliaPeer]) { form = .read(peers) }

    /// - Parameter written: each as `KademliaPeer.wire` has it.
    init(written: [ArraySlice<UInt8>]) { form = .written(written) }

    var count: Int {
        switch form {
        case .read(let peers): peers.count
        case .written(let written): written.count
        }
    }

    /// Reads them anew each time.
    var peers: [KademliaPeer] {
        switch form {
        case .read(let peers): peers
        case .written(let written): written.compactMap { KademliaPeer(wire: $0) }
        }
    }

    var last: KademliaPeer? {
        switch form {
        case .read(let peers): peers.last
        case .written(let written): written.last.flatMap { KademliaPeer(wire: $0) }
        }
    }

    func write(_ number: UInt64, to writer: inout ProtobufWriter) {
        switch form {
        case .read(let peers): for peer in peers { writer.bytes(number, peer.wire) }
        case .written(let written): for bytes in written { writer.bytes(number, bytes) }
        }
    }

    static func == (a: PeerList, b: PeerList) -> Bool { a.peers == b.peers }
    func hash(into hasher: inout Hasher) { hasher.combine(peers) }
}

extension KademliaPeer {
    /// `1 id  2 addrs …` of the DHT protocol.
    var wire: [UInt8] {
        var writer = ProtobufWriter()
        writer.bytes(1, id.bytes)
        for address in addresses { writer.bytes(2, address.bytes) }
        return writer.bytes
    }

    /// - Returns: nil for what is no peer.
    init?(wire: ArraySlice<UInt8>) {
        var reader = ProtobufReader(wire)
        var id: PeerID?
        var addresses: [Multiaddr] = []
        do throws(Libp2pError) {
            while let part = try reader.next() {
                if part.number == 1 { id = PeerID(bytes: try part.bytes()) }
                if part.number == 2, addresses.count < KademliaPeer.maximumAddresses,
                    let address = try? Multiaddr(bytes: try part.bytes())
                {
                    addresses.append(address)
                }
            }
        } catch {
            return nil
        }
        guard let id else { return nil }
        // An address that ends in another peer's name is not this peer's.
        let own = addresses.compactMap { address in
            guard let named = address.peerID else { return Optional(address) }
            return named == id ? address.transport : nil
        }
        self.init(id: id, addresses: own)
    }
}
