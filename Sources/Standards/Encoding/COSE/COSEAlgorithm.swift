/// COSE algorithms by their registered number (RFC 9053, RFC 9864, RFC 8230).
public enum COSEAlgorithm: Int64, Hashable, Sendable, CaseIterable {
    case es256 = -7
    case es384 = -35
    case es512 = -36
    /// Ed25519 or Ed448, as the key says.
    case edDSA = -8
    /// Fully specified (RFC 9864 §2.2).
    case ed25519 = -19
    case ps256 = -37
    case ps384 = -38
    case ps512 = -39
    case rs256 = -257
    case rs384 = -258
    case rs512 = -259
    case hs256Truncated64 = 4
    case hs256 = 5
    case hs384 = 6
    case hs512 = 7
    case a128GCM = 1
    case a192GCM = 2
    case a256GCM = 3
    case chaCha20Poly1305 = 24
    /// The recipient's key is the content key itself (RFC 9053 §6.1).
    case direct = -6
}
