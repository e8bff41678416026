import DSIPSignaling
import WebRTC

extension MediaPayload {
    /// What a description says by itself, for peers that send SDP and no descriptors: one descriptor a live section, with the codecs that
    /// both have a name for.
    ///
    /// - Throws: `sdpInvalid`, `extraSection`, `codecMissing`. Whether the description keeps the binding is checked as ever, by
    ///   ``CheckedOffer`` or ``CheckedAnswer``.
    public init(describing sdp: String, on side: MediaBindingError.Side) throws(MediaBindingError) {
        let description: SessionDescription
        do {
            description = try SessionDescription(parsing: sdp)
        } catch {
            throw BindingCheck(side: side).fail(.sdpInvalid, error.description)
        }
        try self.init(describing: sdp, read: description, on: side)
    }

    /// The same of a description that has been read already.
    ///
    /// - Parameter description: what `sdp` says.
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
