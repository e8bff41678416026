/// A signed content in the clear (RFC 9420 §6.2).
package struct PublicMessage: Sendable, WireEncodable, WireDecodable {
    package let content: FramedContent
    package let auth: FramedContentAuthData
    package let membershipTag: [UInt8]?

    package init(from reader: inout WireReader) throws(MLSError) {
        content = try FramedContent(from: &reader)
        auth = try FramedContentAuthData(content.body.type, from: &reader)
        if case .member = content.sender { membershipTag = try reader.vector() } else { membershipTag = nil }
    }

    package func encode(to writer: inout WireWriter) {
        writer.write(content.encoded)
        auth.encode(to: &writer)
        if let membershipTag { writer.vector(membershipTag) }
    }

    /// Frames what was signed, with a membership tag when a member sends it.
    package init(
        _ signed: AuthenticatedContent,
        membershipKey: Secret,
        _ context: GroupContext,
        _ suite: Suite
    ) {
        content = signed.content
        auth = signed.auth
        if case .member = content.sender {
            membershipTag = suite.hash.hmac(key: membershipKey, Self.tbm(content, auth, context))
        } else {
            membershipTag = nil
        }
    }

    /// Frames what one who is no member signed.
    init(unauthenticated signed: AuthenticatedContent) {
        content = signed.content
        auth = signed.auth
        membershipTag = nil
    }

    private static func tbm(
        _ content: FramedContent,
        _ auth: FramedContentAuthData,
        _ context: GroupContext
    ) -> [UInt8] {
        var writer = WireWriter()
        content.writeTBS(.publicMessage, context, to: &writer)
        auth.encode(to: &writer)
        return writer.bytes
    }

    // RFC 9420 §6.2
    package func hasValidMembershipTag(_ key: Secret, _ context: GroupContext, _ suite: Suite) -> Bool {
        guard let membershipTag else { return false }
        return constantTimeEqual(membershipTag, suite.hash.hmac(key: key, Self.tbm(content, auth, context)))
    }

    var unverified: AuthenticatedContent { AuthenticatedContent(.publicMessage, content, auth) }
}
