/// What binds the media that is played to the publisher's signature (DSIP §22.2, registry `dsip-integrity-mode`).
///
/// Neither mode signs a byte of media. The stronger ones that the registry reserves are read as the weakest, as every token is that is
/// not known here.
public enum IntegrityMode: String, Hashable, Sendable {
    /// The publisher signed the stream's identity, title, policy and variants.
    case metadataOnly = "metadata-only"
    /// A transcoder signed that it made this stream from the publisher's.
    case derivativeBound = "derivative-bound"

    /// - Parameter token: as declared; nil where nothing is.
    public init(declared token: String?) {
        self = token.flatMap(IntegrityMode.init(rawValue:)) ?? .metadataOnly
    }
}
