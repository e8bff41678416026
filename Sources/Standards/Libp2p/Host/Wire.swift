import NIOCore

/// What carries a connection's bytes: a socket, or a stream of another connection. Used on one event loop.
protocol Wire: AnyObject {
    /// Whether more may be written now; when that comes back, the driver is told `writable`.
    var isWritable: Bool { get }
    func write(_ bytes: [UInt8])
    func flush()
    /// Begins TLS below: what is written from here on goes through it.
    ///
    /// - Parameters:
    ///   - received: what came in behind the agreement on TLS.
    func startTLS(_ role: Connection.Role, received: [UInt8])
    /// Sends what was written, then ends.
    func close()
}
