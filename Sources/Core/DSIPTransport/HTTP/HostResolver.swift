import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Host name to addresses, by the system's resolver (RFC 3493 §6.1), in the order it prefers them.
///
/// The system call blocks, so it runs on a pool of few threads of its own: a slow name server delays other names and nothing else.
public protocol HostResolver: Sendable {
    /// - Returns: addresses in network order, 4 or 16 bytes each; at most 16 of them.
    /// - Throws: `TransportError(.unreachable)` when the name is unknown or no answer came.
    func addresses(of host: String) async throws(TransportError) -> [[UInt8]]
}

public struct SystemHostResolver: HostResolver {
    private let pool: NIOThreadPool

    public init(pool: NIOThreadPool = .singleton) { self.pool = pool }

    public func addresses(of host: String) async throws(TransportError) -> [[UInt8]] {
        if let literal = HostAddress(host) { return [literal.bytes] }
        do {
            return try await pool.runIfActive { try SystemHostResolver.lookUp(host) }
        } catch let error as TransportError {
            throw error
        } catch {
            throw TransportError(.closed, "the name resolver has been shut down")
        }
    }

    private static func lookUp(_ host: String) throws(TransportError) -> [[UInt8]] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_flags = AI_ADDRCONFIG
        #if canImport(Glibc)
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0, let first = list else {
            throw TransportError(.unreachable, "\(host) cannot be resolved: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(first) }
        var found: [[UInt8]] = []
        for entry in sequence(first: first, next: { $0.pointee.ai_next }) where found.count < 16 {
            guard let address = entry.pointee.ai_addr else { continue }
            let raw = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
            let bytes: [UInt8]
            switch entry.pointee.ai_family {
            case AF_INET where raw.count >= 8: bytes = Array(raw[4..<8])
            case AF_INET6 where raw.count >= 24: bytes = Array(raw[8..<24])
            default: continue
            }
            if !found.contains(bytes) { found.append(bytes) }
        }
        return found
    }
}
