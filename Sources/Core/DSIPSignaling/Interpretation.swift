/// What the registry-governed members of a message are taken for. Membership never rejects a well-formed token (DSIP §15).
public struct Interpretation: Hashable, Sendable {
    public enum Warning: String, Hashable, Sendable {
        /// A registered token on a type that its registry row does not list; accepted (DSIP §15.6).
        case reasonNotValidOnType = "reason-not-valid-on-type"
    }

    public var reason: Reason?
    public var fallback: ReasonRegistry.Fallback?
    public var answeredBy: AnsweredBy?
    public var status: ProgressStatus?
    public var warnings: [Warning] = []

    public init() {}
}

extension Message {
    public var interpretation: Interpretation {
        var result = Interpretation()
        switch body {
        case .answer(let answer): result.answeredBy = answer.answeredBy?.effective
        case .update(let update): result.answeredBy = update.answeredBy?.effective
        case .progress(let progress): result.status = progress.status.effective
        default: break
        }
        guard let reason else { return result }
        let (effective, fallback) = ReasonRegistry.effective(reason)
        result.reason = effective
        result.fallback = fallback
        // The registry's column does not govern notify (DSIP §15.4).
        if type != .notify, let entry = ReasonRegistry.entry(reason), !entry.validOn.contains(type) {
            result.warnings = [.reasonNotValidOnType]
        }
        return result
    }

    /// The reason as sent; nil for the types that carry none.
    public var reason: Reason? {
        switch body {
        case .reject(let reject): reject.reason
        case .cancel(let cancel): cancel.reason
        case .bye(let bye): bye.reason
        case .error(let report): report.reason
        case .notify(let notify): notify.reason
        default: nil
        }
    }
}
