/// The two buckets of header parameters that begin every COSE structure (RFC 9052 §3).
public struct COSEHeaders: Hashable, Sendable {
    /// What signature, tag or cipher covers.
    public let protected: COSEHeaderMap
    /// The protected bucket as it stands in the message: that is what was signed, whatever the map would be written as here.
    public let protectedBytes: [UInt8]
    public var unprotected: COSEHeaderMap

    /// - Parameter protected: without parameters it is written as an empty string (RFC 9052 §3).
    public init(protected: COSEHeaderMap = [:], unprotected: COSEHeaderMap = [:]) {
        self.protected = protected
        self.protectedBytes = protected.isEmpty ? [] : CBORValue.map(protected.parameters).encoded
        self.unprotected = unprotected
    }

    /// - Throws: `.structure` for buckets of the wrong type, a label in both, both kinds of IV, or a `crit` that is not protected or
    ///   lists what is not there; what `CBORReader` throws for the protected map.
    init(_ protected: CBORValue, _ unprotected: CBORValue, _ context: COSEContext) throws(EncodingError) {
        guard case .bytes(let bytes) = protected, case .map(let open) = unprotected else {
            throw EncodingError(.structure, "header parameters are a byte string and a map")
        }
        self.protectedBytes = bytes
        if bytes.isEmpty {
            self.protected = [:]
        } else {
            guard case .map(let map) = try CBORValue(decoding: bytes, as: context.mode, limits: context.limits) else {
                throw EncodingError(.structure, "protected header parameters are a map")
            }
            self.protected = try COSEHeaderMap(checking: map)
        }
        self.unprotected = try COSEHeaderMap(checking: open)
        try check()
    }

    private func check() throws(EncodingError) {
        // RFC 9052 §3: labels are unique over both buckets.
        for (label, _) in unprotected.parameters.entries where protected[label] != nil {
            throw EncodingError(.duplicateKey, "a header parameter is both protected and unprotected")
        }
        // RFC 9052 §3.1, "crit": protected, and every label it lists is in the protected bucket.
        guard unprotected[COSEHeaderMap.Label.critical] == nil else {
            throw EncodingError(.structure, "crit must be protected")
        }
        for label in protected.critical where protected[label] == nil {
            throw EncodingError(.structure, "crit lists a parameter that is not there")
        }
        // RFC 9052 §3.1: IV and Partial IV must not both be present.
        let vectors = [
            COSEHeaderMap.Label.initializationVector, COSEHeaderMap.Label.partialInitializationVector,
        ]
        guard vectors.contains(where: { self[$0] == nil }) else {
            throw EncodingError(.structure, "both an IV and a partial IV")
        }
    }

    /// The parameter, from whichever bucket holds it.
    public subscript(_ label: CBORValue) -> CBORValue? { protected[label] ?? unprotected[label] }

    public var algorithm: COSEAlgorithm? { protected.algorithm ?? unprotected.algorithm }
    public var keyIdentifier: [UInt8]? { protected.keyIdentifier ?? unprotected.keyIdentifier }
    public var contentType: String? { protected.contentType ?? unprotected.contentType }

    /// Refuses what only somebody who knows an extension may accept.
    ///
    /// - Parameter understood: labels beyond those of RFC 9052 §3.1, which every implementation understands.
    /// - Throws: `.critical`.
    public func checkCritical(understood: Set<CBORValue> = []) throws(EncodingError) {
        for label in protected.critical {
            if case .unsigned(0...7) = label { continue }
            guard understood.contains(label) else {
                throw EncodingError(.critical, "a critical header parameter is not understood")
            }
        }
    }

    /// The protected bucket as the structures to be signed hold it: a map without entries counts as no bytes (RFC 9052 §4.4).
    var covered: [UInt8] { protected.isEmpty ? [] : protectedBytes }

    var elements: [CBORValue] { [.bytes(protectedBytes), .map(unprotected.parameters)] }
}

/// How a message is being read.
public struct COSEContext: Sendable {
    var mode: CBORReader.Mode
    var limits: CBORReader.Limits
}
