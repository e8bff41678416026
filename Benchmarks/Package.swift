// swift-tools-version: 6.1
import PackageDescription

// Figures as ratios against a peer or a limit measured in the same run: `make bench`.
// It depends on the `dsip` program too, so that one build makes both and the relay measured is the one of this tree.
let package = Package(
    name: "dsip-benchmarks",
    traits: [.trait(name: "QUIC", description: "What quic/1.0 costs, in a `dsip` that speaks it.")],
    dependencies: [
        .package(name: "dsip", path: "..", traits: [.trait(name: "QUIC", condition: .when(traits: ["QUIC"]))]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
    ],
    targets: [
        .executableTarget(
            name: "dsip-bench",
            dependencies: [
                .product(name: "Encoding", package: "dsip"), .product(name: "DSIPIdentity", package: "dsip"),
                .product(name: "DoubleRatchet", package: "dsip"), .product(name: "DSIPDialect03", package: "dsip"),
                .product(name: "DSIPSignaling", package: "dsip"), .product(name: "DSIPSession", package: "dsip"),
                .product(name: "DSIPTransport", package: "dsip"), .product(name: "DSIPMessaging", package: "dsip"),
                .product(name: "KademliaSimulation", package: "dsip"),
                .product(name: "MLS", package: "dsip"),
                .product(name: "QUIC", package: "dsip", condition: .when(traits: ["QUIC"])),
                .product(name: "dsip", package: "dsip"), .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]
        )
    ]
)
