import Hummingbird
import Logging
import NIOCore

/// What a route knows of a request besides its head: who asks.
struct RelayRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.remoteAddress = source.channel.remoteAddress
    }

    /// Whether the request comes from this machine.
    var isLocal: Bool {
        switch remoteAddress {
        case .v4(let v4): withUnsafeBytes(of: v4.address) { $0[4] == 127 }
        case .v6(let v6):
            withUnsafeBytes(of: v6.address) { bytes in
                let address = Array(bytes[8..<24])
                let mapped = Array(repeating: UInt8(0), count: 10) + [0xff, 0xff, 127]
                return address == Array(repeating: 0, count: 15) + [1] || address.starts(with: mapped)
            }
        case .unixDomainSocket: true
        case nil: false
        }
    }
}
