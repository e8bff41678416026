import DSIPSignaling
import DSIPTransport

/// What is said to a person about a call: every reason token of DSIP §15.4 and every hop, in plain words, with names.
///
/// `name` is who the other is called on screen; a claim stays the claim of whoever signed it.
enum Sentences {
    /// Why a call ended.
    /// - Parameters:
    ///   - reason: as received or sent; unknown tokens fall back by category (DSIP §15.3).
    ///   - ours: we ended it.
    static func ended(_ reason: Reason, name: String, direction: Call.Direction, ours: Bool, answered: Bool) -> String {
        if ours, let sentence = byUs(reason, name: name, direction: direction, answered: answered) { return sentence }
        return filled(reason, name) ?? fallback(reason, name: name)
    }

    /// What a reason means where no person is concerned, as a clause.
    static func table(_ reason: Reason) -> String {
        let sentence = filled(reason, "the relay") ?? fallback(reason, name: "the relay")
        return String(sentence.prefix(1).lowercased() + sentence.dropFirst().dropLast())
    }

    private static func byUs(_ reason: Reason, name: String, direction: Call.Direction, answered: Bool) -> String? {
        switch reason {
        case .userHangup: "You hung up."
        case .userCancelled: "You cancelled the call."
        case .userDeclined: direction == .incoming && !answered ? "You declined the call." : "You ended the call."
        case .userNoAnswer: "You did not answer."
        case .endpointBusy: "\(name) called while you were in another call."
        case .sessionTimeout: "\(name) did not answer."
        case .policyFirstContactRequired: "\(name) is not among your contacts, so the call did not ring."
        case .mediaUnsupported, .mediaOfferRequired, .mediaEncryptionRequired:
            "\(name) called with a program this one cannot exchange audio or video with."
        case .mediaFailed: "The connection for audio and video to \(name) could not be kept up."
        default: nil
        }
    }

    private static func filled(_ reason: Reason, _ name: String) -> String? {
        table[reason.token].map { $0.split(separator: "%", omittingEmptySubsequences: false).joined(separator: name) }
    }

    /// `%` stands for the name.
    private static let table: [String: String] = [
        "user.declined": "% declined the call.",
        "user.no-answer": "% did not answer.",
        "user.hangup": "% hung up.",
        "user.cancelled": "% called and gave up before you answered.",
        "user.blocked": "% does not take calls from you.",
        "endpoint.busy": "% is in another call.",
        "endpoint.unavailable": "% cannot take calls right now.",
        "endpoint.capability": "%’s device cannot do what this call asks for.",
        "identity.not-in-service": "%’s address is no longer in service.",
        "identity.moved": "% has moved to a new address. Ask them for it.",
        "identity.suspended": "%’s address is suspended by its provider for now.",
        "identity.unknown": "There is nobody at %’s address.",
        "session.expired": "The call reached % too late. Try again.",
        "session.timeout": "The call with % rang out.",
        "session.glare": "You and % called each other at the same moment.",
        "session.answered-elsewhere": "The call was answered on another of your devices.",
        "session.already-answered": "%’s call was already answered on another device.",
        "session.cancelled": "% had already given up the call.",
        "session.invalid-state": "%’s device and this one disagreed about the call.",
        "session.unknown-session": "%’s device no longer knows this call.",
        "session.update-pending": "Both sides changed the call at once; try the change again.",
        "session.unsupported-core-version": "%’s program is too old or too new to talk with this one.",
        "session.unsupported-profile-version": "%’s program does not do this kind of call.",
        "session.unsupported-critical-extension": "%’s program lacks something this call insists on.",
        "session.version-downgrade-detected": "Someone tried to weaken the call with %, so it was stopped.",
        "session.unsupported-wire-format": "%’s program could not read this call.",
        "session.failed": "The call with % failed.",
        "media.unsupported": "%’s device and this one have no audio or video format in common.",
        "media.offer-required": "The call carried no offer of audio or video.",
        "media.encryption-required": "% takes encrypted calls only.",
        "media.failed": "Audio and video between you and % could not be connected or broke off.",
        "policy.trust-insufficient": "% takes calls only from people whose identity is better attested.",
        "policy.first-contact-required": "% does not know you yet. Send a request first.",
        "policy.blocked": "%’s provider refused the call.",
        "policy.terminated": "%’s provider ended the call.",
        "policy.recording-declined": "The call ended because recording was not agreed to.",
        "policy.rate-limited": "Too many calls in a short time. Wait a little and try again.",
        "policy.subscription-lifetime": "The relay does not watch for that long.",
        "transport.envelope-too-large": "The call offer is too large for the relay.",
        "transport.hello-required": "The relay has not admitted this device.",
        "transport.hello-rejected":
            "The relay refused this device. Check the clock, and whether the device was revoked.",
        "transport.routing-refused": "The relay refused to carry the call to %.",
        "transport.unknown-recipient": "% has never been seen at this relay. Check the address, or ask for a new link.",
        "transport.rate-limited": "The relay is limiting how much this device sends. Wait a little and try again.",
        "transport.no-response": "None of %’s devices answered in time.",
        "gateway.unreachable": "The telephone network beyond % could not be reached.",
        "gateway.downgraded": "The call to % went on without its identity protection.",
        "gateway.mapped": "The telephone network reported a failure for %.",
    ]

    /// By category (DSIP §15.3); an unrecognized category is `session.failed`.
    private static func fallback(_ reason: Reason, name: String) -> String {
        switch reason.category {
        case "user": "\(name) did not take the call."
        case "endpoint": "\(name)’s device could not take the call. Try again later."
        case "identity": "\(name)’s address cannot be called."
        case "media": "Audio and video with \(name) could not be agreed."
        case "policy": "A policy did not allow the call with \(name)."
        case "transport": "The call could not be carried to \(name)."
        case "gateway": "Something failed beyond the telephone gateway to \(name)."
        default: "The call with \(name) failed."
        }
    }

    /// - Parameter error: of code `clock`.
    static func wrongClock(_ error: TransportError) -> String {
        let clause = error.reason.prefix(1).uppercased() + error.reason.dropFirst()
        return "\(clause), so nothing it signs is accepted. Set the clock; it connects again by itself."
    }

    // MARK: Hops

    static func delivered(_ devices: Int64, name: String) -> String {
        devices == 1 ? "Delivered to one device of \(name)." : "Delivered to \(devices) devices of \(name)."
    }

    static func held(name: String) -> String {
        "\(name) is offline. The relay holds the call for a moment in case they come back."
    }

    static func ringing(name: String, device: String?) -> String {
        guard let device else { return "Ringing at \(name)’s." }
        return device == "service" ? "Ringing at a service of \(name)." : "Ringing on \(name)’s \(device)."
    }

    static func answered(name: String, by who: String, device: String?) -> String {
        switch who {
        case "user": device.map { "\(name) answered on a \($0)." } ?? "\(name) answered."
        case "screening": "\(name) is screening the call: they hear you before they decide."
        case "gateway": "A telephone gateway answered for \(name)."
        default: "An automatic service of \(name) answered."
        }
    }

    static func progress(_ status: String, name: String) -> String {
        switch status {
        case "queued": "\(name) has put you in a queue."
        case "forwarded": "\(name) forwards the call."
        default: "A device of \(name) is handling the call."
        }
    }
}
