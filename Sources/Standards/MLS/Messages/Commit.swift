/// Proposals that become true together, and fresh secrets for the committer's path (RFC 9420 §12.4).
package struct Commit: Sendable, WireEncodable, WireDecodable {
    package enum Item: Sendable, WireEncodable, WireDecodable {
        case proposal(Proposal)
        case reference([UInt8])

        package init(from reader: inout WireReader) throws(MLSError) {
            switch try reader.uint8() {
            case 1: self = .proposal(try Proposal(from: &reader))
            case 2: self = .reference(try reader.vector())
            default: throw MLSError(.malformed, "a commit's item is neither proposal nor reference")
            }
        }

        package func encode(to writer: inout WireWriter) {
            switch self {
            case .proposal(let proposal):
                writer.write(UInt8(1))
                writer.write(proposal)
            case .reference(let reference):
                writer.write(UInt8(2))
                writer.vector(reference)
            }
        }
    }

    let items: [Item]
    let path: UpdatePath?

    init(items: [Item], path: UpdatePath?) {
        self.items = items
        self.path = path
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        items = try reader.list(of: Item.self)
        path = try reader.optional { (reader: inout WireReader) throws(MLSError) in try UpdatePath(from: &reader) }
    }

    package func encode(to writer: inout WireWriter) {
        writer.list(items)
        writer.optional(path)
    }
}

/// A committer's new leaf and path, its secrets sealed to everybody else (RFC 9420 §7.6).
package struct UpdatePath: Sendable, WireEncodable, WireDecodable {
    struct Node: Sendable, WireEncodable, WireDecodable {
        let encryptionKey: HPKEPublicKey
        let secrets: [HPKECiphertext]

        init(encryptionKey: HPKEPublicKey, secrets: [HPKECiphertext]) {
            self.encryptionKey = encryptionKey
            self.secrets = secrets
        }

        init(from reader: inout WireReader) throws(MLSError) {
            encryptionKey = try HPKEPublicKey(from: &reader)
            secrets = try reader.list(of: HPKECiphertext.self)
        }

        func encode(to writer: inout WireWriter) {
            writer.write(encryptionKey)
            writer.list(secrets)
        }
    }

    let leafNode: Unverified<LeafNode>
    let nodes: [Node]

    init(leafNode: LeafNode, nodes: [Node]) {
        self.leafNode = Unverified(leafNode)
        self.nodes = nodes
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        leafNode = try Unverified(from: &reader)
        nodes = try reader.list(of: Node.self)
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(leafNode)
        writer.list(nodes)
    }
}
