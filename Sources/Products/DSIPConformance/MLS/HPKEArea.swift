import Encoding
import MLS

/// Appendix A of RFC 9180: key pairs from their material, both sides' contexts in every mode, what they seal, open and export.
enum HPKEArea {
    static func check(_ vector: VectorReader) throws {
        guard let kem = KeyEncapsulation(rawValue: UInt16(try vector.int("kem_id"))),
            let kdf = HashAlgorithm(rawValue: UInt16(try vector.int("kdf_id"))),
            let mode = HPKESuite.Mode(rawValue: UInt8(try vector.int("mode")))
        else { throw VectorReader.Fault(description: "an algorithm is not known here") }
        let aeadID = UInt16(try vector.int("aead_id"))
        let aead = AEADAlgorithm(rawValue: aeadID)
        try expect(aead != nil || aeadID == 0xffff, "the AEAD")
        let suite = HPKESuite(kem, kdf, aead)

        func keyPair(_ material: String, _ privateKey: String, _ publicKey: String) throws -> HPKEPrivateKey {
            let derived = try kem.deriveKeyPair(vector.secret(material))
            try expect(derived.publicKey.bytes, vector.bytes(publicKey), "the public key of \(material)")
            try expect(derived.secret, vector.secret(privateKey), "the private key of \(material)")
            return derived
        }
        let recipient = try keyPair("ikmR", "skRm", "pkRm")
        let ephemeral = try keyPair("ikmE", "skEm", "pkEm")
        try expect(ephemeral.publicKey.bytes, vector.bytes("enc"), "enc")
        let sender = mode == .auth || mode == .authPSK ? try keyPair("ikmS", "skSm", "pkSm") : nil
        let hasKey = mode == .psk || mode == .authPSK
        let preparation = suite.prepare(
            mode,
            info: try vector.bytes("info"),
            psk: hasKey ? try vector.secret("psk") : .zeros(0),
            pskID: hasKey ? try vector.bytes("psk_id") : []
        )
        var sealing = try suite.setUpSender(
            to: recipient.publicKey,
            preparation,
            ephemeral: ephemeral,
            sender: sender
        )
        var opening = try suite.setUpRecipient(
            vector.bytes("enc"),
            with: recipient,
            preparation,
            sender: sender?.publicKey
        )
        for (at, encryption) in try vector.readers("encryptions").enumerated() {
            let (plaintext, data) = (try encryption.bytes("pt"), try encryption.bytes("aad"))
            let ciphertext = try encryption.bytes("ct")
            try expect(sealing.seal(plaintext, authenticating: data), ciphertext, "ciphertext \(at)")
            try expect(Array(opening.open(ciphertext, authenticating: data)), plaintext, "plaintext \(at)")
        }
        for (at, export) in try vector.readers("exports").enumerated() {
            let context = try export.bytes("exporter_context")
            for side in [sealing, opening] {
                try expect(
                    side.export(context, count: export.int("L")),
                    export.secret("exported_value"),
                    "exported value \(at)"
                )
            }
        }
    }
}
