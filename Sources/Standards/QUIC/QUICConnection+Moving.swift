#if QUIC
import CNgtcp2
import NIOCore

extension QUICConnection {
    /// The endpoint has another socket: go on from there (RFC 9000 §9).
    ///
    /// A client migrates, under a fresh connection id, so that nobody can link the two paths. Where it may not yet, or has no id to
    /// spare, it just sends from the new address, as if a NAT had rebound it.
    func moveLocally(to address: SocketAddress) {
        guard let library, path.local != address else { return }
        path.local = address
        if !isServer, isEstablished {
            let result = path.withPath { path in
                inLibrary { ngtcp2_conn_initiate_immediate_migration(library, path, now) }
            }
            if result != 0 { setLocalAddress(library) }
        } else {
            setLocalAddress(library)
        }
        scheduleFlush()
    }

    private func setLocalAddress(_ library: OpaquePointer) {
        path.withPath { path in
            var local = path.pointee.local
            ngtcp2_conn_set_local_addr(library, &local)
        }
    }

    /// A probe of a path has been answered, or not.
    func pathValidated(_ isValid: Bool) {
        // A path that does not carry packets is given up by the library, which falls back to the one before.
        if isValid { validatedPaths += 1 }
    }
}
#endif
