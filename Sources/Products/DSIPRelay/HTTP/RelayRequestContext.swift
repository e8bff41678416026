import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTPTypes

/// What a route knows of a request besides its head: who asks.
struct RelayRequestContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.remoteAddress = source.channel.remoteAddress
        self.channel = source.channel
    }

    /// Asks a client that waits for it to send its body (RFC 9110 §10.1.1).
    func sendContinue() { channel.writeAndFlush(HTTPResponsePart.head(.init(status: .continue)), promise: nil) }

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
