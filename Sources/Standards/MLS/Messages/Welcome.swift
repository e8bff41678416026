/// What new members join with (RFC 9420 §12.4.3.1): a GroupInfo under a key that each of them is given.
public struct Welcome: Sendable, WireEncodable, WireDecodable {
    public let cipherSuite: CipherSuite
    package let secrets: [EncryptedGroupSecrets]
    package let encryptedGroupInfo: [UInt8]

    package struct EncryptedGroupSecrets: Sendable, WireEncodable, WireDecodable {
        package let newMember: [UInt8]
        package let secrets: HPKECiphertext

        init(newMember: [UInt8], secrets: HPKECiphertext) {
            self.newMember = newMember
            self.secrets = secrets
        }

        package init(from reader: inout WireReader) throws(MLSError) {
            newMember = try reader.vector()
            secrets = try HPKECiphertext(from: &reader)
        }

        package func encode(to writer: inout WireWriter) {
            writer.vector(newMember)
            writer.write(secrets)
        }
    }

    init(cipherSuite: CipherSuite, secrets: [EncryptedGroupSecrets], encryptedGroupInfo: [UInt8]) {
        self.cipherSuite = cipherSuite
        self.secrets = secrets
        self.encryptedGroupInfo = encryptedGroupInfo
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        cipherSuite = try CipherSuite(from: &reader)
        secrets = try reader.list(of: EncryptedGroupSecrets.self)
        encryptedGroupInfo = try reader.vector()
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(cipherSuite)
        writer.list(secrets)
        writer.vector(encryptedGroupInfo)
    }

    /// As a message of its own.
    public var message: MLSMessage { .welcome(self) }

    /// Whether it is for the holder of `keyPackage`.
    public func isFor(_ keyPackage: KeyPackage) -> Bool {
        guard keyPackage.cipherSuite == cipherSuite, let reference = try? keyPackage.reference() else { return false }
        return secrets.contains { $0.newMember == reference }
    }
}

/// What one new member is given.
package struct GroupSecrets: Sendable, WireEncodable, WireDecodable {
    package let joinerSecret: Secret
    package let pathSecret: Secret?
    package let preSharedKeys: [PreSharedKeyID]

    init(joinerSecret: Secret, pathSecret: Secret?, preSharedKeys: [PreSharedKeyID]) {
        self.joinerSecret = joinerSecret
        self.pathSecret = pathSecret
        self.preSharedKeys = preSharedKeys
    }

    package init(from reader: inout WireReader) throws(MLSError) {
        joinerSecret = Secret(try reader.vector())
        pathSecret = try reader.optional { (reader: inout WireReader) throws(MLSError) in Secret(try reader.vector()) }
        preSharedKeys = try reader.list(of: PreSharedKeyID.self)
    }

    package func encode(to writer: inout WireWriter) {
        writer.vector(joinerSecret)
        writer.optional(pathSecret) { writer, secret in writer.vector(secret) }
        writer.list(preSharedKeys)
    }
}
