import Encoding

/// What this implementation speaks, and the negotiation of DSIP §11.2.
public struct SupportedVersions: Hashable, Sendable {
    public var core: ProtocolVersion
    public var profiles: [ProfileID]
    public var extensions: [ProfileID]

    public init(
        core: ProtocolVersion = ProtocolVersion(1, 0),
        profiles: [ProfileID] = [.interactiveMedia, .verifiedBroadcast],
        extensions: [ProfileID] = [.deliveryReport]
    ) {
        self.core = core
        self.profiles = profiles
        self.extensions = extensions
    }

    /// Whether a payload's `dsip` member can be served.
    ///
    /// Members that are not well formed are passed over; the shape rules refuse them afterwards.
    ///
    /// - Parameter exempt: a critical extension that binds the addressee and not this receiver (DSIP §10.4, *Routing*).
    /// - Returns: the reason to refuse with, or nil.
    func refusal(of block: JSONView, exempt: ProfileID? = nil) -> Reason? {
        if let usual = VersionBlock.usual(block), core.major == usual.core.major,
            usual.minCore <= core, usual.critical.isEmpty, profiles.contains(usual.profiles.first ?? .interactiveMedia)
        {
            return nil
        }
        if let core = block["core"]?.versionToken, core.major != self.core.major {
            return .sessionUnsupportedCoreVersion
        }
        if let least = block["min_core"]?.versionToken, least.major != core.major || least > core {
            return .sessionUnsupportedCoreVersion
        }
        if let offered = block["profiles"], offered.isArray, offered.count > 0,
            !offered.elements.contains(where: { id in profiles.contains { $0.serves(id, anyMinor: true) } })
        {
            return .sessionUnsupportedProfileVersion
        }
        if let critical = block["critical"], critical.isArray {
            for id in critical.elements {
                if let exempt, exempt.serves(id, anyMinor: false) { continue }
                let known =
                    extensions.contains { $0.serves(id, anyMinor: false) }
                    || profiles.contains { $0.serves(id, anyMinor: false) }
                if !known { return .sessionUnsupportedCriticalExtension }
            }
        }
        return nil
    }
}

extension ProfileID {
    /// Whether a peer that names `id` is served by this: same name and major version.
    ///
    /// - Parameter anyMinor: minor versions are backward compatible (DSIP §11.2), so a newer minor will do, except where the peer
    ///   insists (`critical`): then what it added since would go unheeded.
    fileprivate func serves(_ id: JSONView, anyMinor: Bool) -> Bool {
        id.withText { text in
            if text.elementsEqual(string.utf8) { return true }
            guard let slash = text.firstIndex(of: UInt8(ascii: "/")), text[..<slash].elementsEqual(name.utf8),
                let theirs = ProtocolVersion(utf8: UnsafeRawBufferPointer(rebasing: text[(slash + 1)...]))
            else { return false }
            let ours = version
            return theirs.major == ours.major && (anyMinor || theirs.minor <= ours.minor)
        } ?? false
    }
}
