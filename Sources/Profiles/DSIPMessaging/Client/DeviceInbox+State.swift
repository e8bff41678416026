import DSIPIdentity

extension DeviceInbox {
    /// All that a restart must keep, in plain values.
    public struct State: Hashable, Sendable {
        public struct Group: Hashable, Sendable {
            /// Nil when the device joined by a welcome that did not say where to start, and nothing came since.
            public var position: GroupPosition?
            public var waiting: [GapTracker.Held]

            public init(position: GroupPosition?, waiting: [GapTracker.Held] = []) {
                self.position = position
                self.waiting = waiting
            }
        }

        public var cursors: [DID: Cursor]
        public var groups: [GroupID: Group]

        public init(cursors: [DID: Cursor] = [:], groups: [GroupID: Group] = [:]) {
            self.cursors = cursors
            self.groups = groups
        }
    }

    /// To be committed together with what an item led to.
    public var state: State {
        var groups = trackers.mapValues { State.Group(position: $0.position, waiting: $0.waiting) }
        for group in unplaced { groups[group] = State.Group(position: nil) }
        return State(cursors: cursors, groups: groups)
    }

    public init(restoring state: State, gapTimeout: Int64 = MessagingProfile.gapTimeout) {
        self.init(gapTimeout: gapTimeout)
        cursors = state.cursors
        for (group, kept) in state.groups {
            guard let position = kept.position else {
                unplaced.insert(group)
                continue
            }
            trackers[group] = GapTracker(position: position, waiting: kept.waiting, timeout: gapTimeout)
        }
    }
}
