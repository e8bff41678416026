/// Why an operation was refused. Equal by code: reasons are for people and hold neither keys nor content.
public struct RatchetError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// Bytes that are no message, bundle or saved state of the format.
        case malformed
        /// No key held here opens the message.
        case authenticationFailed = "authentication-failed"
        /// The message was opened before, or its key was given up as too old.
        case duplicate
        /// Opening it would mean deriving more keys for messages in between than the limits allow.
        case tooManySkipped = "too-many-skipped"
        /// A responder that has not yet received anything has nothing to send with.
        case notYetReceived = "not-yet-received"
        /// A chain has sent all the messages its counter can number.
        case chainExhausted = "chain-exhausted"
        /// A signature of a prekey does not verify.
        case invalidSignature = "invalid-signature"
        /// A public key that is no point of the curve, or for which every agreement yields the same secret.
        case weakKey = "weak-key"
        /// An initial message names a prekey that is not held, or no longer.
        case unknownPreKey = "unknown-prekey"
        /// An initial message that used no one-time prekey came again.
        case replayedInitialMessage = "replayed-initial-message"
        /// A device known under one identity key speaks under another.
        case identityChanged = "identity-changed"
        /// There is no session with the device.
        case noSession = "no-session"
        /// A bundle lacks what the profile demands, or a saved state belongs to another profile.
        case profileMismatch = "profile-mismatch"
        /// A bounded table is full.
        case limitReached = "limit-reached"
    }

    public let code: Code
    public let reason: String
    public let file: StaticString
    public let line: UInt

    init(_ code: Code, _ reason: String, file: StaticString = #fileID, line: UInt = #line) {
        self.code = code
        self.reason = reason
        self.file = file
        self.line = line
    }

    /// Whether a new session heals this: the peer speaks in a session, or to a prekey, that is lost here.
    public var callsForReset: Bool {
        switch code {
        case .authenticationFailed, .unknownPreKey, .noSession, .tooManySkipped: true
        case .malformed, .duplicate, .notYetReceived, .chainExhausted, .invalidSignature, .weakKey,
            .replayedInitialMessage, .identityChanged, .profileMismatch, .limitReached:
            false
        }
    }

    public var description: String { "\(code.rawValue): \(reason)" }

    public static func == (a: RatchetError, b: RatchetError) -> Bool { a.code == b.code }
    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}
