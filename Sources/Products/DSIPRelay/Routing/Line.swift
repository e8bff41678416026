import DSIPIdentity
import DSIPSignaling
import DSIPTransport

/// The way out to one bound device: its connection, and what waits until the store has been read.
///
/// While a held envelope is being read from the store, everything behind it waits, so that a sender's envelopes arrive in the order in
/// which they were sent (DSIP §13.2).
struct Line {
    enum Item {
        case envelope(RelayParcel, MessageType)
        /// A held invite that was never delivered, to be told of as a missed call.
        case missed(RelayParcel)

        var parcel: RelayParcel {
            switch self {
            case .envelope(let parcel, _), .missed(let parcel): parcel
            }
        }
    }

    /// Bytes in memory that may wait; a device that has more outstanding is cut off, like any slow reader.
    static let maximumWaitingBytes = 1 << 20

    let connection: SignalingConnection
    let identity: DID
    /// When the delegation was issued by which the device is bound; nil when the identity bound itself.
    let delegatedAt: Int64?
    /// What the store knows the recipient until, in Unix seconds.
    var knownUntil: Int64 = 0
    /// Nil while nothing is being read.
    var waiting: [Item]?
    var waitingBytes = 0
}
