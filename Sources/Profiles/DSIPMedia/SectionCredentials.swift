import WebRTC

/// The ICE credentials of a description, section by section; `nil` for rejected sections.
public struct SectionCredentials: Hashable, Sendable {
    public var sections: [ICECredentials?]

    public init(_ sections: [ICECredentials?]) { self.sections = sections }

    init(_ description: SessionDescription, _ side: MediaBindingError.Side) {
        sections = description.media.map { $0.isLive(in: side) ? description.iceCredentials(of: $0) : nil }
    }

    /// Whether `next`, of the same side, changes the credentials of a section that was live before. B§5.4
    ///
    /// A section that takes over the credentials of another has moved into its BUNDLE transport, and one that is new has
    /// nothing to change: neither is a restart.
    public func isRestarted(by next: SectionCredentials) -> Bool {
        zip(sections, next.sections).contains { old, new in
            guard let old, let new else { return false }
            return old != new && !sections.contains(new)
        }
    }

    /// Whether `next` restarts ICE for every section that stays: a transport is restarted as a whole or not at all.
    func isWhollyRestarted(by next: SectionCredentials) -> Bool {
        isRestarted(by: next) && !next.sections.contains { $0.map { sections.contains($0) } ?? false }
    }
}
