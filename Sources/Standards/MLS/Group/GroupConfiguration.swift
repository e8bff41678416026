/// Bounds and choices of one member's view of a group; they need not be the same for all.
public struct GroupConfiguration: Hashable, Sendable {
    /// Epochs whose late application messages can still be opened.
    public var pastEpochs = 5
    /// Epochs whose resumption keys are kept.
    public var resumptionKeys = 16
    /// How many generations a sender may run ahead of what arrived.
    public var maximumForwardGenerations: UInt32 = 1000
    /// Keys kept for each sender's late messages.
    public var maximumSkippedKeys = 256
    /// Proposals held for the next commit.
    public var maximumProposals = 4096
    /// Application plaintexts are padded to a multiple of this many bytes; 1 for none.
    public var paddingStep = 1
    /// Proposals and commits travel as private messages, so that only members see them.
    public var encryptsHandshakes = true

    public init() {}

    var ratchetLimits: SecretTree.Limits {
        SecretTree.Limits(forward: maximumForwardGenerations, kept: maximumSkippedKeys)
    }
}

/// Pre-shared keys the application holds (RFC 9420 §8.4).
public struct PreSharedKeys: Sendable {
    private struct Epoch: Hashable, Sendable {
        let groupID: [UInt8]
        let epoch: UInt64
    }

    private var external: [[UInt8]: Secret] = [:]
    private var resumption: [Epoch: Secret] = [:]

    public init() {}

    /// A key by the identifier that all its holders know.
    public subscript(external id: [UInt8]) -> Secret? {
        get { external[id] }
        set { external[id] = newValue }
    }

    /// The resumption key of another group's epoch.
    public subscript(resumption groupID: [UInt8], epoch: UInt64) -> Secret? {
        get { resumption[Epoch(groupID: groupID, epoch: epoch)] }
        set { resumption[Epoch(groupID: groupID, epoch: epoch)] = newValue }
    }

    func key(for id: PreSharedKeyID) -> Secret? {
        switch id.key {
        case .external(let id): external[id]
        case .resumption(_, let groupID, let epoch): self[resumption: groupID, epoch]
        }
    }

    func encode(to writer: inout WireWriter) {
        writer.nested { writer in
            for (id, key) in external {
                writer.vector(id)
                writer.vector(key)
            }
        }
        writer.nested { writer in
            for (epoch, key) in resumption {
                writer.vector(epoch.groupID)
                writer.write(epoch.epoch)
                writer.vector(key)
            }
        }
    }

    init(from reader: inout WireReader) throws(MLSError) {
        var keys = try reader.nested()
        while !keys.isAtEnd {
            let id = try keys.vector()
            external[id] = Secret(try keys.vector())
        }
        keys = try reader.nested()
        while !keys.isAtEnd {
            let epoch = Epoch(groupID: try keys.vector(), epoch: try keys.uint64())
            resumption[epoch] = Secret(try keys.vector())
        }
    }
}
