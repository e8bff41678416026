/// One answer per offer: of the answers of forked legs the first valid one is applied, the others are released. B§6.1
public struct AnswerSelection: ~Copyable {
    private let offer: CheckedOffer
    private var appliedTo: String?

    /// What to do with the answer that came.
    public enum Outcome: Hashable, Sendable {
        /// Apply it; its sender is now the one device party to the media. B§4.4
        case apply(CheckedAnswer)
        /// Send `bye` with this reason to the device that answered; the error says why an answer was not valid.
        case release(reason: String, error: MediaBindingError?)
        /// The answer that was already applied, again.
        case ignore
    }

    public init(offer: CheckedOffer) { self.offer = offer }

    /// The device whose answer was applied.
    public var party: String? { appliedTo }

    /// `device` is the verified signer of the answer.
    public mutating func receivedAnswer(_ payload: MediaPayload, from device: String) -> Outcome {
        if let appliedTo {
            return appliedTo == device ? .ignore : .release(reason: "session.already-answered", error: nil)
        }
        do throws(MediaBindingError) {
            guard let answer = try CheckedAnswer(checking: payload, to: offer) else {
                // The offer was for this binding alone, so another transport is no selection from it. B§2
                let error = MediaBindingError(.sdpMissing, on: .answer, "transport:webrtc was not selected")
                return .release(reason: error.reason, error: error)
            }
            appliedTo = device
            return .apply(answer)
        } catch {
            return .release(reason: error.reason, error: error)
        }
    }
}
