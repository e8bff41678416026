/// A signed content encrypted for the members of an epoch (RFC 9420 §6.3).
package struct PrivateMessage: Sendable, WireEncodable, WireDecodable {
    package let groupID: [UInt8]
    package let epoch: UInt64
    package let contentType: ContentType
    package let authenticatedData: [UInt8]
    let encryptedSenderData: [UInt8]
    let ciphertext: [UInt8]

    package init(from reader: inout WireReader) throws(MLSError) {
        groupID = try reader.vector()
        epoch = try reader.uint64()
        guard let type = ContentType(rawValue: try reader.uint8()) else {
            throw MLSError(.malformed, "a content is of an unknown type")
        }
        contentType = type
        authenticatedData = try reader.vector()
        encryptedSenderData = try reader.vector()
        ciphertext = try reader.vector()
    }

    package func encode(to writer: inout WireWriter) {
        writer.vector(groupID)
        writer.write(epoch)
        writer.write(contentType.rawValue)
        writer.vector(authenticatedData)
        writer.vector(encryptedSenderData)
        writer.vector(ciphertext)
    }

    /// Encrypts what a member signed.
    ///
    /// - Parameters:
    ///   - key: of the sender's next generation; used once, here.
    ///   - padding: zeros after the content, so that its length tells less.
    package init<Random: RandomNumberGenerator>(
        _ signed: AuthenticatedContent,
        from sender: LeafIndex,
        _ key: MessageKey,
        senderDataSecret: Secret,
        padding: Int,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) {
        let content = signed.content
        var plaintext = WireWriter(capacity: content.encoded.count + signed.auth.signature.count + 72 + padding)
        content.encoded.withUnsafeBytes {
            plaintext.write(UnsafeRawBufferPointer(rebasing: $0[content.bodyOffset...]))
        }
        signed.auth.encode(to: &plaintext)
        plaintext.zeros(padding)
        try self.init(
            content.groupID,
            content.epoch,
            content.body.type,
            content.authenticatedData,
            plaintext: plaintext.bytes[...],
            from: sender,
            key,
            senderDataSecret: senderDataSecret,
            suite,
            using: &random
        )
    }

    /// Signs and encrypts application data as the other initializer does, in one buffer: what is signed holds what is encrypted.
    package init<Random: RandomNumberGenerator>(
        application data: [UInt8],
        authenticatedData: [UInt8],
        from sender: LeafIndex,
        signedBy signer: SignaturePrivateKey,
        in context: GroupContext,
        _ key: MessageKey,
        senderDataSecret: Secret,
        padding: Int,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) {
        var head = WireWriter(capacity: context.groupID.count + authenticatedData.count + 32)
        FramedContent.encodeHead(
            context.groupID,
            context.epoch,
            .member(sender),
            authenticatedData,
            .application,
            to: &head
        )
        let bodyCount = WireWriter.vectorByteCount(data.count)
        let count = 4 + head.bytes.count + bodyCount + context.encoded.count
        var writer = Suite.signContent("FramedContentTBS", count: count, reserving: 72 + padding) { writer in
            FramedContent.writeTBSFormat(.privateMessage, to: &writer)
            writer.write(head.bytes)
            writer.vector(data)
            writer.write(context.encoded)
        }
        let signature = try signer.sign(writer.bytes)
        writer.removeLast(context.encoded.count)
        let start = writer.bytes.count - bodyCount
        writer.vector(signature)
        writer.zeros(padding)
        try self.init(
            context.groupID,
            context.epoch,
            .application,
            authenticatedData,
            plaintext: writer.bytes[start...],
            from: sender,
            key,
            senderDataSecret: senderDataSecret,
            suite,
            using: &random
        )
    }

    private init<Random: RandomNumberGenerator>(
        _ groupID: [UInt8],
        _ epoch: UInt64,
        _ contentType: ContentType,
        _ authenticatedData: [UInt8],
        plaintext: ArraySlice<UInt8>,
        from sender: LeafIndex,
        _ key: MessageKey,
        senderDataSecret: Secret,
        _ suite: Suite,
        using random: inout Random
    ) throws(MLSError) {
        self.groupID = groupID
        self.epoch = epoch
        self.contentType = contentType
        self.authenticatedData = authenticatedData

        let reuseGuard = UInt32(truncatingIfNeeded: random.next())
        ciphertext = try suite.aead.seal(
            plaintext,
            key: key.key,
            nonce: key.nonce(guardedBy: reuseGuard),
            authenticating: Self.contentAAD(groupID, epoch, contentType, authenticatedData)
        )

        var senderData = WireWriter(capacity: 12)
        senderData.write(sender)
        senderData.write(key.generation)
        senderData.write(reuseGuard)
        let sealing = SenderDataKey(senderDataSecret, ciphertext, suite)
        encryptedSenderData = try suite.aead.seal(
            senderData.bytes,
            key: sealing.key,
            nonce: sealing.nonce,
            authenticating: Self.senderDataAAD(groupID, epoch, contentType)
        )
    }

    // RFC 9420 §6.3.1
    private static func contentAAD(
        _ groupID: [UInt8],
        _ epoch: UInt64,
        _ type: ContentType,
        _ authenticatedData: [UInt8]
    ) -> [UInt8] {
        var writer = WireWriter(capacity: groupID.count + authenticatedData.count + 20)
        writer.vector(groupID)
        writer.write(epoch)
        writer.write(type.rawValue)
        writer.vector(authenticatedData)
        return writer.bytes
    }

    // RFC 9420 §6.3.2
    private static func senderDataAAD(_ groupID: [UInt8], _ epoch: UInt64, _ type: ContentType) -> [UInt8] {
        var writer = WireWriter(capacity: groupID.count + 16)
        writer.vector(groupID)
        writer.write(epoch)
        writer.write(type.rawValue)
        return writer.bytes
    }

    /// Who sent it, and which key opens it.
    struct SenderData: Sendable {
        let leafIndex: LeafIndex
        let generation: UInt32
        let reuseGuard: UInt32
    }

    /// - Throws: `authentication`, `malformed`.
    func openSenderData(_ secret: Secret, _ suite: Suite) throws(MLSError) -> SenderData {
        let opening = SenderDataKey(secret, ciphertext, suite)
        let data = try suite.aead.open(
            encryptedSenderData,
            key: opening.key,
            nonce: opening.nonce,
            authenticating: Self.senderDataAAD(groupID, epoch, contentType)
        )
        var reader = WireReader(data)
        let senderData = SenderData(
            leafIndex: try LeafIndex(from: &reader),
            generation: try reader.uint32(),
            reuseGuard: try reader.uint32()
        )
        try reader.finish()
        return senderData
    }

    /// - Throws: `authentication`, `malformed`. The signature is not verified yet.
    func openContent(
        _ senderData: SenderData,
        _ key: MessageKey,
        _ suite: Suite
    ) throws(MLSError) -> AuthenticatedContent {
        let plaintext = try suite.aead.open(
            ciphertext,
            key: key.key,
            nonce: key.nonce(guardedBy: senderData.reuseGuard),
            authenticating: Self.contentAAD(groupID, epoch, contentType, authenticatedData)
        )
        var reader = WireReader(plaintext)
        let content = try FramedContent(
            groupID: groupID,
            epoch: epoch,
            sender: .member(senderData.leafIndex),
            authenticatedData: authenticatedData,
            contentType,
            bodyFrom: &reader
        )
        let auth = try FramedContentAuthData(contentType, from: &reader)
        // RFC 9420 §6.3.1: padding is zeros.
        guard reader.rest().allSatisfy({ $0 == 0 }) else {
            throw MLSError(.malformed, "a private message's padding is not zero")
        }
        return AuthenticatedContent(.privateMessage, content, auth)
    }
}

/// Key and nonce of a message's sender data, which depend on a sample of its ciphertext (RFC 9420 §6.3.2).
package struct SenderDataKey: Sendable {
    package let key: Secret
    package let nonce: Secret

    package init(_ secret: Secret, _ ciphertext: [UInt8], _ suite: Suite) {
        let derived = ciphertext.withUnsafeBytes { ciphertext in
            let sample = UnsafeRawBufferPointer(rebasing: ciphertext.prefix(suite.hash.byteCount))
            return suite.cipherSecrets(secret, sample, isChain: false)
        }
        (key, nonce) = (derived.key, derived.nonce)
    }
}
