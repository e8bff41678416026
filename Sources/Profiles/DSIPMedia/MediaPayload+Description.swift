import DSIPSignaling
import WebRTC

extension MediaPayload {
    /// What a description says by itself, for peers that send SDP and no descriptors: one descriptor a live section, with the codecs that
    /// both have a name for.
    ///
    /// - Parameter description: what `sdp` says, read already.
    /// - Throws: `extraSection`, `codecMissing`. Whether the description keeps the binding is checked as ever, by
    ///   ``CheckedOffer`` or ``CheckedAnswer``.
    public init(
        describing sdp: String,
        read description: SessionDescription,
        on side: MediaBindingError.Side
    ) throws(MediaBindingError) {
        let check = BindingCheck(side: side)
        var media: [MediaDescriptor] = []
        for (index, section) in check.live(description) {
            media.append(
                try OwnDescription.descriptor(section, index, description, check, purpose: nil) { _ in true }
            )
        }
        let transport = side == .offer ? TransportDescriptor(webRTC: sdp) : .answering(webRTC: sdp)
        self.init(media: media, transports: [transport])
    }
}
