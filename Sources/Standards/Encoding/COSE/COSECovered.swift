/// The byte strings that COSE signs, authenticates or takes as associated data (RFC 9052 §4.4, §5.3, §6.3; RFC 9338 §3.3).
public enum COSECovered {
    public enum SignatureContext: String, Sendable {
        /// One signature of a COSE_Sign.
        case signature = "Signature"
        case signature1 = "Signature1"
        /// A countersignature with header buckets of its own, and one without (RFC 8152 §4.5; version 1).
        case counterSignature = "CounterSignature"
        case counterSignature0 = "CounterSignature0"
    }

    public enum MACContext: String, Sendable {
        case mac = "MAC"
        case mac0 = "MAC0"
    }

    public enum EncryptionContext: String, Sendable {
        case encrypt = "Encrypt"
        case encrypt0 = "Encrypt0"
        case encryptRecipient = "Enc_Recipient"
        case macRecipient = "Mac_Recipient"
        case recipientRecipient = "Rec_Recipient"
    }

    /// `Sig_structure`.
    ///
    /// - Parameters:
    ///   - body: the message's own headers.
    ///   - signer: headers of the signer; nil for a `Signature1`.
    ///   - external: what both sides know and the message does not carry.
    public static func signature(
        _ context: SignatureContext,
        body: COSEHeaders,
        signer: COSEHeaders? = nil,
        external: [UInt8],
        payload: [UInt8]
    ) -> [UInt8] {
        var writer = CBORWriter(reserving: body.covered.count + external.count + payload.count + 40)
        writer.array(signer == nil ? 4 : 5)
        writer.text(context.rawValue)
        writer.bytes(body.covered)
        if let signer { writer.bytes(signer.covered) }
        writer.bytes(external)
        writer.bytes(payload)
        return writer.bytes
    }

    /// `MAC_structure`.
    public static func mac(
        _ context: MACContext,
        body: COSEHeaders,
        external: [UInt8],
        payload: [UInt8]
    ) -> [UInt8] {
        var writer = CBORWriter(reserving: body.covered.count + external.count + payload.count + 24)
        writer.array(4)
        writer.text(context.rawValue)
        writer.bytes(body.covered)
        writer.bytes(external)
        writer.bytes(payload)
        return writer.bytes
    }

    /// `Enc_structure`.
    public static func encryption(_ context: EncryptionContext, body: COSEHeaders, external: [UInt8]) -> [UInt8] {
        var writer = CBORWriter(reserving: body.covered.count + external.count + 32)
        writer.array(3)
        writer.text(context.rawValue)
        writer.bytes(body.covered)
        writer.bytes(external)
        return writer.bytes
    }

    /// The payload a message carries, or the one that travelled apart; exactly one of the two.
    static func payload(_ attached: [UInt8]?, _ detached: [UInt8]?) throws(EncodingError) -> [UInt8] {
        switch (attached, detached) {
        case (let payload?, nil), (nil, let payload?): return payload
        case (nil, nil): throw EncodingError(.structure, "the payload is detached and was not given")
        default: throw EncodingError(.structure, "a payload is attached and another was given")
        }
    }
}
