import FoundationEssentials

/// The algorithms of one HPKE suite, and its four modes (RFC 9180 §5).
///
/// swift-crypto's HPKE draws its ephemeral keys itself and hashes `info` for every recipient; a commit seals to a thousand
/// under one `info`, with injected randomness, so the schedule is chained here over swift-crypto's primitives.
package struct HPKESuite: Sendable, Hashable {
    package enum Mode: UInt8, Sendable { case base, psk, auth, authPSK }

    package let kem: KeyEncapsulation
    package let hash: HashAlgorithm
    /// nil when contexts only export.
    package let aead: AEADAlgorithm?
    private let labels: HPKELabels

    package init(_ kem: KeyEncapsulation, _ hash: HashAlgorithm, _ aead: AEADAlgorithm?) {
        self.kem = kem
        self.hash = hash
        self.aead = aead
        let ids = [kem.rawValue, hash.rawValue, aead?.rawValue ?? 0xffff]
        let suiteID = Array("HPKE".utf8) + ids.flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] }
        self.labels = HPKELabels(suiteID: suiteID, hash: hash)
    }

    /// What of the key schedule does not depend on the recipient: `key_schedule_context`.
    package struct Preparation: Sendable {
        fileprivate let context: [UInt8]
        fileprivate let psk: Secret
    }

    package func prepare(
        _ mode: Mode = .base,
        info: [UInt8],
        psk: Secret = .zeros(0),
        pskID: [UInt8] = []
    ) -> Preparation {
        let idHash = labels.extract(salt: .zeros(0), "psk_id_hash", Secret(pskID))
        let infoHash = labels.extract(salt: .zeros(0), "info_hash", Secret(info))
        return Preparation(context: [mode.rawValue] + idHash.bytes + infoHash.bytes, psk: psk)
    }

    /// A context of one recipient: seals or opens in order, and exports.
    package struct Context: Sendable {
        private let suite: HPKESuite
        private let secret: Secret
        private let schedule: [UInt8]
        private let key: Secret
        private let baseNonce: Secret
        private var sequence: UInt64 = 0

        fileprivate init(_ suite: HPKESuite, _ shared: Secret, _ preparation: Preparation) {
            self.suite = suite
            schedule = preparation.context
            secret = suite.labels.extract(salt: shared, "secret", preparation.psk)
            key =
                suite.aead.map { [secret] in suite.labels.expand(secret, "key", preparation.context, $0.keyByteCount) }
                ?? .zeros(0)
            baseNonce =
                suite.aead.map { [secret] in
                    suite.labels.expand(secret, "base_nonce", preparation.context, $0.nonceByteCount)
                } ?? .zeros(0)
        }

        private mutating func nextNonce() throws(MLSError) -> Secret {
            guard sequence < .max else { throw MLSError(.limit, "an HPKE context has no nonces left") }
            defer { sequence += 1 }
            guard sequence > 0 else { return baseNonce }
            return Secret(count: baseNonce.count) { nonce in
                baseNonce.withUnsafeBytes { nonce.copyMemory(from: $0) }
                for index in 0..<8 {
                    nonce[nonce.count - 1 - index] ^= UInt8(truncatingIfNeeded: sequence >> (8 * index))
                }
            }
        }

        package mutating func seal(
            _ plaintext: some ContiguousBytes,
            authenticating data: [UInt8] = []
        ) throws(MLSError) -> [UInt8] {
            guard let aead = suite.aead else { throw MLSError(.usage, "this HPKE suite only exports") }
            return try aead.seal(plaintext, key: key, nonce: try nextNonce(), authenticating: data)
        }

        package mutating func open(
            _ ciphertext: [UInt8],
            authenticating data: [UInt8] = []
        ) throws(MLSError) -> [UInt8] {
            guard let aead = suite.aead else { throw MLSError(.usage, "this HPKE suite only exports") }
            return try aead.open(ciphertext, key: key, nonce: try nextNonce(), authenticating: data)
        }

        /// RFC 9180 §5.3.
        package func export(_ context: [UInt8], count: Int) -> Secret {
            let exporter = suite.labels.expand(secret, "exp", schedule, suite.hash.byteCount)
            return suite.labels.expand(exporter, "sec", context, count)
        }
    }

    /// `SetupBaseS` and its kin, with the ephemeral key given.
    package func setUpSender(
        to recipient: HPKEPublicKey,
        _ preparation: Preparation,
        ephemeral: HPKEPrivateKey,
        sender: HPKEPrivateKey? = nil
    ) throws(MLSError) -> Context {
        Context(self, try kem.encapsulate(to: recipient, ephemeral: ephemeral, sender: sender), preparation)
    }

    /// `SetupBaseR` and its kin.
    package func setUpRecipient(
        _ encapsulated: [UInt8],
        with key: HPKEPrivateKey,
        _ preparation: Preparation,
        sender: HPKEPublicKey? = nil
    ) throws(MLSError) -> Context {
        Context(self, try kem.decapsulate(encapsulated, with: key, sender: sender), preparation)
    }
}

/// `LabeledExtract` and `LabeledExpand` of RFC 9180 §4.
package struct HPKELabels: Sendable, Hashable {
    let suiteID: [UInt8]
    let hash: HashAlgorithm
    private static let version = Array("HPKE-v1".utf8)

    func extract(salt: Secret, _ label: StaticString, _ material: Secret) -> Secret {
        let input = Secret(count: 7 + suiteID.count + label.utf8CodeUnitCount + material.count) { input in
            input.copyBytes(from: Self.version)
            UnsafeMutableRawBufferPointer(rebasing: input[7...]).copyBytes(from: suiteID)
            let labelAt = 7 + suiteID.count
            UnsafeMutableRawBufferPointer(rebasing: input[labelAt...]).copyMemory(
                from: UnsafeRawBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount)
            )
            material.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: input[(labelAt + label.utf8CodeUnitCount)...]).copyMemory(
                    from: $0
                )
            }
        }
        return hash.extract(salt: salt, input)
    }

    func expand(_ key: Secret, _ label: StaticString, _ info: [UInt8], _ count: Int) -> Secret {
        var input: [UInt8] = []
        input.reserveCapacity(9 + suiteID.count + label.utf8CodeUnitCount + info.count)
        input.append(UInt8(count >> 8))
        input.append(UInt8(truncatingIfNeeded: count))
        input.append(contentsOf: Self.version)
        input.append(contentsOf: suiteID)
        input.append(contentsOf: UnsafeBufferPointer(start: label.utf8Start, count: label.utf8CodeUnitCount))
        input.append(contentsOf: info)
        return hash.expand(key, info: input, count: count)
    }
}

/// What `EncryptWithLabel` gives (RFC 9420 §7.6).
public struct HPKECiphertext: Hashable, Sendable, WireEncodable, WireDecodable {
    public let kemOutput: [UInt8]
    public let ciphertext: [UInt8]

    package init(kemOutput: [UInt8], ciphertext: [UInt8]) {
        self.kemOutput = kemOutput
        self.ciphertext = ciphertext
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        kemOutput = try reader.vector()
        ciphertext = try reader.vector()
    }

    package func encode(to writer: inout WireWriter) {
        writer.vector(kemOutput)
        writer.vector(ciphertext)
    }
}
