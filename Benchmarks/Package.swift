// swift-tools-version: 6.1
import PackageDescription

// Figures as ratios against a peer or a limit measured in the same run: `swift run -c release --package-path Benchmarks dsip-bench`.
let package = Package(
    name: "dsip-benchmarks",
    dependencies: [
        .package(name: "dsip", path: ".."),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    ],
    targets: [
        .executableTarget(
            name: "dsip-bench",
            dependencies: [
                .product(name: "Encoding", package: "dsip"), .product(name: "DSIPIdentity", package: "dsip"),
                .product(name: "DSIPSignaling", package: "dsip"), .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")])
    ]
)
