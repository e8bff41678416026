import DSIPIdentity
import DSIPSignaling

/// What a receiver can play, by the registries' identifiers.
public struct ReceiverCapabilities: Hashable, Sendable {
    public var codecs: Set<String>
    public var transports: Set<String>
    /// Variants by id that cannot be played for another reason, such as what their address is.
    public var excluded: Set<String>

    public init(codecs: Set<String>, transports: Set<String>, excluding excluded: Set<String> = []) {
        self.codecs = codecs
        self.transports = transports
        self.excluded = excluded
    }

    /// The first variant, in the publisher's order of preference, whose codec and transport are both supported (DSIP §22.1).
    public func choose(from variants: [Publish.Variant]) -> Publish.Variant? {
        variants.first {
            codecs.contains($0.codec) && transports.contains($0.transport) && !excluded.contains($0.id)
        }
    }
}

/// A publication as a receiver takes it: which variant is played, who had it in hands on the way, and what all that proves.
public struct Reception: Sendable {
    public let record: PublicationRecord
    /// Nil when nothing advertised can be played here.
    public let variant: Publish.Variant?
    /// Those that verified, in the order given.
    public let statements: [ProvenanceRecord]

    public init(
        _ record: PublicationRecord,
        statements: [ProvenanceRecord] = [],
        capabilities: ReceiverCapabilities
    ) {
        self.record = record
        self.statements = statements
        variant = capabilities.choose(from: record.variants)
    }

    public var originalPublisher: DID { record.publisher }

    /// Processors that relayed or repackaged, each once (DSIP §22.3).
    public var deliveredBy: [DID] { processors { !$0.isTranscode } }
    public var transcodedBy: [DID] { processors(where: \.isTranscode) }

    /// The one integrity mode there is, the delivered stream's: a verified transcode makes it `derivative-bound`, and no relaying or
    /// repackaging does; else it is what the record declares (DSIP §22.2, §22.3).
    public var integrity: IntegrityMode {
        statements.contains(where: \.isTranscode) ? .derivativeBound : record.declaredIntegrity(of: variant)
    }

    private func processors(where matches: (ProvenanceRecord) -> Bool) -> [DID] {
        var seen: Set<DID> = []
        return statements.filter(matches).map(\.statement.processor).filter { seen.insert($0).inserted }
    }
}
