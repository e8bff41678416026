import NIOCore
import Testing

@testable import DSIPTransport

@Suite struct RouteTests {
    @Test("another address is a change, a gap by itself is none") func changes() {
        var memory = RouteMemory("10.1.0.2")
        let seen = ["10.1.0.2", nil, nil, "10.1.0.2", nil, "10.2.0.2", "10.2.0.2", "10.1.0.2"].map { memory.sees($0) }
        #expect(seen == [false, false, false, false, false, true, false, true])
    }

    @Test("the first network after a start without any is a change") func late() {
        var memory = RouteMemory(nil)
        let seen = [nil, "10.1.0.2", "10.1.0.2"].map { memory.sees($0) }
        #expect(seen == [false, true, false])
    }

    @Test("the routing table tells what leads to an address, without a packet") func lookup() throws {
        #expect(LocalRoute.address(toward: try SocketAddress(ipAddress: "127.0.0.1", port: 9)) == "127.0.0.1")
        #expect(LocalRoute.address(toward: try SocketAddress(ipAddress: "127.8.8.8", port: 0)) == "127.0.0.1")
    }
}
